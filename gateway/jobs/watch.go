package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// hub hands the changes that one subscription receives to everyone who waits for them.
type hub struct {
	mu      sync.Mutex
	waiters map[*waiter]struct{}
}

// waiter is woken when one of its jobs may have ended.
type waiter struct {
	ids  map[string]bool
	wake chan struct{} // of capacity one: several changes wake once
}

func newHub() *hub { return &hub{waiters: map[*waiter]struct{}{}} }

// join returns a waiter for the end of the jobs. The caller leaves with it.
func (h *hub) join(ids []string) *waiter {
	w := &waiter{ids: make(map[string]bool, len(ids)), wake: make(chan struct{}, 1)}
	for _, id := range ids {
		w.ids[id] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiters[w] = struct{}{}
	return w
}

func (h *hub) leave(w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.waiters, w)
}

// tell wakes those whom the change concerns. The zero change, which follows every
// (re)subscription, concerns all: something may have been missed.
func (h *hub) tell(change jobstore.Change) {
	if change.ID != "" && !change.Status.Terminal() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.waiters {
		if change.ID == "" || w.ids[change.ID] {
			select {
			case w.wake <- struct{}{}:
			default: // it has yet to take up an earlier call
			}
		}
	}
}

// retryRead is how long Wait pauses before it asks a Redis that failed again.
const retryRead = time.Second

// Wait returns the jobs, in the order of the ids, as soon as all are over, or as they were last
// seen when ctx ends. It costs one read per job and change, and none while nothing changes; a
// Redis that goes away meanwhile prolongs the wait rather than ending it. It returns a NotFound
// *Error at once, and a StoreUnavailable one when ctx ends before each job was seen.
func (s *Service) Wait(ctx context.Context, ids []string) ([]ingest.Job, error) {
	w := s.hub.join(ids) // before the first read, so that no end falls between the two
	defer s.hub.leave(w)
	jobs := make([]ingest.Job, len(ids))
	for {
		err := s.refresh(ctx, ids, jobs)
		if refused, ok := errors.AsType[*Error](err); err != nil && (!ok || refused.Code != StoreUnavailable) {
			return nil, err
		}
		switch {
		case !slices.ContainsFunc(jobs, func(j ingest.Job) bool { return !j.Status.Terminal() }):
			return jobs, nil
		case ctx.Err() == nil:
		case slices.ContainsFunc(jobs, func(j ingest.Job) bool { return j.ID == "" }):
			return nil, err
		default:
			return jobs, nil
		}
		var retry <-chan time.Time
		if err != nil {
			retry = time.After(retryRead)
		}
		select {
		case <-w.wake:
		case <-retry:
		case <-ctx.Done():
		}
	}
}

// refresh reads those of the jobs again that are not known to be over. It reads even when ctx has
// ended, so that the last look is a fresh one.
func (s *Service) refresh(ctx context.Context, ids []string, jobs []ingest.Job) error {
	ctx = context.WithoutCancel(ctx)
	for i, id := range ids {
		if jobs[i].Status.Terminal() {
			continue
		}
		job, err := s.Get(ctx, id)
		if err != nil {
			return fmt.Errorf("waiting for job %s: %w", id, err)
		}
		jobs[i] = job
	}
	return nil
}
