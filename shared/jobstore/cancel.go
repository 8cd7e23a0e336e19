package jobstore

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// cancelMessage is what a job cancelled without a worker tells people.
const cancelMessage = "the job was cancelled on request"

// Cancel ends a queued job at once, with its event in the outbox. A running one gets
// CancelRequested set: its worker hears of it through Changes or its next renewal, cleans up and
// finishes it. Returns the job as it is afterwards; with ErrTerminal when it was over before, and
// ErrNotFound when there is none. Asking again while it runs changes nothing.
func (s *Store) Cancel(ctx context.Context, id string) (ingest.Job, error) {
	return s.cancel(ctx, id, rand.Text())
}

// cancel is Cancel under a given nonce: called twice with one, it answers the same.
func (s *Store) cancel(ctx context.Context, id, nonce string) (ingest.Job, error) {
	const doing = "cancelling a job"
	r, err := s.run(ctx, doing, s.scripts.cancel,
		id, nonce, string(ingest.JobCancelled), cancelMessage, milliseconds(s.cfg.Retention))
	if err != nil {
		return ingest.Job{}, err
	}
	outcome := r.text(0)
	if outcome == "missing" {
		return ingest.Job{}, ErrNotFound
	}
	job, err := record(r.list(1).fields()).job()
	if err != nil {
		return ingest.Job{}, fmt.Errorf("%s: %w", doing, err)
	}
	switch outcome {
	case "cancelled", "requested":
		return job, nil
	case "terminal":
		return job, ErrTerminal
	default:
		return ingest.Job{}, unexpected(doing, outcome)
	}
}

// CancelAbandoned ends running jobs whose cancellation was requested and whose lease is dead, at
// most limit of them, and returns them. The event of each goes into the outbox, and so does its
// command: the worker that receives it finds the job cancelled and removes what the dead one left
// in S3.
func (s *Store) CancelAbandoned(ctx context.Context, limit int) ([]ingest.Job, error) {
	const doing = "ending cancelled jobs without a worker"
	r, err := s.run(ctx, doing, s.scripts.abandon,
		limit, string(ingest.JobCancelled), cancelMessage, milliseconds(s.cfg.Retention))
	if err != nil {
		return nil, err
	}
	ended, err := jobs(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return ended, nil
}
