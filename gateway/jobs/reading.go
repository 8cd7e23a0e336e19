package jobs

import (
	"cmp"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// reading is what one round reads.
type reading struct {
	jobs  []read
	begun time.Time
	told  jobstore.Position // where everything is told up to when it is done; empty: no further than before
}

// read is one job of a round, with what was known of it when the round began.
type read struct {
	topic           *topic
	changed, urgent bool
	heard           jobstore.Position
}

// take returns what is to be read now, and how long the next is not due after it.
func (h *hub) take(now time.Time) (reading, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, wait, all := reading{begun: now}, time.Hour, true
	for t := range h.stale {
		due := t.readAt.Add(interval).Sub(now)
		switch {
		case due > 0 && !t.urgent:
			wait = min(wait, due)
		case len(r.jobs) == largestRead:
			wait, all = 0, false
		default:
			r.jobs = append(r.jobs, read{topic: t, changed: t.changed, urgent: t.urgent, heard: t.heard})
			t.changed, t.urgent, t.busy = false, false, true
			delete(h.stale, t)
		}
	}
	if all && h.caught == h.subscriptions {
		r.told = h.latest
	}
	return r, wait
}

// putBack has what could not be read read later, and tells those who wait to see it for the first time.
func (h *hub) putBack(r reading, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, j := range r.jobs {
		t := j.topic
		t.changed, t.urgent, t.busy = t.changed || j.changed, t.urgent || j.urgent, false
		h.stale[t] = struct{}{}
		h.forget(t)
	}
	for t := range h.stale {
		if t.job == nil {
			t.say(nil, err)
		}
	}
}

// settle hands out what was read. A job that is gone is told to those alone who never saw it: one that
// a worker runs comes back.
func (h *hub) settle(r reading, found map[string]ingest.Job, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, j := range r.jobs {
		t := j.topic
		t.readAt, t.busy = r.begun, false
		job, ok := found[t.id]
		switch {
		case ok:
			t.say(&job, nil)
			t.told = j.heard
			if j.changed && h.listeners > 0 {
				h.recall(t)
			}
		case t.job == nil:
			t.say(nil, cmp.Or(err, jobstore.ErrNotFound))
		}
		h.forget(t)
	}
	if r.told.After(h.told) {
		h.told = r.told
	}
	if h.untold {
		h.untold = false
		close(h.news)
		h.news = make(chan struct{})
	}
}
