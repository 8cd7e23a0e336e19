package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// concludeTimeout bounds the last writes of an attempt. The lease is renewed until the very last of
// them, and that one is refused when the lease was lost: being late costs work, never truth.
const concludeTimeout = 30 * time.Second

// conclude records the verdict and settles the delivery. Its writes outlive the cancellation of
// the attempt, within their own timeout; if they fail, the delivery comes again and finds what
// was committed.
func (a *attempt) conclude(working context.Context, v verdict) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(working), concludeTimeout, errors.New("concluding an attempt timed out"))
	defer cancel()

	clean, err := a.record(ctx, v)
	if errors.Is(err, jobstore.ErrCancelRequested) {
		// Asked for while the attempt was failing or handing the job back.
		v = verdict{cancelled, errCancelled}
		clean, err = a.record(ctx, v)
	}
	switch {
	case err != nil:
		a.log.Warn("the attempt could not be concluded; its command will be looked at again", "error", err)
		a.giveUp(working, err)
		a.park(working, a.delivery, a.claim.Job.ID, a.delay(a.claim.Failures+1))
	case v.kind == retry:
		a.park(working, a.delivery, a.claim.Job.ID, a.delay(a.claim.Failures+1))
	case v.kind == handedBack:
		a.requeue(a.delivery, a.claim.Job.ID)
	case v.kind == exhausted && a.ended != ingest.Success:
		// The job is finished before its command goes to the dead letters.
		a.buryExhausted(working, ingest.AsError(v.cause), clean)
	case !clean:
		// It finds the job over, and goes on removing.
		a.park(working, a.delivery, a.claim.Job.ID, a.delay(1))
	default:
		a.ack(a.delivery, a.claim.Job.ID)
	}
}

// giveUpTimeout bounds the release of a job whose attempt could not be concluded.
const giveUpTimeout = 5 * time.Second

// giveUp releases a job whose end could not be recorded for a reason that may pass, so that nobody has
// to wait for the lease to die. What stands in Redis stays, and the next attempt has only the end to do.
func (a *attempt) giveUp(working context.Context, cause error) {
	failure := ingest.AsError(cause)
	if !failure.Transient {
		return
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(working), giveUpTimeout, errors.New("releasing a job timed out"))
	defer cancel()
	a.stopRenewing()
	if err := a.claim.Lease.Release(ctx, jobstore.Release{
		After: a.delay(a.claim.Failures + 1), Outcome: ingest.OutcomeRetry, Code: failure.Code, Message: failure.Message, Failure: true,
	}); err != nil {
		a.log.Info("the job waits for its lease to die", "error", err)
	}
}

// buryExhausted puts the command of a job that failed as often as it may among the dead letters.
// When S3 is not clean, a copy goes to the workers as well, which find the job over and go on
// removing.
func (a *attempt) buryExhausted(ctx context.Context, failure *ingest.Error, clean bool) {
	job := a.claim.Job
	a.insist(ctx, a.delivery, job.ID, "burying a command", func(ctx context.Context) error {
		if !clean {
			if err := a.Broker.PublishCommand(ctx, job.Command(), a.delivery.Traceparent); err != nil {
				return err
			}
			clean = true // once is enough
		}
		return a.Broker.Bury(ctx, a.delivery, failure.Code, failure.Message)
	})
}

// record writes the verdict to S3, Redis and the outbox. When the job has ended, clean says whether
// everything is gone from S3 that it must not leave there.
func (a *attempt) record(ctx context.Context, v verdict) (clean bool, err error) {
	switch v.kind {
	case finished, exhausted:
		return a.finish(ctx)
	case cancelled:
		return a.cancel(ctx)
	case retry:
		failure := ingest.AsError(v.cause)
		return true, a.release(ctx, jobstore.Release{
			After: a.delay(a.claim.Failures + 1), Outcome: ingest.OutcomeRetry,
			Code: failure.Code, Message: failure.Message, Failure: true,
		})
	case handedBack:
		return true, a.release(ctx, jobstore.Release{
			Outcome: ingest.OutcomeHandedBack, Code: ingest.Shutdown, Message: "handed back by a worker that stops",
		})
	default: // lost: there is nothing left to write
		return true, v.cause
	}
}

// release gives the job back for another attempt.
func (a *attempt) release(ctx context.Context, r jobstore.Release) error {
	a.stopRenewing()
	return whileAway(ctx, func(ctx context.Context) error { return a.claim.Lease.Release(ctx, r) })
}

// finish ends the job with what its datasets add up to: the manifest first, for it is the mark
// that tells lake readers what they may read, then what must not stay in S3 goes, then the job
// ends, then comes the event.
func (a *attempt) finish(ctx context.Context) (clean bool, err error) {
	results := a.results()
	compareSnapshots(results)
	end := jobstore.Finish{Status: ingest.Conclude(results), Results: results}
	if end.Status == ingest.Failed {
		end.Code, end.Message = results[0].Code, results[0].Error
		return a.cleanAndEnd(ctx, end)
	}
	err = a.putManifest(ctx, end)
	refused, permanent := errors.AsType[*ingest.Error](err)
	permanent = permanent && !refused.Transient && refused.Code != ingest.LeaseLost
	switch {
	case permanent:
		// No attempt will ever tell readers what they may read: nothing of the job may stay.
		a.log.Error("the manifest is refused for good", "error", err)
		return a.withdraw(ctx, jobstore.Finish{Status: ingest.Failed, Code: refused.Code, Message: refused.Message})
	case err != nil:
		return false, fmt.Errorf("writing the manifest: %w", err)
	}
	return a.cleanAndEnd(ctx, end)
}

// cancel ends the job as cancelled, with nothing of it in S3; unless cancelling came too late,
// because every dataset is committed or the manifest is written: then the job ends as that says. An
// attempt that died may have written it: only S3 knows.
func (a *attempt) cancel(ctx context.Context) (clean bool, err error) {
	late := ingest.Conclude(a.board.snapshot()) == ingest.Success
	if !late {
		if late, err = a.recalled(ctx); err != nil {
			return false, fmt.Errorf("looking for a manifest: %w", err)
		}
	}
	if late {
		a.log.Info("the cancellation came too late: the job ends as it was about to")
		return a.finish(ctx)
	}
	return a.withdraw(ctx, jobstore.Finish{Status: ingest.Cancelled, Code: ingest.JobCancelled, Message: "the job was cancelled"})
}

// withdraw ends the job with nothing of it in S3: every dataset has failed for the reason of the
// end, also those that were committed.
func (a *attempt) withdraw(ctx context.Context, end jobstore.Finish) (clean bool, err error) {
	end.Results = a.board.snapshot()
	for i, r := range end.Results {
		end.Results[i] = broken(r, end.Code, end.Message)
	}
	return a.cleanAndEnd(ctx, end)
}

// cleanAndEnd removes from S3 what must not stay there and ends the job. What cannot be removed
// keeps no job from ending: it is tried again when the command comes again.
func (a *attempt) cleanAndEnd(ctx context.Context, end jobstore.Finish) (clean bool, err error) {
	for _, r := range end.Results {
		if r.State == ingest.Done {
			continue
		}
		// Before its object goes: should this attempt die on the way, the next one does not take the
		// dataset for done, which Redis may have as committed even if this attempt never heard so.
		err := whileAway(ctx, func(ctx context.Context) error { return a.claim.Lease.Commit(ctx, r) })
		if err != nil {
			return false, fmt.Errorf("withdrawing dataset %s: %w", r.Dataset, asLeaseLoss(err))
		}
	}
	err = a.clean(ctx, end)
	if ingest.HasCode(err, ingest.LeaseLost) {
		return false, err
	}
	if err != nil {
		a.log.Warn("not everything could be removed that the job left in S3; it will be tried again", "error", err)
	}
	return err == nil, a.end(ctx, end)
}

// end makes the job terminal and publishes its event. An event that cannot be published now
// waits in the outbox for the reconciler.
func (a *attempt) end(ctx context.Context, f jobstore.Finish) error {
	a.stopRenewing()
	var job ingest.Job
	err := whileAway(ctx, func(ctx context.Context) (err error) {
		job, err = a.claim.Lease.Finish(ctx, f)
		return err
	})
	if err != nil {
		return fmt.Errorf("finishing the job: %w", err)
	}
	a.ended = job.Status
	a.log.Info("job ended", "status", job.Status, "rows", job.Progress.Rows, "bytes", job.Progress.Bytes)
	if err := a.Broker.PublishEvent(ctx, ingest.EventOf(job), a.delivery.Traceparent); err != nil {
		a.log.Warn("the completion event waits for the reconciler", "error", err)
		return nil
	}
	if err := a.Jobs.Settle(ctx, jobstore.EventEntry, job.ID); err != nil {
		a.log.Info("the completion event may be published twice, under the same id", "error", err)
	}
	return nil
}

// results returns what became of each dataset. One that no attempt got through is failed.
func (a *attempt) results() ingest.Results {
	results := a.board.snapshot()
	for i, r := range results {
		if r.State != ingest.Done && r.State != ingest.Broken {
			results[i] = broken(r, ingest.AttemptsExhausted, fmt.Sprintf("given up after %d failed attempts", a.claim.Failures))
		}
	}
	return results
}

// broken returns the result of a dataset that failed.
func broken(r ingest.Result, code ingest.Code, message string) ingest.Result {
	return ingest.Result{Dataset: r.Dataset, Key: r.Key, State: ingest.Broken, Code: code, Error: message, FinishedAt: time.Now().UTC()}
}

// compareSnapshots marks the datasets as inconsistent with each other when attempts or sessions
// made them show different snapshots.
func compareSnapshots(results ingest.Results) {
	var first *ingest.Snapshot
	differ := false
	for _, r := range results {
		switch {
		case r.State != ingest.Done || r.Snapshot == nil:
		case first == nil:
			first = r.Snapshot
		case r.Snapshot.ID != first.ID || !r.Snapshot.At.Equal(first.At):
			differ = true
		}
	}
	if !differ {
		return
	}
	for i, r := range results {
		if r.Snapshot != nil {
			s := *r.Snapshot
			s.Consistent = false
			results[i].Snapshot = &s
		}
	}
}
