package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/workers/upload"
)

// cleanTimeout bounds what an attempt removes from S3 before it ends its job: an S3 that is away
// keeps no job from ending.
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
	return a.removeLeftovers(ctx, job, a.owner)
}

// removeLeftovers removes from S3 what a job that ended so must not have there: every object and
// upload but those of the datasets that are done, and of a job of which nothing is left the
// manifest as well. That one goes first: it is what readers go by, and never names what is gone.
// What is of a later attempt than owner's stays, and is LeaseLost. It is safe to repeat.
func (e *Engine) removeLeftovers(ctx context.Context, job ingest.Job, owner upload.Owner) error {
	if job.Status == ingest.Failed || job.Status == ingest.Cancelled {
		if err := e.Lake.Delete(ctx, upload.ManifestKey(job.Database, job.ID), owner); err != nil {
			return fmt.Errorf("removing the manifest: %w", err)
		}
	}
	var problems []error
	for _, r := range job.Results {
		if r.State == ingest.Done && job.Status != ingest.Cancelled {
			continue
		}
		if err := e.Lake.Discard(ctx, r.Key, owner); err != nil {
			problems = append(problems, fmt.Errorf("removing what is left of dataset %s: %w", r.Dataset, err))
		}
	}
	return errors.Join(problems...)
}

// discardObjects removes everything that the job wrote to S3. What cannot be removed is logged:
// no manifest names it, and the reaper aborts what is still an upload.
func (e *Engine) discardObjects(ctx context.Context, job ingest.Job, log *slog.Logger) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), concludeTimeout, errors.New("removing the objects of a cancelled job timed out"))
	defer cancel()
	job.Status = ingest.Cancelled
	if err := e.removeLeftovers(ctx, job, upload.EveryAttempt(job.ID)); err != nil {
		log.Warn("not everything of a cancelled job could be removed from S3", "error", err)
	}
}
