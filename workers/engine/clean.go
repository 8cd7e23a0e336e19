package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/workers/upload"
)

// cleanTimeout bounds the time that an attempt takes to clean S3 before it ends its job.
const cleanTimeout = 10 * time.Second

// clean removes what the job that is about to end must not leave in S3, of this attempt and those
// before. The fence is checked first: after a takeover it is not for this attempt to say what stays.
func (a *attempt) clean(ctx context.Context, end jobstore.Finish) error {
	if end.Status == ingest.Success {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cleanTimeout, errors.New("removing what a job left in S3 timed out"))
	defer cancel()
	if err := asLeaseLoss(a.claim.Lease.Check(ctx)); err != nil {
		return err
	}
	job := a.claim.Job
	job.Status, job.Results = end.Status, end.Results
	return a.removeLeftovers(ctx, job, a.owner, a.guard)
}

// removeLeftovers removes from S3 what a job that ended so must not have there: every object and
// upload but those of the datasets that are done, and of a job of which nothing is left the
// manifest as well. That one goes first: it is what readers go by, and never names what is gone.
// What is of a later attempt than owner's stays, and is LeaseLost. guard is asked before each object
// goes. It is safe to repeat.
func (e *Engine) removeLeftovers(ctx context.Context, job ingest.Job, owner upload.Owner, guard func(context.Context) error) error {
	if job.Status == ingest.Failed || job.Status == ingest.Cancelled {
		if err := e.Lake.Delete(ctx, upload.ManifestKey(job.Database, job.ID), owner, guard); err != nil {
			return fmt.Errorf("removing the manifest: %w", err)
		}
	}
	var problems []error
	for _, r := range job.Results {
		if r.State == ingest.Done && job.Status != ingest.Cancelled {
			continue
		}
		if err := e.Lake.Discard(ctx, r.Key, owner, guard); err != nil {
			problems = append(problems, fmt.Errorf("removing what is left of dataset %s: %w", r.Dataset, err))
		}
	}
	return errors.Join(problems...)
}

// cleaningEnds is how long after the end of a job its command is kept for the sake of what the job
// left in S3.
const cleaningEnds = 24 * time.Hour

// over settles the delivery of a job that has ended. Whoever ended it may have left something in
// S3: an attempt that died or whose S3 was away, or the gateway, which cannot see S3 at all.
// Nothing is asked of S3 about a job that was a success, or that nobody ever worked on.
//
// The delivery is acknowledged once S3 is clean. Until then it is parked, for longer the longer the
// job has been over; but not beyond what the job store remembers: a job it forgot would run anew.
func (e *Engine) over(ctx context.Context, d *broker.Delivery, claim jobstore.Claim, log *slog.Logger) {
	job := claim.Job
	err := e.cleanUp(ctx, job)
	if err == nil {
		e.ack(d, job.ID)
		return
	}
	if worthCleaning(claim.EndedAgo, claim.KeptFor, slices.Max(e.Delays)) {
		log.Warn("what a job left in S3 could not be removed; trying again later", "status", job.Status, "error", err)
		e.park(ctx, d, job.ID, claim.EndedAgo)
		return
	}
	keys := []string{upload.ManifestKey(job.Database, job.ID)}
	for _, r := range job.Results {
		keys = append(keys, r.Key)
	}
	log.Error("giving up removing what a job left in S3: remove it by hand, unless the bucket's life-cycle rules do",
		"status", job.Status, "keys", keys, "error", err)
	e.ack(d, job.ID)
}

// worthCleaning says whether the command of a job that ended so long ago comes once more, for what
// the job left in S3: within the day, and soon enough, after the longest delay at the latest, to
// find the job still known.
func worthCleaning(since, keptFor, longest time.Duration) bool {
	return since < cleaningEnds && keptFor > longest+time.Minute
}

// cleanUp removes what a job that has ended must not have in S3, of whichever attempt.
func (e *Engine) cleanUp(ctx context.Context, job ingest.Job) error {
	if job.Status == ingest.Success || job.Attempt == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, concludeTimeout, errors.New("removing what a job left in S3 timed out"))
	defer cancel()
	unguarded := func(context.Context) error { return nil } // nobody holds a lease of a job that has ended
	return e.removeLeftovers(ctx, job, upload.EveryAttempt(job.ID), unguarded)
}
