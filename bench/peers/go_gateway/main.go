// GET /api/all by net/http: asks every service at once and splices the answers, checked but not
// decoded, under the services' names in the order given.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const callTimeout = 10 * time.Second

type service struct {
	name, url string
	prefix    []byte // what stands before its part in the merged object
}

type gateway struct {
	client   *http.Client
	services []service
}

func (g *gateway) part(ctx context.Context, s *service) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := g.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", s.name, answer.StatusCode)
	}
	body, err := readBody(answer)
	if err == nil && !json.Valid(body) {
		err = fmt.Errorf("%s: not JSON", s.name)
	}
	return body, err
}

func readBody(answer *http.Response) ([]byte, error) {
	if answer.ContentLength < 0 || answer.ContentLength > 1<<20 {
		return io.ReadAll(answer.Body)
	}
	body := make([]byte, answer.ContentLength)
	_, err := io.ReadFull(answer.Body, body)
	return body, err
}

func (g *gateway) all(w http.ResponseWriter, r *http.Request) {
	parts := make([][]byte, len(g.services))
	errs := make([]error, len(g.services))
	var wait sync.WaitGroup

	wait.Add(len(g.services))
	for i := range g.services {
		go func(i int) {
			defer wait.Done()
			parts[i], errs[i] = g.part(r.Context(), &g.services[i])
		}(i)
	}
	wait.Wait()

	size := 2
	for i, err := range errs {
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		size += len(g.services[i].prefix) + len(parts[i])
	}
	body := make([]byte, 0, size)
	for i := range parts {
		body = append(body, g.services[i].prefix...)
		body = append(body, parts[i]...)
	}
	body = append(body, '}')
	w.Header()["Content-Type"] = []string{"application/json"}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.Write(body)
}

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: gateway HOST:PORT NAME=URL...")
	}
	g := &gateway{client: &http.Client{Transport: &http.Transport{
		MaxIdleConns:        0,
		MaxIdleConnsPerHost: 4096,
		DisableCompression:  true,
		WriteBufferSize:     1024,
		ReadBufferSize:      2048,
	}}}
	for i, arg := range os.Args[2:] {
		name, url, found := strings.Cut(arg, "=")
		if !found {
			log.Fatalf("%q is not NAME=URL", arg)
		}
		before := ","
		if i == 0 {
			before = "{"
		}
		g.services = append(g.services, service{name, url, []byte(before + strconv.Quote(name) + ":")})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/all", g.all)
	log.Fatal(http.ListenAndServe(os.Args[1], mux))
}
