package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/jobs"
)

// page is a route for people that shows the text.
func page(path string, need auth.Scope, text string) api.Route {
	return api.Route{
		Method: http.MethodGet, Path: path, Need: need,
		Handle: func(c echo.Context) error { return c.HTML(http.StatusOK, text) },
		Refuse: func(c echo.Context, p *api.Problem) error {
			return c.HTML(p.Status, "refused: "+string(p.Code)+" "+p.RequestID)
		},
	}
}

func TestHomeIsForPeopleAndPrograms(t *testing.T) {
	a, _ := newGuardedAPI(t, &fakeJobs{}, api.Config{}, auth.Config{}, page("/", auth.Read, "the dashboard"))
	for accept, people := range map[string]bool{
		"":                                true,
		"*/*":                             true,
		"text/html,application/xhtml+xml": true,
		"application/json":                false,
		"text/html;q=0.1, Application/JSON;q=0.9": false,
		"application/jsonish":                     true,
	} {
		w := call(a, "GET", "/", "", "Accept: "+accept)
		if isPage := w.Body.String() == "the dashboard"; w.Code != http.StatusOK || isPage != people {
			t.Errorf("Accept: %q answers %d, the page: %v; want 200, %v", accept, w.Code, isPage, people)
		}
		if w.Header().Get("Vary") != "Accept" {
			t.Errorf("Accept: %q: Vary is %q, want Accept", accept, w.Header().Get("Vary"))
		}
	}
}

func TestRoutesOfOthersAreGuarded(t *testing.T) {
	failing := page("/fails", api.OpenToAll, "")
	failing.Handle = func(echo.Context) error { return &jobs.Error{Code: jobs.NotFound, Message: "there is none"} }
	panicking := page("/panics", api.OpenToAll, "")
	panicking.Handle = func(echo.Context) error { panic(errSecret) }
	a, logs := newGuardedAPI(t, &fakeJobs{}, api.Config{}, auth.Config{
		Mode: auth.JWT, Secret: "0123456789abcdef0123456789abcdef", Issuer: "i", Audience: "a",
	}, page("/", auth.Read, "the dashboard"), page("/closed", auth.Read, "closed"), failing, panicking)
	for path, want := range map[string]string{
		"/":       "401 refused: unauthenticated",
		"/closed": "401 refused: unauthenticated",
		"/fails":  "404 refused: job_not_found",
		"/panics": "500 refused: internal_error",
	} {
		w := call(a, "GET", path, "", "X-Request-Id: mine")
		if got := strconv.Itoa(w.Code) + " " + w.Body.String(); got != want+" mine" {
			t.Errorf("%s answers %q, want %q", path, got, want+" mine")
		}
	}
	for path, want := range map[string]string{
		"/nowhere": "401 refused: unauthenticated mine", "/api/ingesta/nowhere/at/all": `401 {"type"`,
	} {
		w := call(a, "GET", path, "", "X-Request-Id: mine", "Accept: text/html,*/*;q=0.8")
		if got := strconv.Itoa(w.Code) + " " + w.Body.String(); !strings.HasPrefix(got, want) {
			t.Errorf("a browser that asks for %s gets %q, want %q", path, got, want)
		}
		if w := call(a, "GET", path, ""); !strings.HasPrefix(w.Body.String(), "{") {
			t.Errorf("a program that asks for %s gets %q, want JSON", path, w.Body)
		}
	}
	if w := call(a, "GET", "/", "", "Accept: application/json"); w.Code != http.StatusOK {
		t.Errorf("the service index answers %d to a stranger, want 200", w.Code)
	}
	if !strings.Contains(logs.String(), "hunter2") {
		t.Error("the cause of a panic is not in the log")
	}
}

// A stream outlasts the server's timeouts, and ends when the gateway drains.
func TestStream(t *testing.T) {
	const timeout = 100 * time.Millisecond
	ended := make(chan error, 1)
	a, _ := newGuardedAPI(t, &fakeJobs{}, api.Config{}, auth.Config{}, api.Route{
		Method: http.MethodGet, Path: "/stream", Need: api.OpenToAll, Stream: true,
		Handle: func(c echo.Context) error {
			ctx, w := c.Request().Context(), c.Response()
			for range 5 {
				select {
				case <-time.After(timeout / 2):
				case <-ctx.Done():
				}
				if _, err := io.WriteString(w, "line\n"); err != nil {
					ended <- err
					return err
				}
				w.Flush()
			}
			<-ctx.Done()
			ended <- ctx.Err()
			return nil
		},
	})
	server := httptest.NewUnstartedServer(a)
	server.Config.ReadTimeout, server.Config.WriteTimeout = timeout, timeout
	server.Start()
	defer server.Close()
	response, err := http.Get(server.URL + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for n := range 5 {
		if !lines.Scan() {
			t.Fatalf("the stream was cut after %d lines: %v", n, lines.Err())
		}
	}
	a.Drain()
	if err := <-ended; err == nil || !errors.Is(err, context.Canceled) {
		t.Errorf("at the drain the stream ended with %v, want the end of its context", err)
	}
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("after the drain: %q, %v; want a clean end", lines.Text(), lines.Err())
	}
}
