package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

const (
	// silence is how long a stream may say nothing before it is taken for dead: three heartbeats.
	silence = 45 * time.Second

	// patience is how long a gateway that was there may be away before Watch gives up. One that has never
	// answered this client is not waited for: its address may be wrong.
	patience = 3 * time.Minute

	reconnectPause = 2 * time.Second // where the server asks for none
	pollPause      = 500 * time.Millisecond
)

// Watch calls f with the job as it is, then after each change, and returns nil after f has seen the
// end. While the gateway is away for less than minutes it tries again. Its errors are f's, ctx's, and
// those of Job.
//
// It listens to the gateway's event stream, and asks again and again where there is none.
func (c *Client) Watch(ctx context.Context, id string, f func(ingest.Job) error) error {
	w := &watcher{client: c, id: id, tell: f, pause: reconnectPause, seen: time.Now()}
	for {
		err := w.listen(ctx)
		switch {
		case w.over:
			return nil
		case w.stopped != nil:
			return w.stopped
		case errors.Is(err, errNoStream):
			return w.poll(ctx)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		if err := w.giveUp(err); err != nil {
			return err
		}
		pause := w.pauseAfter(err)
		c.cfg.Trouble(err, pause)
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

// watcher is a Watch under way.
type watcher struct {
	client *Client
	id     string
	tell   func(ingest.Job) error

	lastID  string        // of the stream's last event
	pause   time.Duration // before a reconnection
	seen    time.Time     // when the gateway said something last
	over    bool          // the end was told
	stopped error         // what tell said
}

// show tells of the job.
func (w *watcher) show(job ingest.Job) {
	if w.stopped = w.tell(job); w.stopped == nil {
		w.over = job.Status.Terminal()
	}
}

// giveUp returns the error unless trying again makes sense: the gateway was there not long ago.
func (w *watcher) giveUp(err error) error {
	if refused, ok := errors.AsType[*Problem](err); ok && (!refused.Temporary() || refused.RetryAfter > patience) {
		return err
	}
	if !w.client.met.Load() || time.Since(w.seen) > patience {
		return err
	}
	return nil
}

// pauseAfter returns how long to wait after the error before trying again.
func (w *watcher) pauseAfter(err error) time.Duration {
	if refused, ok := errors.AsType[*Problem](err); ok {
		return max(w.pause, refused.RetryAfter)
	}
	return w.pause
}

// errNoStream means that this gateway has no event stream.
var errNoStream = errors.New("the gateway has no event stream")

// listen follows the event stream until that ends. It never returns nil unless the end was told.
func (w *watcher) listen(ctx context.Context) error {
	within, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(w.client.cfg.Timeout, func() { cancel(errNoAnswer) })
	defer watchdog.Stop()

	r := get("api", "ingesta", "jobs", w.id, "events")
	r.header = http.Header{"Accept": {"text/event-stream, application/problem+json"}, "Cache-Control": {"no-store"}}
	if w.lastID != "" {
		r.header.Set("Last-Event-Id", w.lastID)
	}
	request, err := w.client.request(within, r)
	if err != nil {
		return err
	}
	response, err := w.client.http.Do(request)
	if err != nil {
		return w.client.lost(ctx, within, err)
	}
	defer response.Body.Close()
	w.client.met.Store(true)
	switch {
	case response.StatusCode == http.StatusNoContent:
		return errNoStream // it takes the last event that we know for the end: asking tells
	case response.StatusCode != http.StatusOK:
		p := problemOf(readAll(response))
		if p.Status == http.StatusNotFound && p.Code != "job_not_found" {
			return errNoStream
		}
		return p
	case !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream"):
		return errNoStream
	}
	events := newStream(response.Body, func() {
		w.seen = time.Now()
		watchdog.Reset(silence)
	})
	events.lastID = w.lastID
	for !w.over && w.stopped == nil {
		e, err := events.next()
		w.lastID = events.lastID
		if events.retry > 0 {
			w.pause = events.retry
		}
		if err != nil {
			return w.client.lost(ctx, within, err)
		}
		if e.name != "job" {
			continue
		}
		var job ingest.Job
		if err := json.Unmarshal(e.data, &job); err != nil {
			return fmt.Errorf("reading an event of job %s: %w", w.id, err)
		}
		w.show(job)
	}
	return nil
}

// poll asks for the job until it is over.
func (w *watcher) poll(ctx context.Context) error {
	tag := ""
	for {
		r := get("api", "ingesta", "jobs", w.id)
		if tag != "" {
			r.header = http.Header{"If-None-Match": {tag}}
		}
		var job ingest.Job
		a, err := w.client.exchange(ctx, r)
		switch {
		case err != nil:
		case a.status == http.StatusNotModified:
			w.seen = time.Now()
		case a.status == http.StatusOK:
			w.seen = time.Now()
			if err = json.Unmarshal(a.body, &job); err == nil {
				tag = a.header.Get("Etag")
				w.show(job)
			}
		default:
			err = problemOf(a)
		}
		pause := pollPause
		switch {
		case w.stopped != nil:
			return w.stopped
		case w.over:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			if err := w.giveUp(err); err != nil {
				return err
			}
			pause = w.pauseAfter(err)
			w.client.cfg.Trouble(err, pause)
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}
