package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoggerNamesTheService(t *testing.T) {
	for format, want := range map[Format]string{JSON: `"service":"gateway"`, Text: "service=gateway"} {
		var out strings.Builder
		log := NewLogger(&out, Config{Level: slog.LevelWarn, Format: format}, "gateway")
		log.Info("not important")
		log.Warn("important")
		if got := out.String(); !strings.Contains(got, want) || strings.Contains(got, "not important") {
			t.Errorf("%s: got %q, want only the warning, with %s", format, got, want)
		}
	}
	var f Format
	if err := f.UnmarshalText([]byte("xml")); err == nil {
		t.Error("an unknown format was accepted")
	}
}

// Checks run side by side, and one that hangs is given up.
func TestRunChecks(t *testing.T) {
	meet := make(chan struct{})
	checks := []Check{
		{Name: "left", Run: func(context.Context) error { meet <- struct{}{}; return nil }},
		{Name: "right", Run: func(context.Context) error { <-meet; return errors.New("it is away") }},
	}
	status, report := run(t.Context(), checks)
	if status != http.StatusServiceUnavailable || report["left"] != "ok" || report["right"] != "it is away" {
		t.Errorf("got %d %v", status, report)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	hangs := Check{Name: "hangs", Run: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	if status, _ := run(ctx, []Check{hangs}); status != http.StatusServiceUnavailable {
		t.Errorf("a check that hangs counts as %d", status)
	}
}

func TestServe(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()

	broken := errors.New("the source is away")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, address, []Check{{Name: "source", Run: func(context.Context) error { return broken }}}, NewRegistry())
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string, error) {
		response, err := client.Get("http://" + address + path)
		if err != nil {
			return 0, "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return response.StatusCode, string(body), err
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, _, err := get("/health"); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("nobody listens: %v", err)
		}
	}
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/health":  {http.StatusOK, "ok"},
		"/ready":   {http.StatusServiceUnavailable, broken.Error()},
		"/metrics": {http.StatusOK, "go_goroutines"},
		"/other":   {http.StatusNotFound, ""},
	} {
		status, body, err := get(path)
		if err != nil || status != want.status || !strings.Contains(body, want.body) {
			t.Errorf("%s: got %d %.80s (%v), want %d and %q", path, status, body, err, want.status, want.body)
		}
		if path == "/ready" && !json.Valid([]byte(body)) {
			t.Errorf("%s is no JSON: %s", path, body)
		}
	}

	// The port is taken now: a second listener says so.
	if err := Serve(ctx, address, nil, NewRegistry()); err == nil || !strings.Contains(fmt.Sprint(err), "listening") {
		t.Errorf("a taken port: got %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("an orderly end: %v", err)
	}
}
