package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// events writes a stream, an event for each state.
type events struct{ w http.ResponseWriter }

func stream200(w http.ResponseWriter) events {
	w.Header().Set("Content-Type", "text/event-stream")
	e := events{w}
	e.write("retry: 1\n\n: heartbeat\n\n")
	return e
}

func (e events) write(text string) {
	_, _ = io.WriteString(e.w, text) // the client's end shows elsewhere
	_ = http.NewResponseController(e.w).Flush()
}

func (e events) job(eventID string, status ingest.Status) {
	data, _ := json.Marshal(ingest.Job{ID: id, Status: status}) // of a struct that can be written
	e.write(fmt.Sprintf("event: job\nid: %s\ndata: %s\n\n", eventID, data))
}

func (e events) end() { e.write("event: end\ndata: " + id + "\n\n") }

// watch returns the states that a Watch tells.
func watch(ctx context.Context, c *Client) (states []ingest.Status, err error) {
	err = c.Watch(ctx, id, func(job ingest.Job) error {
		states = append(states, job.Status)
		return nil
	})
	return states, err
}

func TestWatchStream(t *testing.T) {
	s := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch n {
		case 1:
			sayProblem(w, 429, "rate_limited", "")
		case 2:
			e := stream200(w)
			e.job("a", ingest.Queued)
			e.job("b", ingest.Running)
			hangUp(w)
		case 3:
			sayProblem(w, 503, "redis_unavailable", "")
		case 4:
			e := stream200(w)
			e.job("c", ingest.Running) // and the gateway stops
		default:
			e := stream200(w)
			e.job("d", ingest.Success)
			e.end()
		}
	})
	c, troubles := of(t, s, "")
	states, err := watch(t.Context(), c)
	want := []ingest.Status{ingest.Queued, ingest.Running, ingest.Running, ingest.Success}
	if err != nil || !slices.Equal(states, want) {
		t.Errorf("told %v, %v; want %v", states, err, want)
	}
	if ids := s.headers("Last-Event-Id"); !slices.Equal(ids, []string{"", "", "b", "b", "c"}) {
		t.Errorf("it resumed after %q", ids)
	}
	if len(*troubles) != 4 {
		t.Errorf("it told of %q, want the four troubles", *troubles)
	}
	if path := s.requests[0].URL.Path; path != "/api/ingesta/jobs/"+id+"/events" {
		t.Errorf("asked for %s", path)
	}
}

func TestWatchByAsking(t *testing.T) {
	s := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"tag"`)
		switch {
		case strings.HasSuffix(r.URL.Path, "/events"):
			sayProblem(w, 404, "not_found", "")
		case n == 2:
			sayJob(w, ingest.Running)
		case n == 3:
			w.WriteHeader(http.StatusNotModified)
		case n == 4:
			hangUp(w)
		default:
			sayJob(w, ingest.Success)
		}
	})
	c, _ := of(t, s, "")
	states, err := watch(t.Context(), c)
	if want := []ingest.Status{ingest.Running, ingest.Success}; err != nil || !slices.Equal(states, want) {
		t.Errorf("told %v, %v; want %v", states, err, want)
	}
	if tags := s.headers("If-None-Match"); !slices.Equal(tags, []string{"", "", `"tag"`, `"tag"`, `"tag"`}) {
		t.Errorf("it asked with the tags %q", tags)
	}
}

func TestWatchGivesUp(t *testing.T) {
	answers := map[string]func(w http.ResponseWriter){
		"job_not_found":   func(w http.ResponseWriter) { sayProblem(w, 404, "job_not_found", "") },
		"unauthenticated": func(w http.ResponseWriter) { sayProblem(w, 401, "unauthenticated", "") },
	}
	for code, answer := range answers {
		t.Run(code, func(t *testing.T) {
			s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { answer(w) })
			c, _ := of(t, s, "")
			states, err := watch(t.Context(), c)
			if p, ok := errors.AsType[*Problem](err); !ok || p.Code != code || len(states) > 0 || s.asked() != 1 {
				t.Errorf("told %v, %v after %d requests; want %s at once", states, err, s.asked(), code)
			}
		})
	}
}

// A watch comes back when the gateway says, and not sooner; an hour later nobody watches any more.
func TestWatchHeedsRetryAfter(t *testing.T) {
	for retryAfter, want := range map[string][]time.Duration{"1": {reconnectPause}, "30": {30 * time.Second}, "3600": nil} {
		s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { sayProblem(w, 429, "rate_limited", retryAfter) })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c, _ := of(t, s, "")
		var pauses []time.Duration
		c.cfg.Trouble = func(_ error, pause time.Duration) {
			pauses = append(pauses, pause)
			cancel()
		}
		if _, err := watch(ctx, c); err == nil || !slices.Equal(pauses, want) || s.asked() != 1 {
			t.Errorf("asked for %s seconds it pauses %v, want %v: %v", retryAfter, pauses, want, err)
		}
	}
}

// A gateway that never was there is not waited for, unlike one that was.
func TestWatchOfNobody(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { sayJob(w, ingest.Running) })
	for _, met := range []bool{false, true} {
		c, troubles := of(t, s, "")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if met {
			if _, err := c.Job(ctx, id); err != nil {
				t.Fatal(err)
			}
			told := c.cfg.Trouble
			c.cfg.Trouble = func(err error, pause time.Duration) {
				told(err, pause)
				cancel()
			}
			s.Close()
		} else {
			c.base.Host = "127.0.0.1:1"
		}
		_, err := watch(ctx, c)
		if _, lost := errors.AsType[*Unreachable](err); lost == met || len(*troubles) != map[bool]int{true: 1}[met] {
			t.Errorf("met %t: %v, after the troubles %q", met, err, *troubles)
		}
	}
}

func TestWatchIsStopped(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		stream200(w).job("a", ingest.Running)
		<-r.Context().Done()
	})
	c, _ := of(t, s, "")
	enough := errors.New("enough")
	if err := c.Watch(t.Context(), id, func(ingest.Job) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v, want the caller's error", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	err := c.Watch(ctx, id, func(ingest.Job) error {
		cancel(enough)
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("got %v, want the cause of the context's end", err)
	}
}
