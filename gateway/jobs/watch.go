package jobs

import (
	"context"
	"fmt"
	"sync"

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

// Wait returns the jobs, in the order of the ids, as soon as all are over, or as they are when
// ctx ends. It costs one read per job and change, and none while nothing changes. Its errors are
// those of Get.
func (s *Service) Wait(ctx context.Context, ids []string) ([]ingest.Job, error) {
	w := s.hub.join(ids) // before the first read, so that no end falls between the two
	defer s.hub.leave(w)
	jobs := make([]ingest.Job, len(ids))
	for {
		open := 0
		for i, id := range ids {
			if jobs[i].Status.Terminal() {
				continue
			}
			job, err := s.Get(context.WithoutCancel(ctx), id) // also when ctx ends: the caller gets the latest
			if err != nil {
				return nil, fmt.Errorf("waiting for job %s: %w", id, err)
			}
			if jobs[i] = job; !job.Status.Terminal() {
				open++
			}
		}
		if open == 0 || ctx.Err() != nil {
			return jobs, nil
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
		}
	}
}
