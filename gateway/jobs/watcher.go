package jobs

import (
	"context"

	"github.com/pharmavida/ingesta/shared/ingest"
)

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
