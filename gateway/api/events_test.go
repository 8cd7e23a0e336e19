package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/auth/authtest"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// states returns the job in each status, one after the other.
func states(statuses ...ingest.Status) []ingest.Job {
	var list []ingest.Job
	for _, status := range statuses {
		job := jobOf(someOrder, someID)
		job.Status = status
		list = append(list, job)
	}
	return list
}

// showing returns a watch that shows the jobs.
func showing(list ...ingest.Job) func(context.Context, string, func(ingest.Job) error) error {
	return func(_ context.Context, _ string, f func(ingest.Job) error) error {
		for _, job := range list {
			if err := f(job); err != nil {
				return err
			}
		}
		return nil
	}
}

func line(t *testing.T, job ingest.Job) string {
	t.Helper()
	body, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// tagOf returns the entity tag of the job as GET tells it, without quotes.
func tagOf(t *testing.T, job ingest.Job) string {
	t.Helper()
	a, _ := newAPI(t, &fakeJobs{job: job}, api.Config{})
	return strings.Trim(call(a, http.MethodGet, "/api/ingesta/jobs/"+someID, "").Header().Get("ETag"), `"`)
}

const beginning = "retry: 2000\n\n"

func TestJobEvents(t *testing.T) {
	list := states(ingest.Queued, ingest.Running, ingest.Success)
	event := func(i int) string {
		return "event: job\nid: " + tagOf(t, list[i]) + "\ndata: " + line(t, list[i]) + "\n\n"
	}
	end := "event: end\ndata: " + someID + "\n\n"
	tests := []struct {
		name  string
		shown []ingest.Job
		last  string // Last-Event-ID
		code  int
		want  string
	}{
		{"from the beginning", list, "", 200, beginning + event(0) + event(1) + event(2) + end},
		{"what does not change is sent once", []ingest.Job{list[0], list[0], list[2]}, "", 200, beginning + event(0) + event(2) + end},
		{"resumed, nothing new", list[1:], tagOf(t, list[1]), 200, beginning + event(2) + end},
		{"resumed later", list[1:], tagOf(t, list[0]), 200, beginning + event(1) + event(2) + end},
		{"over", list[2:], "", 200, beginning + event(2) + end},
		{"over, and its end not seen", list[2:], tagOf(t, list[1]), 200, beginning + event(2) + end},
		{"over, and its end seen", list[2:], tagOf(t, list[2]), 204, ""},
		{"resumed with what is no tag", list[2:], "nonsense", 200, beginning + event(2) + end},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, logs := newAPI(t, &fakeJobs{watch: showing(tt.shown...)}, api.Config{})
			w := call(a, http.MethodGet, "/api/ingesta/jobs/"+someID+"/events", "", "Last-Event-ID: "+tt.last, "Accept-Encoding: gzip")
			if w.Code != tt.code || w.Body.String() != tt.want {
				t.Errorf("%d:\n%s\nwant %d:\n%s", w.Code, w.Body, tt.code, tt.want)
			}
			if tt.code != 200 {
				return
			}
			for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "Content-Encoding": "", "X-Accel-Buffering": "no"} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if !strings.Contains(logs.String(), `"job_id":"`+someID) {
				t.Errorf("the access log does not name the job: %s", logs)
			}
		})
	}
}

func TestHeadOfEvents(t *testing.T) {
	a, _ := newAPI(t, &fakeJobs{job: jobOf(someOrder, someID), all: neverEnding}, api.Config{})
	for _, target := range []string{"/api/ingesta/events", "/api/ingesta/jobs/" + someID + "/events"} {
		if w := call(a, http.MethodHead, target, ""); w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/event-stream" || w.Body.Len() > 0 {
			t.Errorf("%s: %d, %v", target, w.Code, w.Header())
		}
	}
}

// neverEnding listens, and hears nothing.
func neverEnding(ctx context.Context, _ string, ready func(string) error, _ func(jobs.Update) error) error {
	if err := ready("7-0"); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestAllEvents(t *testing.T) {
	mysql := states(ingest.Running)[0]
	mongodb := mysql
	mongodb.Database = ingest.MongoDB
	var asked []string
	fake := &fakeJobs{all: func(_ context.Context, after string, ready func(string) error, f func(jobs.Update) error) error {
		asked = append(asked, after)
		if after == "lost" {
			return jobs.ErrPositionLost
		}
		if err := ready("7-0"); err != nil {
			return err
		}
		for _, u := range []jobs.Update{{Job: mysql, Position: "8-0"}, {Job: mongodb}, {Job: mongodb, Position: "9-0"}} {
			if err := f(u); err != nil {
				return err
			}
		}
		return nil
	}}
	a, _ := newAPI(t, fake, api.Config{})
	job := func(id string, j ingest.Job) string { return "event: job\n" + id + "data: " + line(t, j) + "\n\n" }
	const ready, reset = "event: ready\nid: 7-0\ndata: {}\n\n", "event: reset\ndata: {}\n\n"
	all := job("id: 8-0\n", mysql) + job("", mongodb) + job("id: 9-0\n", mongodb)
	for _, tt := range []struct{ query, last, want string }{
		{"", "", ready + all},
		{"", "7-0", all},
		{"", "lost", reset + ready + all},
		{"?database=mysql", "", ready + job("id: 8-0\n", mysql)},
		{"?database=mongodb", "7-0", job("", mongodb) + job("id: 9-0\n", mongodb)},
	} {
		w := call(a, http.MethodGet, "/api/ingesta/events"+tt.query, "", "Last-Event-ID: "+tt.last)
		if w.Code != 200 || w.Body.String() != beginning+tt.want {
			t.Errorf("%q after %q: %d:\n%s\nwant\n%s", tt.query, tt.last, w.Code, w.Body, tt.want)
		}
	}
	if got := strings.Join(asked, ","); got != ",7-0,lost,,,7-0" {
		t.Errorf("asked for %q", got)
	}
}

func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := echo.New()
		w := httptest.NewRecorder()
		s, err := api.OpenEventStream(e.NewContext(httptest.NewRequest(http.MethodGet, "/", nil), w))
		if err != nil {
			t.Fatal(err)
		}
		wait := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		send := func(event api.Event) {
			if err := s.Send(event); err != nil {
				t.Fatal(err)
			}
		}
		wait(14 * time.Second)
		send(api.Event{Name: "job", Data: []byte("two\nlines")})
		wait(14 * time.Second)
		s.Pass("5-0")
		s.Pass("6-0")
		wait(2 * time.Second)
		wait(15 * time.Second)
		s.Pass("7-0")
		send(api.Event{ID: "8-0", Data: []byte("x")})
		wait(15 * time.Second)
		send(api.Event{Name: "job", Data: []byte("three\rdata: are\r\nlines")}) // a field of no event
		s.Close()
		wait(time.Minute)
		want := beginning + "event: job\ndata: two\ndata: lines\n\n" + ": heartbeat\nid: 6-0\n\n" + ": heartbeat\n\n" + "id: 8-0\ndata: x\n\n" + ": heartbeat\n\n" +
			"event: job\ndata: three\ndata: data: are\ndata: lines\n\n"
		if got := w.Body.String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if err := s.Send(api.Event{Data: []byte("x")}); err == nil {
			t.Error("a closed stream takes an event")
		}
	})
}

func TestDrainEndsStreams(t *testing.T) {
	a, _ := newAPI(t, &fakeJobs{all: neverEnding}, api.Config{})
	answered := make(chan *httptest.ResponseRecorder)
	go func() { answered <- call(a, http.MethodGet, "/api/ingesta/events", "") }()
	a.Drain()
	select {
	case w := <-answered:
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), beginning) {
			t.Errorf("a stream that the drain ended is %d: %s", w.Code, w.Body)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the drain did not end the stream")
	}
	// Who comes then is told to come again by the very form that browsers come again for.
	away := &fakeJobs{
		all: func(ctx context.Context, _ string, _ func(string) error, _ func(jobs.Update) error) error {
			return ctx.Err()
		},
		watch: func(ctx context.Context, _ string, _ func(ingest.Job) error) error { return ctx.Err() },
	}
	a, logs := newAPI(t, away, api.Config{})
	a.Drain()
	for _, target := range []string{"/api/ingesta/events", "/api/ingesta/jobs/" + someID + "/events"} {
		if w := call(a, http.MethodGet, target, ""); w.Code != http.StatusOK || w.Body.String() != beginning {
			t.Errorf("%s, during the drain: %d: %s", target, w.Code, w.Body)
		}
	}
	if strings.Contains(logs.String(), "ERROR") {
		t.Errorf("the log complains: %s", logs)
	}
}

// A stream shows what happens to whoever may look, and so it is over when its token is.
func TestStreamsEndWithTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeJobs{all: neverEnding, watch: func(ctx context.Context, _ string, f func(ingest.Job) error) error {
			if err := f(states(ingest.Running)[0]); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}}
		door := auth.Config{Mode: auth.JWT, Secret: secret, Issuer: "us", Audience: authtest.Audience, Leeway: 30 * time.Second}
		a, logs := newGuardedAPI(t, fake, api.Config{}, door)
		for _, target := range []string{"/api/ingesta/events", "/api/ingesta/jobs/" + someID + "/events"} {
			begun := time.Now()
			token, err := auth.Mint(door, auth.Claims{Subject: "ana", Scopes: []auth.Scope{auth.Read}, TTL: time.Minute}, begun)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			cancel()
			if took := time.Since(begun); w.Code != http.StatusOK || took != 90*time.Second {
				t.Errorf("%s answers %d and ends after %s, want the token's minute and the leeway", target, w.Code, took)
			}
		}
		if strings.Contains(logs.String(), "ERROR") {
			t.Errorf("the log complains: %s", logs)
		}
	})
}

// A client that does not read is cut off; what it is not sent does not pile up.
func TestSlowListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := states(ingest.Running)[0]
		sent, ended := 0, make(chan error, 1)
		fake := &fakeJobs{all: func(_ context.Context, _ string, ready func(string) error, f func(jobs.Update) error) error {
			err := ready("1-0")
			for ; err == nil; sent++ {
				err = f(jobs.Update{Job: job})
			}
			ended <- err
			return err
		}}
		a, logs := newAPI(t, fake, api.Config{})
		client, server := net.Pipe() // holds nothing: what is not read is not sent
		serving := &http.Server{Handler: a}
		stopped := make(chan error, 1)
		listener := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
		listener.conn <- server
		go func() { stopped <- serving.Serve(listener) }()
		begun := time.Now()
		if _, err := io.WriteString(client, "GET /api/ingesta/events HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) > 20*time.Second || sent > 1 {
			t.Errorf("after %s and %d events the stream ended with %v", time.Since(begun), sent, err)
		}
		if err := serving.Close(); err != nil {
			t.Error(err)
		}
		if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
		if strings.Contains(logs.String(), "ERROR") {
			t.Errorf("a slow client is no failure of ours: %s", logs)
		}
	})
}

// oneConn is a listener to which one connection comes.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
