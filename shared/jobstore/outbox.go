package jobstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Kind tells the messages in the outbox apart.
type Kind string

// What the outbox holds of a job.
const (
	CommandEntry Kind = "command" // ingest.Job.Command, after acceptance
	EventEntry   Kind = "event"   // ingest.EventOf, after the end
)

// Pending is a message that is not yet known to be confirmed.
type Pending struct {
	Kind  Kind
	JobID string
	Tries int        // how often Overdue handed it out, this time included
	Job   ingest.Job // as it is now: the message is made from it
}

// Waits between two times that the same message is handed out.
const (
	firstWait   = 30 * time.Second
	longestWait = 10 * time.Minute
	// An ended job whose event is still unconfirmed is kept at least this long from each try.
	unconfirmedKeep = 6 * longestWait
)

// Settle records that a message was confirmed: it leaves the outbox. Idempotent.
func (s *Store) Settle(ctx context.Context, kind Kind, id string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	entry := string(kind) + ":" + id
	pipe := s.client.TxPipeline()
	pipe.ZRem(ctx, s.prefix+"outbox", entry)
	pipe.HDel(ctx, s.prefix+"outbox:tries", entry)
	if _, err := pipe.Exec(ctx); err != nil {
		return wrap(ctx, "settling a message", err)
	}
	return nil
}

// Overdue hands out up to limit messages that wait for longer than olderThan, the longest first,
// for the caller to publish again. Each is put off by 30 s, then 1 m, 2 m and so on up to 10 m, so
// that two callers do not publish it at once. Messages of jobs that are gone are dropped.
func (s *Store) Overdue(ctx context.Context, olderThan time.Duration, limit int) ([]Pending, error) {
	const doing = "reading overdue messages"
	r, err := s.run(ctx, doing, s.scripts.overdue,
		milliseconds(olderThan), limit, milliseconds(firstWait), milliseconds(longestWait), milliseconds(unconfirmedKeep))
	if err != nil {
		return nil, err
	}
	overdue := make([]Pending, len(r))
	for i := range r {
		entry := r.list(i)
		kind, id, _ := strings.Cut(entry.text(0), ":")
		job, err := record(entry.list(2).fields()).job()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		overdue[i] = Pending{Kind: Kind(kind), JobID: id, Tries: int(entry.number(1)), Job: job}
	}
	return overdue, nil
}
