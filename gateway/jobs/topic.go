package jobs

import (
	"container/list"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

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

// say gives those who watch the job something to see.
func (t *topic) say(job *ingest.Job, err error) {
	t.job, t.err = job, err
	t.version++
	close(t.news)
	t.news = make(chan struct{})
}
