package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const id = "0196f0a1-0000-7000-8000-000000000001"

// serving is a server that breaks in ways that a gateway does not on demand.
type serving struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
}

// serve answers the n-th request, from 1, by f.
func serve(t *testing.T, f func(n int, w http.ResponseWriter, r *http.Request)) *serving {
	t.Helper()
	s := &serving{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what was lost fails the test elsewhere
		s.mu.Lock()
		s.requests, s.bodies = append(s.requests, r), append(s.bodies, string(body))
		n := len(s.requests)
		s.mu.Unlock()
		f(n, w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// asked returns how many requests came.
func (s *serving) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// headers returns the values of a header, one of each request.
func (s *serving) headers(name string) (values []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		values = append(values, r.Header.Get(name))
	}
	return values
}

// of returns a client of the server, which writes down its troubles.
func of(t *testing.T, s *serving, token string) (*Client, *[]string) {
	t.Helper()
	var mu sync.Mutex
	troubles := &[]string{}
	c, err := New(Config{URL: s.URL, Token: config.Secret(token), Timeout: 10 * time.Second, Agent: "test", Trouble: func(err error, _ time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		*troubles = append(*troubles, err.Error())
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, troubles
}

// sayProblem answers as the gateway does.
func sayProblem(w http.ResponseWriter, status int, code, retryAfter string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Request-Id", "req-7")
	if retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Problem{Status: status, Code: code, Detail: "because", RequestID: "req-7", JobIDs: []string{id}})
}

func sayJob(w http.ResponseWriter, status ingest.Status) {
	_ = json.NewEncoder(w).Encode(ingest.Job{ID: id, Database: ingest.MySQL, Status: status})
}

// hangUp ends the connection without an answer.
func hangUp(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = connection.Close()
	}
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"", "localhost:8000", "ftp://localhost", "http://", "http://ana:pw@localhost", "http://localhost/?a=b", "http://localhost/#a"} {
		if _, err := New(Config{URL: address}); err == nil || strings.Contains(err.Error(), "pw@") {
			t.Errorf("%q: %v; want an error that shows no password", address, err)
		}
	}
	s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { sayJob(w, ingest.Success) })
	c, err := New(Config{URL: s.URL + "/under/here/"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Job(t.Context(), "a/b?c"); err != nil {
		t.Fatal(err)
	}
	if got := s.requests[0].RequestURI; got != "/under/here/api/ingesta/jobs/a%2Fb%3Fc" {
		t.Errorf("asked for %s", got)
	}
}

func TestOrder(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/ingesta" {
			_, _ = io.WriteString(w, `{"jobs":[{"job_id":"a","deduplicated":true},{"job_id":"b"}]}`)
			return
		}
		_, _ = io.WriteString(w, `{"job_id":"a","deduplicated":true}`)
	})
	c, _ := of(t, s, "secret-token")
	job, err := c.Run(t.Context(), ingest.MySQL, Options{Datasets: []string{"users"}, OnConflict: Join})
	if err != nil || job.ID != "a" || !job.Deduplicated {
		t.Errorf("got %+v, %v", job, err)
	}
	jobs, err := c.RunAll(t.Context(), Options{OnConflict: Queue, Key: "mine"})
	if err != nil || len(jobs) != 2 || !jobs[0].Deduplicated || jobs[1].Deduplicated {
		t.Errorf("got %+v, %v", jobs, err)
	}
	if _, err := c.Retry(t.Context(), "x", ""); err != nil {
		t.Error(err)
	}
	if want := []string{`{"datasets":["users"],"on_conflict":"join"}`, "", ""}; !slices.Equal(s.bodies, want) {
		t.Errorf("sent %q, want %q", s.bodies, want)
	}
	keys := s.headers("Idempotency-Key")
	if keys[0] == "" || keys[1] != "mine" || keys[2] == "" || keys[0] == keys[2] {
		t.Errorf("the keys are %q: want one each, and mine where it is given", keys)
	}
	for _, header := range [][2]string{{"Authorization", "Bearer secret-token"}, {"Prefer", "respond-async"}, {"User-Agent", "test"}} {
		if got := s.headers(header[0]); !slices.Equal(slices.Compact(got), []string{header[1]}) {
			t.Errorf("%s: %q, want %q on all", header[0], got, header[1])
		}
	}
}

// What may be repeated is, with the same key; the rest is sent once.
func TestRepetition(t *testing.T) {
	run := func(ctx context.Context, c *Client) error {
		_, err := c.Run(ctx, ingest.MySQL, Options{})
		return err
	}
	look := func(ctx context.Context, c *Client) error {
		_, err := c.Job(ctx, id)
		return err
	}
	replay := func(ctx context.Context, c *Client) error {
		_, err := c.Replay(ctx, "a")
		return err
	}
	cancel := func(ctx context.Context, c *Client) error {
		_, err := c.Cancel(ctx, id)
		return err
	}
	lost := func(w http.ResponseWriter) { hangUp(w) }
	away := func(w http.ResponseWriter) { sayProblem(w, 503, "acceptance_unconfirmed", "") }
	proxy := func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }
	refused := func(w http.ResponseWriter) { sayProblem(w, 422, "unknown_dataset", "") }
	broken := func(w http.ResponseWriter) { sayProblem(w, 500, "internal_error", "") }
	tests := []struct {
		name   string
		ask    func(context.Context, *Client) error
		answer func(http.ResponseWriter)
		again  bool
	}{
		{"order lost", run, lost, true}, {"order unconfirmed", run, away, true}, {"order behind a proxy", run, proxy, true},
		{"order refused", run, refused, false}, {"order that breaks the gateway", run, broken, false},
		{"look lost", look, lost, true}, {"look in vain", look, away, true},
		{"replay lost", replay, lost, true},
		{"cancel lost", cancel, lost, false}, {"cancel in vain", cancel, away, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
				if n < 3 {
					tt.answer(w)
				} else {
					sayJob(w, ingest.Success)
				}
			})
			c, troubles := of(t, s, "")
			err := tt.ask(t.Context(), c)
			if want := map[bool]int{true: 3, false: 1}[tt.again]; s.asked() != want || (err == nil) != tt.again {
				t.Errorf("%d requests, %v; want %d", s.asked(), err, want)
			}
			if len(*troubles) != s.asked()-1 {
				t.Errorf("it told of %q", *troubles)
			}
			if keys := slices.Compact(s.headers("Idempotency-Key")); len(keys) != 1 {
				t.Errorf("the keys are %q: want one and the same", keys)
			}
		})
	}
	s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { away(w) })
	c, _ := of(t, s, "")
	err := run(t.Context(), c)
	if p, ok := errors.AsType[*Problem](err); !ok || s.asked() != attempts || p.Status != 503 || p.Code != "acceptance_unconfirmed" || p.RequestID != "req-7" || p.JobIDs[0] != id {
		t.Errorf("after %d requests: %+v", s.asked(), err)
	}
}

func TestRetryAfterIsHeeded(t *testing.T) {
	for _, tt := range []struct {
		retryAfter string
		asks       time.Duration
		pauses     []time.Duration
	}{
		{"5", 5 * time.Second, []time.Duration{5 * time.Second}},
		{"3600", time.Hour, nil}, // nobody waits an hour in front of a terminal, and nobody comes too early
	} {
		s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { sayProblem(w, 429, "rate_limited", tt.retryAfter) })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c, _ := of(t, s, "")
		var pauses []time.Duration
		c.cfg.Trouble = func(_ error, pause time.Duration) {
			pauses = append(pauses, pause)
			cancel()
		}
		_, err := c.Job(ctx, id)
		if p, ok := errors.AsType[*Problem](err); !ok || p.RetryAfter != tt.asks || !slices.Equal(pauses, tt.pauses) || s.asked() != 1 {
			t.Errorf("%v after %d requests, pauses %v, want %v", err, s.asked(), pauses, tt.pauses)
		}
	}
}

func TestUnreachable(t *testing.T) {
	s := serve(t, func(int, http.ResponseWriter, *http.Request) {})
	c, troubles := of(t, s, "")
	s.Close()
	_, err := c.Run(t.Context(), ingest.MySQL, Options{})
	if lost, ok := errors.AsType[*Unreachable](err); !ok || lost.Sent || lost.URL != s.URL || len(*troubles) > 0 {
		t.Errorf("got %v after %q; want that nobody listens, at once", err, *troubles)
	}

	hanging := make(chan struct{})
	silent := serve(t, func(int, http.ResponseWriter, *http.Request) { <-hanging })
	defer close(hanging)
	c, _ = of(t, silent, "")
	c.cfg.Timeout = 20 * time.Millisecond
	_, err = c.Cancel(t.Context(), id)
	if lost, ok := errors.AsType[*Unreachable](err); !ok || !lost.Sent || !errors.Is(err, errNoAnswer) {
		t.Errorf("got %v; want that no answer came", err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("ours"))
	defer cancel()
	c.cfg.Timeout = time.Minute
	if _, err := c.Cancel(ctx, id); err == nil || err.Error() != "ours" {
		t.Errorf("got %v; want the cause of our context's end", err)
	}
}

// What is not the gateway is told from it, and its pages are not poured over people.
func TestStrangers(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"page", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<html>no</html>")
		}, "the answer is 404 Not Found, and not in the gateway's words"},
		{"text", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no\n such thing", http.StatusForbidden) }, "the answer is 403 Forbidden, and not in the gateway's words: no such thing"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusMovedPermanently)
		}, "leads to https://elsewhere.example/"},
		{"success", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "is that the gateway?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { tt.answer(w, r) })
			c, _ := of(t, s, "secret-token")
			if _, err := c.Job(t.Context(), id); err == nil || !strings.Contains(err.Error(), tt.want) || s.asked() != 1 {
				t.Errorf("got %v after %d requests; want %q", err, s.asked(), tt.want)
			}
		})
	}
}

func TestDownload(t *testing.T) {
	var storage *serving
	storage = serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hop":
			http.Redirect(w, r, storage.URL+"/object", http.StatusFound)
		case "/object":
			_, _ = io.WriteString(w, "id\n1\n")
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>`)
		}
	})
	target := "/hop?signature=s3cret"
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, storage.URL+target, http.StatusTemporaryRedirect)
	})
	c, _ := of(t, s, "secret-token")
	object, err := c.Download(t.Context(), id, "users")
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(object)
	if err != nil || string(content) != "id\n1\n" || object.Size != 5 {
		t.Errorf("got %q of %d bytes, %v", content, object.Size, err)
	}
	if err := object.Close(); err != nil {
		t.Error(err)
	}
	if got := s.headers("Authorization"); got[0] != "Bearer secret-token" {
		t.Errorf("the gateway got %q", got)
	}
	if got := storage.headers("Authorization"); slices.ContainsFunc(got, func(v string) bool { return v != "" }) {
		t.Errorf("the storage got the token: %q", got)
	}
	target = "/expired?signature=s3cret"
	if _, err := c.Download(t.Context(), id, "users"); err == nil || !strings.Contains(err.Error(), "AccessDenied: Request has expired") {
		t.Errorf("got %v; want what the storage says", err)
	}
	storage.Close()
	_, err = c.Download(t.Context(), id, "users")
	if lost, ok := errors.AsType[*Unreachable](err); !ok || lost.URL != storage.URL || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v; want that the storage is away, without the link", err)
	}
}
