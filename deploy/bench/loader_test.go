package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/ingest"
)

func TestLoaderSendsTheSameRequestAgainAndAgain(t *testing.T) {
	status, seen := http.StatusAccepted, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/ingesta/mysql" || string(body) != `{"datasets":["users"]}` {
			t.Errorf("asked %s %s %s, %v; want a POST for the dataset", r.Method, r.URL.Path, body, err)
		}
		seen++
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.Repeat("x", 5000)) // the loader reads it or complains
	}))
	defer server.Close()
	l, err := newLoader(t.Context(), gateway{url: server.URL}, dataset{Name: "users", Database: ingest.MySQL})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for range 5 {
		if err := l.post(); err != nil {
			t.Fatal(err)
		}
	}
	if seen != 5 {
		t.Errorf("%d requests arrived; want 5", seen)
	}
	status = http.StatusServiceUnavailable
	if err := l.post(); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a request that is refused: %v; want an error that says so", err)
	}
}
