package jobs

import (
	"context"
	"slices"

	"github.com/pharmavida/ingesta/shared/jobstore"
)

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
	slices.SortStableFunc(changed, func(a, b *topic) int { return a.told.Compare(b.told) })
	for _, t := range changed {
		u := Update{Job: *t.job}
		if t.told.After(l.at) && !t.told.After(h.told) {
			u.Position, l.at = string(t.told), t.told
		}
		updates = append(updates, u)
	}
	return updates, news, behind
}
