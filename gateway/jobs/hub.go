package jobs

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
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

// topic is one job that is watched. Its job, once read, is shared by all and never changed.
type topic struct {
	id       string
	watchers int           // of this very job
	job      *ingest.Job   // as it was read last; nil before
	err      error         // why there is none
	version  uint64        // grows with each reading that has something to say
	news     chan struct{} // closed, and made anew, when version grows

	busy    bool      // being read
	readAt  time.Time // when the latest reading began
	urgent  bool      // of a stale one: not to be put off
	changed bool      // of a stale one: it was heard of, not only asked for

	heard, told jobstore.Position // its latest transition heard of, and that the job was read after
	reading     uint64            // the latest that was of a change
	place       *list.Element     // among the recent ones, or nil
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

func (h *hub) newTopic(id string) *topic {
	t := &topic{id: id, news: make(chan struct{})}
	h.topics[id] = t
	return t
}

// forget drops a topic that nobody needs any more.
func (h *hub) forget(t *topic) {
	if t.busy || t.watchers > 0 || t.place != nil || h.listeners > 0 && t.changed {
		return
	}
	delete(h.stale, t)
	delete(h.topics, t.id)
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

// say gives those who watch the job something to see.
func (t *topic) say(job *ingest.Job, err error) {
	t.job, t.err = job, err
	t.version++
	close(t.news)
	t.news = make(chan struct{})
}

// recall makes the topic the most recent one.
func (h *hub) recall(t *topic) {
	h.readings++
	t.reading, h.untold = h.readings, true
	if t.place == nil {
		t.place = h.recent.PushBack(t)
	} else {
		h.recent.MoveToBack(t.place)
	}
	if h.recent.Len() > mostRecent {
		oldest := h.recent.Remove(h.recent.Front()).(*topic)
		oldest.place, h.dropped = nil, oldest.reading
		h.forget(oldest)
	}
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

// watcher watches one job.
type watcher struct {
	*topic
	hub  *hub
	seen uint64 // version of the topic
}

// join returns a watcher of the job. The caller leaves with it.
func (h *hub) join(id string) *watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[id]
	if t == nil {
		t = h.newTopic(id)
	}
	t.watchers++
	h.stale[t] = struct{}{}
	h.wake()
	w := &watcher{topic: t, hub: h}
	if t.job == nil {
		w.seen = t.version // an error of before is none of its own
	}
	return w
}

func (w *watcher) leave() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.watchers--
	w.hub.forget(w.topic)
}

// next returns the job once it is another than next returned before. Before the first time, it returns
// the store's error when the job cannot be read, and does so again each time that is tried in vain.
func (w *watcher) next(ctx context.Context) (ingest.Job, error) {
	for {
		w.hub.mu.Lock()
		job, err, version, news := w.job, w.err, w.version, w.news
		w.hub.mu.Unlock()
		if version != w.seen {
			w.seen = version
			if job != nil {
				return *job, nil
			}
			return ingest.Job{}, err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ingest.Job{}, ctx.Err()
		}
	}
}

// listener watches all jobs.
type listener struct {
	hub     *hub
	reading uint64            // up to which it has taken all
	at      jobstore.Position // up to which it was told all
}

// listen returns a listener from now on. The caller leaves with it.
func (h *hub) listen(ctx context.Context) (*listener, error) {
	h.mu.Lock()
	h.listeners++
	h.mu.Unlock()
	l := &listener{hub: h}
	for {
		h.mu.Lock()
		news := h.news
		l.reading, l.at = h.readings, h.told
		if h.caught == h.subscriptions {
			l.at = h.latest
		}
		h.mu.Unlock()
		if l.at != "" {
			return l, nil
		}
		select { // nothing is known before the first subscription
		case <-news:
		case <-ctx.Done():
			l.leave()
			return nil, ctx.Err()
		}
	}
}

func (l *listener) leave() {
	h := l.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners--
	if h.listeners > 0 {
		return
	}
	h.recent.Init()
	for _, t := range h.topics {
		t.place = nil
		h.forget(t)
	}
}

// take returns the jobs that changed since it was called before, each once, in the order of their
// transitions, and what to wait for when there is none. When the listener fell so far behind that they
// are not known any more, it returns behind: what it was not told is in the history.
func (l *listener) take() (updates []Update, news <-chan struct{}, behind bool) {
	h := l.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	news, behind = h.news, l.reading < h.dropped
	var changed []*topic
	for e := h.recent.Back(); e != nil && !behind; e = e.Prev() {
		t := e.Value.(*topic)
		if t.reading <= l.reading {
			break
		}
		changed = append(changed, t)
	}
	l.reading = h.readings
	slices.SortStableFunc(changed, func(a, b *topic) int {
		switch {
		case a.told.After(b.told):
			return 1
		case b.told.After(a.told):
			return -1
		}
		return 0
	})
	for _, t := range changed {
		u := Update{Job: *t.job}
		if t.told.After(l.at) && !t.told.After(h.told) {
			u.Position, l.at = string(t.told), t.told
		}
		updates = append(updates, u)
	}
	return updates, news, behind
}
