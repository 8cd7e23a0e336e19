package testbed

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// recorder is a durable queue that keeps every event for the audit, whatever happens to connections.
const recorder = "testbed.events"

// recordEvents makes the recorder, and waits until it is bound.
func (s *System) recordEvents() {
	s.t.Helper()
	stacktest.Management(s.t, http.MethodPut, "/api/queues/"+s.VHost+"/"+recorder, map[string]any{"durable": true}, nil)
	stacktest.Management(s.t, http.MethodPost, "/api/bindings/"+s.VHost+"/e/"+broker.EventsExchange+"/q/"+recorder,
		map[string]any{"routing_key": "job.#"}, nil)
}

// Recorded is an event as it lay in the queue.
type Recorded struct {
	ID, Kind, JobID string
	App             string // that published it: the gateway, or the name of a worker
}

// Events returns every event so far, in the order of the queue.
func (s *System) Events() []Recorded {
	s.t.Helper()
	const all = 1_000
	s.reading.Lock()
	defer s.reading.Unlock()
	for {
		batch := s.Take(recorder, all, false)
		for _, m := range batch {
			text := func(header string) string { value, _ := m.Properties.Headers[header].(string); return value }
			kind := text(broker.HeaderEventType)
			s.recorded = append(s.recorded, Recorded{
				ID: text(broker.HeaderEventID), JobID: text(broker.HeaderEventSubject), Kind: kind[len(ingest.Event{}.Type()):], App: m.Properties.AppID,
			})
		}
		if len(batch) < all {
			return slices.Clone(s.recorded)
		}
	}
}

// Ends returns the events that tell of the job's end.
func (s *System) Ends(id string) (ends []Recorded) {
	s.t.Helper()
	for _, e := range s.Events() {
		if e.JobID == id && ingest.Status(e.Kind).Terminal() {
			ends = append(ends, e)
		}
	}
	return ends
}

// watch looks at the accepted jobs all the time, for what a look at the end would not show: a fence
// that went back, and an end that was not the last.
type watch struct {
	system *System
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex
	fences   map[string]int64
	ends     map[string]ingest.Status
	problems []string
}

func newWatch(s *System) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{system: s, cancel: cancel, fences: map[string]int64{}, ends: map[string]ingest.Status{}}
	w.done.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				w.look()
			}
		}
	})
	return w
}

// look reads every job that is not known to be over.
func (w *watch) look() {
	for _, id := range w.system.Accepted() {
		w.mu.Lock()
		_, over := w.ends[id]
		w.mu.Unlock()
		if over {
			continue
		}
		if job, ok := w.system.Job(id); ok {
			w.see(job)
		}
	}
}

// see holds a job against what was seen of it before.
func (w *watch) see(job ingest.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if before := w.fences[job.ID]; job.Fence < before {
		w.problems = append(w.problems, "I3: the fence of job "+job.ID+" went back")
	}
	w.fences[job.ID] = max(w.fences[job.ID], job.Fence)
	if before, over := w.ends[job.ID]; over && before != job.Status {
		w.problems = append(w.problems, "I1: job "+job.ID+" had ended as "+string(before)+" and is "+string(job.Status))
	}
	if job.Status.Terminal() {
		w.ends[job.ID] = job.Status
	}
}

func (w *watch) complaints() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.problems...)
}

func (w *watch) stop() {
	w.cancel()
	w.done.Wait()
}
