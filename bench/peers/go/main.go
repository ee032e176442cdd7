// The two small answers of examples/hello, by net/http.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
)

type message struct {
	Message string `json:"message"`
}

var (
	hello     = []byte("Hello, World!")
	textPlain = []string{"text/plain; charset=utf-8"}
	appJSON   = []string{"application/json"}
)

func plaintext(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = textPlain
	w.Write(hello)
}

func jsonMessage(w http.ResponseWriter, _ *http.Request) {
	body, err := json.Marshal(message{"Hello, World!"})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header()["Content-Type"] = appJSON
	w.Write(body)
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: hello HOST:PORT")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/plaintext", plaintext)
	mux.HandleFunc("/json", jsonMessage)
	log.Fatal(http.ListenAndServe(os.Args[1], mux))
}
