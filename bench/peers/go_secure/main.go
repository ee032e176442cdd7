// A small answer and a large one over TLS, HTTP/1.1 and HTTP/2, by net/http.
package main

import (
	"bytes"
	"log"
	"net/http"
	"os"
	"strconv"
)

var (
	hello     = []byte("Hello, World!")
	bulk      = bytes.Repeat([]byte("0123456789"), 1<<20)
	textPlain = []string{"text/plain; charset=utf-8"}
	bulkSize  = []string{strconv.Itoa(10 << 20)}
)

func plaintext(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = textPlain
	w.Write(hello)
}

func large(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Length"] = bulkSize
	w.Write(bulk)
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: secure HOST:PORT CERTIFICATE KEY")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/plaintext", plaintext)
	mux.HandleFunc("/bulk", large)
	log.Fatal(http.ListenAndServeTLS(os.Args[1], os.Args[2], os.Args[3], mux))
}
