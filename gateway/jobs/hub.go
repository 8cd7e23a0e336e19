package jobs

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/shared/jobstore"
)

// hub reads jobs that change, each once for all who watch it. One subscription tells it of changes;
// one loop reads what changed, as many jobs as there are in one round trip; who watches takes the job as
// it was read last, in its own time. A job that somebody watches, or that changed while somebody watches
// all, is a topic:
//
//	        hear, join                due                 settle
//	fresh ─────────────► stale ─────────────► being read ─────────► fresh
//	                       ▲   put back: Redis is away  │
//	                       └────────────────────────────┘ or hear: it changed meanwhile
//
// A transition is due at once, and progress an interval after the reading before. No transition is
// missed for long: whenever the subscription comes back, the hub catches up from the history.
type hub struct {
	store *jobstore.Store
	log   *slog.Logger
	stir  chan struct{} // of capacity one: there is something for the loop to do

	mu     sync.Mutex
	topics map[string]*topic
	stale  map[*topic]struct{}
	news   chan struct{} // closed, and made anew, after each round that has something for listeners

	// For those who watch all jobs: the topics that changed, each once, by their latest reading. A
	// listener is a place in that order, so that a slow one costs no more than a quick one.
	listeners int
	recent    *list.List // of *topic
	readings  uint64     // so far
	dropped   uint64     // the latest reading that is not among the recent ones any more
	untold    bool       // they have something to take

	// How far the history is known. Rounds take in all transitions heard of, so that after one which
	// left none over everything up to the latest is told.
	latest                jobstore.Position // heard of
	told                  jobstore.Position // everything up to here was read after it happened; empty before the first subscription
	subscriptions, caught int               // equal unless the history is still to be caught up with
}

const (
	interval    = 250 * time.Millisecond // between two readings of a job's progress, and two calls of who watches
	awayRetry   = time.Second            // before a Redis that is away is asked again
	largestRead = 250                    // jobs in one round trip
	mostRecent  = 1000                   // changed jobs kept for those who watch all
	historyPage = 1000                   // transitions in one round trip
)

func newHub(store *jobstore.Store, log *slog.Logger) *hub {
	return &hub{
		store: store, log: log, stir: make(chan struct{}, 1), news: make(chan struct{}),
		topics: map[string]*topic{}, stale: map[*topic]struct{}{}, recent: list.New(),
	}
}

// hear takes up a change. The zero change, which follows every (re)subscription, says that any may
// have been missed.
func (h *hub) hear(change jobstore.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if change.ID == "" {
		h.subscriptions++
	} else {
		h.note(change)
	}
	h.wake()
}

// wake has the loop look for something to do.
func (h *hub) wake() {
	select {
	case h.stir <- struct{}{}:
	default: // it is about to
	}
}

// note makes the changed job stale, if anybody watches it.
func (h *hub) note(change jobstore.Change) {
	if change.Position.After(h.latest) {
		h.latest = change.Position
	}
	t := h.topics[change.ID]
	if t == nil {
		if h.listeners == 0 {
			return
		}
		t = h.newTopic(change.ID)
	}
	if change.Position.After(t.heard) {
		t.heard = change.Position
	}
	t.changed = true
	t.urgent = t.urgent || change.Position != "" || change.Status.Terminal()
	h.stale[t] = struct{}{}
}

// run reads what is due until ctx ends.
func (h *hub) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.stir:
		case <-timer.C:
		}
		wait, err := h.round(ctx)
		if err != nil && ctx.Err() == nil {
			h.log.Debug("watched jobs cannot be read", "error", err)
			wait = awayRetry
		}
		timer.Reset(wait)
	}
}

// round reads what is due, and returns how long there is nothing more to do unless the loop is woken.
func (h *hub) round(ctx context.Context) (time.Duration, error) {
	if err := h.catchUp(ctx); err != nil {
		h.putBack(reading{}, err)
		return 0, err
	}
	r, wait := h.take(time.Now())
	if len(r.jobs) == 0 {
		h.settle(r, nil, nil)
		return wait, nil
	}
	ids := make([]string, len(r.jobs))
	for i, j := range r.jobs {
		ids[i] = j.topic.id
	}
	found, err := h.store.GetAll(ctx, ids)
	if found == nil && err != nil {
		h.putBack(r, err)
		return 0, err
	}
	if err != nil {
		h.log.Warn("a watched job cannot be read", "error", err)
	}
	h.settle(r, found, err)
	return wait, nil
}

// catchUp takes up, after a (re)subscription, the transitions that were missed. Progress that was
// missed is read anew.
func (h *hub) catchUp(ctx context.Context) error {
	h.mu.Lock()
	from, subscriptions, caught := h.told, h.subscriptions, h.caught
	h.mu.Unlock()
	if subscriptions == caught {
		return nil
	}
	lost := from == ""
	var missed []jobstore.Change
	var err error
	if !lost {
		missed, err = h.missed(ctx, from)
		lost = errors.Is(err, jobstore.ErrPositionLost)
	}
	var now jobstore.Position
	if lost {
		now, err = h.store.Now(ctx)
	}
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.caught = subscriptions
	for _, t := range h.topics {
		if t.watchers > 0 {
			h.stale[t] = struct{}{}
		}
	}
	for _, change := range missed {
		h.note(change)
	}
	if lost {
		// Whoever watches all finds itself behind, asks the history, and learns that it is lost.
		h.readings++
		h.dropped, h.told, h.latest, h.untold = h.readings, now, now, true
	}
	return nil
}

// missed returns all transitions after the position.
func (h *hub) missed(ctx context.Context, after jobstore.Position) ([]jobstore.Change, error) {
	var missed []jobstore.Change
	for {
		page, next, err := h.store.History(ctx, after, historyPage)
		if err != nil {
			return nil, err
		}
		if next == after {
			return missed, nil
		}
		missed, after = append(missed, page...), next
	}
}
