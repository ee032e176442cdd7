// Go's HTTP as server and client: the same service and the same calls as service.c and caller.c.
//
//	go_peer serve ADDRESS [CERTIFICATE KEY]   HTTP/1.1 and HTTP/2, h2c or with TLS
//	go_peer call VERSION BASE-URL LENGTH,... WAY,... [CA]   VERSION is 1 or 2
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	cycle     = 251
	piece     = 65536
	mostAhead = 128 << 20
)

// reader gives a body of the pattern.
type reader struct{ at, length int64 }

func (r *reader) Read(p []byte) (int, error) {
	if r.at == r.length {
		return 0, io.EOF
	}
	n := min(int64(len(p)), r.length-r.at)
	for i := range n {
		p[i] = byte((r.at + i) % cycle)
	}
	r.at += n
	return int(n), nil
}

// check takes a body, and gives the number of its bytes if all are the pattern's.
func check(body io.Reader) (int64, error) {
	data := make([]byte, piece)
	want := make([]byte, piece)
	r := &reader{length: mostAhead}
	var came int64
	for {
		n, err := body.Read(data)
		io.ReadFull(r, want[:n])
		if !bytes.Equal(data[:n], want[:n]) {
			return came, fmt.Errorf("another byte than expected after %d", came)
		}
		came += int64(n)
		if err == io.EOF {
			return came, nil
		}
		if err != nil {
			return came, err
		}
	}
}

func sized(w http.ResponseWriter, r *http.Request, announce bool) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if announce {
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	w.WriteHeader(http.StatusOK)
	if !announce {
		http.NewResponseController(w).Flush()
	}
	io.CopyBuffer(w, &reader{length: n}, make([]byte, piece))
}

func echo(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	if r.ProtoMajor == 1 {
		control.EnableFullDuplex()
	}
	w.WriteHeader(http.StatusOK)
	control.Flush()
	data := make([]byte, piece)
	for {
		n, err := r.Body.Read(data)
		if n > 0 {
			w.Write(data[:n])
			control.Flush()
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

func back(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Write(body)
}

func count(w http.ResponseWriter, r *http.Request) {
	n, err := check(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprint(w, n)
}

func serve(arguments []string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /size/{n}", func(w http.ResponseWriter, r *http.Request) { sized(w, r, true) })
	mux.HandleFunc("GET /pieces/{n}", func(w http.ResponseWriter, r *http.Request) { sized(w, r, false) })
	mux.HandleFunc("POST /echo", echo)
	mux.HandleFunc("POST /back", back)
	mux.HandleFunc("POST /count", count)
	server := &http.Server{
		Addr:      arguments[0],
		Protocols: new(http.Protocols),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Version", r.Proto)
			mux.ServeHTTP(w, r)
		}),
	}
	server.Protocols.SetHTTP1(true)
	if len(arguments) == 3 {
		server.Protocols.SetHTTP2(true)
		return server.ListenAndServeTLS(arguments[1], arguments[2])
	}
	server.Protocols.SetUnencryptedHTTP2(true)
	return server.ListenAndServe()
}

type way struct {
	name, method, path     string
	sends, chunked, counts bool
}

var ways = []way{
	{name: "size", method: "GET", path: "/size/%d"},
	{name: "pieces", method: "GET", path: "/pieces/%d"},
	{name: "count", method: "POST", path: "/count", sends: true, counts: true},
	{name: "count_pieces", method: "POST", path: "/count", sends: true, chunked: true, counts: true},
	{name: "back", method: "POST", path: "/back", sends: true},
	{name: "echo", method: "POST", path: "/echo", sends: true},
	{name: "echo_pieces", method: "POST", path: "/echo", sends: true, chunked: true},
}

// call makes one, and gives the version that the answer came by.
func call(client *http.Client, base string, w way, length int64) (string, error) {
	path := w.path
	if !w.sends {
		path = fmt.Sprintf(w.path, length)
	}
	request, err := http.NewRequest(w.method, base+path, nil)
	if err != nil {
		return "", err
	}
	if w.sends {
		request.Body = io.NopCloser(&reader{length: length})
		request.ContentLength = length
		if w.chunked {
			request.ContentLength = -1
		} else if length == 0 {
			request.Body = http.NoBody
		}
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the status is %d", response.StatusCode)
	}
	if w.name == "size" && response.ContentLength != length {
		return "", fmt.Errorf("the head announces %d bytes", response.ContentLength)
	}
	if w.counts {
		said, err := io.ReadAll(response.Body)
		if err == nil && string(said) != strconv.FormatInt(length, 10) {
			err = fmt.Errorf("the server counted %q", said)
		}
		return response.Proto, err
	}
	came, err := check(response.Body)
	if err == nil && came != length {
		err = fmt.Errorf("%d bytes came", came)
	}
	return response.Proto, err
}

func newClient(version, ca string) (*http.Client, error) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	transport.Protocols.SetHTTP1(version == "1")
	transport.Protocols.SetHTTP2(version == "2")
	transport.Protocols.SetUnencryptedHTTP2(version == "2")
	return &http.Client{Transport: transport, Timeout: time.Minute}, nil
}

func calls(arguments []string) error {
	ca := ""
	if len(arguments) == 5 {
		ca = arguments[4]
	}
	client, err := newClient(arguments[0], ca)
	if err != nil {
		return err
	}
	wanted := strings.Split(arguments[3], ",")
	for _, w := range ways {
		if !slices.Contains(wanted, w.name) {
			continue
		}
		for _, text := range strings.Split(arguments[2], ",") {
			length, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return err
			}
			if version, err := call(client, arguments[1], w, length); err != nil {
				fmt.Printf("%s %d: %v\n", w.name, length, err)
			} else {
				fmt.Printf("%s %d %s ok\n", w.name, length, version)
			}
		}
	}
	return nil
}

func main() {
	arguments := os.Args[1:]
	var err error
	switch {
	case (len(arguments) == 2 || len(arguments) == 4) && arguments[0] == "serve":
		err = serve(arguments[1:])
	case (len(arguments) == 5 || len(arguments) == 6) && arguments[0] == "call":
		err = calls(arguments[1:])
	default:
		err = fmt.Errorf("usage: go_peer serve ADDRESS [CERTIFICATE KEY] | " +
			"call VERSION BASE-URL LENGTH,... WAY,... [CA]")
	}
	if err != nil {
		log.Fatal(err)
	}
}
