package engine

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// A source is given up after the limit and not before, whatever it does for a while first.
func TestWatchdog(t *testing.T) {
	const limit = time.Minute
	for name, first := range map[string]func(*watchdog){
		"silent": func(*watchdog) {},
		"slow": func(w *watchdog) {
			for range 10 {
				time.Sleep(limit / 2)
				(&meter{watchdog: w}).AddRows(0)
			}
		},
		"held up by the lake": func(w *watchdog) {
			w.pause()
			time.Sleep(10 * limit)
			w.resume()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var since time.Time
				_, err := watched(t.Context(), limit, func(ctx context.Context, w *watchdog) (int, error) {
					first(w)
					if ctx.Err() != nil {
						t.Error("it was given up while it showed signs of life")
					}
					since = time.Now()
					<-ctx.Done()
					return 0, ctx.Err()
				})
				if e := ingest.AsError(err); e.Code != ingest.SourceUnavailable || !e.Transient {
					t.Errorf("it ended with %v", err)
				}
				if silent := time.Since(since); silent < limit || silent > limit+limit/looks {
					t.Errorf("it was given up after %v, want %v and at most a look more", silent, limit)
				}
			})
		})
	}
}

// What has been opened under the watch is not ended by its end, however much time passes then.
func TestWatchdogStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened, err := watched(t.Context(), time.Minute, func(ctx context.Context, _ *watchdog) (context.Context, error) {
			return ctx, errors.New("refused")
		})
		time.Sleep(time.Hour)
		if err == nil || err.Error() != "refused" || opened.Err() != nil {
			t.Errorf("the end was %v, and the context's is %v", err, opened.Err())
		}
	})
}

// A source is not silent whose rows come so slowly that none of them fills a buffer.
func TestSlowSource(t *testing.T) {
	const limit = time.Second
	slow := func(ctx context.Context, try int, sink Sink) (Tally, error) {
		tick := time.NewTicker(limit / 2)
		defer tick.Stop()
		for range 4 {
			select {
			case <-tick.C:
				sink.AddRows(0)
			case <-ctx.Done():
				return Tally{}, ctx.Err()
			}
		}
		return rows(4)(ctx, try, sink)
	}
	s := newSystem(t, exports{"users": slow, "compras": rows(1)}, "INGESTA_SOURCE_SILENCE="+limit.String())
	s.start()
	if job := s.end(s.submit().ID); job.Status != ingest.Success || job.Attempt != 1 {
		t.Errorf("the job ended as %s after %d attempts: %+v", job.Status, job.Attempt, job.Attempts)
	}
}

// The time that it takes to clear away after a source that failed is not held against the source.
func TestRefusedQueryIsNoSilence(t *testing.T) {
	const limit = 200 * time.Millisecond
	proxy, settings := proxied(t)
	s := newSystem(t, exports{"users": failing(100, permanent), "compras": rows(1)}, "INGESTA_SOURCE_SILENCE="+limit.String())
	s.through(settings)
	aborts := 0
	proxy.seen = func(r *http.Request) {
		if r.Method == http.MethodDelete && r.URL.Query().Has("uploadId") {
			aborts++
			time.Sleep(2 * limit) // an S3 that is slow to abort
		}
	}
	s.start()
	job := s.end(s.submit().ID)
	if r := job.Results.Of("users"); job.Status != ingest.Partial || job.Attempt != 1 || r.Code != ingest.QueryFailed {
		t.Errorf("the job ended as %s after %d attempts, users as %+v; want a query that failed for good", job.Status, job.Attempt, r)
	}
	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	if aborts == 0 {
		t.Error("no upload was aborted")
	}
}
