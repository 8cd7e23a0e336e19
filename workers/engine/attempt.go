package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/workers/upload"
)

// attempt is one claim of a job, from the claim to the settled delivery.
type attempt struct {
	*Engine
	claim        jobstore.Claim
	delivery     *broker.Delivery
	owner        upload.Owner
	board        *board
	log          *slog.Logger
	stopRenewing func()
	due          chan struct{} // asks for a renewal before its time
	ended        ingest.Status // of the job, once this attempt has ended it
}

// attempt runs a claimed job and settles its delivery.
func (e *Engine) attempt(working context.Context, d *broker.Delivery, claim jobstore.Claim, log *slog.Logger) {
	a := &attempt{
		Engine: e, claim: claim, delivery: d,
		owner: upload.Owner{JobID: claim.Job.ID, Fence: claim.Lease.Fence()},
		board: newBoard(claim.Job.Results),
		due:   make(chan struct{}, 1),
		log:   log.With("attempt", claim.Lease.Attempt(), "fence", claim.Lease.Fence()),
	}
	e.metrics.running.Inc()
	defer e.metrics.running.Dec()

	ctx, cancel := context.WithCancelCause(working)
	defer cancel(nil)
	defer e.track(a, cancel)()
	a.stopRenewing = a.keepLease(context.WithoutCancel(working), cancel)
	defer a.stopRenewing()

	a.log.Info("attempt begins", "failures", claim.Failures)
	begun := time.Now()
	v := a.run(ctx)
	a.log.Info("attempt ended", "verdict", v.kind.String(), "seconds", time.Since(begun).Seconds(), "cause", v.cause)
	e.metrics.attempts.WithLabelValues(v.kind.String()).Inc()
	a.conclude(working, v)
}

// verdict is what an attempt amounts to.
type verdict struct {
	kind  verdictKind
	cause error // the failure that may pass, or why it was stopped
}

type verdictKind int

const (
	finished   verdictKind = iota // every dataset is done or has failed for good
	retry                         // something failed that may pass
	exhausted                     // as retry, and there will be no other attempt
	cancelled                     // stopped on request
	handedBack                    // stopped by a shutdown
	lost                          // another attempt owns the job, or may own it
)

func (k verdictKind) String() string {
	return [...]string{"finished", "retry", "exhausted", "cancelled", "handed_back", "lost"}[k]
}

// run exports the datasets.
func (a *attempt) run(ctx context.Context) (v verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = a.transient(a.panicked(p))
		}
	}()

	if a.claim.Job.CancelRequested {
		return verdict{cancelled, errCancelled}
	}
	if ended, err := a.recalled(ctx); ended {
		return verdict{finished, nil}
	} else if err != nil {
		return a.unrecalled(ctx, err)
	}
	if a.claim.Outcome == jobstore.Exhausted {
		return verdict{exhausted, ingest.Permanent(ingest.AttemptsExhausted, nil, "given up after %d failed attempts", a.claim.Failures)}
	}
	a.announce(ctx)
	defer a.reportProgress(ctx)()
	failure := a.exportAll(ctx)
	switch {
	case ctx.Err() != nil:
		return stopped(ctx)
	case ingest.HasCode(failure, ingest.LeaseLost):
		return verdict{lost, failure}
	case failure != nil:
		return a.transient(failure)
	}
	return verdict{finished, nil}
}

// stopped returns what an attempt amounts to whose context has ended.
func stopped(ctx context.Context) verdict {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errCancelled):
		return verdict{cancelled, cause}
	case errors.Is(cause, errShutdown):
		return verdict{handedBack, cause}
	default:
		return verdict{lost, cause}
	}
}

// recalled reports whether the job had ended before, as far as readers of the lake are concerned: an
// attempt may have died right after it wrote the manifest, and Redis may have forgotten the rest. The
// first attempt of a job that was never forgotten need not ask.
func (a *attempt) recalled(ctx context.Context) (bool, error) {
	if a.first() {
		return false, nil
	}
	return a.recall(ctx)
}

// unrecalled decides what becomes of an attempt that could not find out whether the job had ended. A
// job that Redis forgot, or whose manifest this worker cannot read, waits until that is known: to end
// it as failed would remove what may be a success.
func (a *attempt) unrecalled(ctx context.Context, failure error) verdict {
	switch {
	case ctx.Err() != nil:
		return stopped(ctx)
	case a.claim.Adopted || ingest.HasCode(failure, ingest.ObjectConflict):
		return verdict{retry, failure}
	case a.claim.Outcome == jobstore.Exhausted:
		return verdict{exhausted, failure}
	default:
		return a.transient(failure)
	}
}

// panicked is the failure that a panic counts as: one that may pass, so that a poisonous command
// ends among the dead letters and not in a loop.
func (a *attempt) panicked(p any) error {
	a.log.Error("attempt panicked", "panic", p, "stack", string(debug.Stack()))
	return ingest.Transient(ingest.Internal, fmt.Errorf("panic: %v", p), "the worker failed in a way nobody foresaw; its log has the cause")
}

// transient decides whether a failure that may pass is worth another attempt.
func (a *attempt) transient(failure error) verdict {
	if a.claim.LastChance() {
		return verdict{exhausted, failure}
	}
	return verdict{retry, failure}
}

// exportAll exports every dataset that no earlier attempt committed, and goes on when one fails.
// It returns the last failure that may pass, or a lost lease at once; failures for good stand on
// the board.
func (a *attempt) exportAll(ctx context.Context) (failure error) {
	x := &exporter{source: a.Source, lake: a.Lake, owner: a.owner, guard: a.guard, board: a.board, silence: a.cfg.Silence}
	defer func() {
		if err := x.reset(ctx); err != nil {
			a.log.Debug("closing the session failed", "error", err)
		}
	}()
	for i, r := range a.board.snapshot() {
		if r.State == ingest.Done {
			continue
		}
		err := a.exportOne(ctx, x, i)
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return err
		}
		e := ingest.AsError(err)
		if e.Code == ingest.LeaseLost {
			return err
		}
		a.log.Warn("a dataset failed", "dataset", r.Dataset, "code", e.Code, "transient", e.Transient, "error", err)
		a.metrics.datasets.WithLabelValues(string(e.Code)).Inc()
		a.board.set(i, broken(r, e.Code, e.Message))
		if e.Transient {
			failure = err
		}
		if e.Code == ingest.SourceUnavailable || e.Code == ingest.Internal {
			// The session is what broke, or may be in any state: the next dataset opens another.
			if err := x.reset(ctx); err != nil {
				a.log.Debug("closing a broken session failed", "error", err)
			}
		}
	}
	return failure
}

// first reports whether no attempt of the job came before this one. A job that Redis forgot counts
// its attempts anew.
func (a *attempt) first() bool { return a.claim.Lease.Attempt() == 1 && !a.claim.Adopted }

// guard is asked right before an object becomes visible.
func (a *attempt) guard(ctx context.Context) error {
	return asLeaseLoss(whileAway(ctx, a.claim.Lease.Check))
}

// exportOne exports and commits one dataset. A panic is the failure of this dataset alone.
func (a *attempt) exportOne(ctx context.Context, x *exporter, i int) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = a.panicked(p)
		}
	}()
	r := a.board.get(i)
	d, ok := a.database.Dataset(r.Dataset)
	if !ok {
		return ingest.Permanent(ingest.UnknownDataset, nil, "the worker's catalog has no dataset %q: deploy the gateway's catalog to the workers", r.Dataset)
	}
	if !a.first() {
		if err := a.Lake.AbortStale(ctx, r.Key, a.owner); err != nil {
			return err
		}
	}
	done, err := x.export(ctx, i, d)
	if err != nil {
		return err
	}
	err = whileAway(ctx, func(ctx context.Context) error { return a.claim.Lease.Commit(ctx, done) })
	if err != nil {
		return fmt.Errorf("committing dataset %s: %w", d.Name, asLeaseLoss(err))
	}
	a.board.set(i, done)
	if !a.first() {
		// Once more: a part that was under way when its upload was aborted may have brought it back,
		// as S3 warns. What is left now, the reaper will find.
		if err := a.Lake.AbortStale(ctx, r.Key, a.owner); err != nil {
			a.log.Info("an unfinished upload may be left", "dataset", d.Name, "error", err)
		}
	}
	a.metrics.datasets.WithLabelValues("done").Inc()
	a.metrics.rows.Add(float64(done.Rows))
	a.metrics.bytes.Add(float64(done.Bytes))
	a.log.Info("dataset exported", "dataset", d.Name, "rows", done.Rows, "bytes", done.Bytes, "seconds", done.FinishedAt.Sub(done.StartedAt).Seconds())
	return nil
}

// announce publishes the started event, which is best effort.
func (a *attempt) announce(ctx context.Context) {
	if err := a.Broker.PublishEvent(ctx, ingest.EventOf(a.claim.Job), a.delivery.Traceparent); err != nil {
		a.log.Debug("the started event was not published", "error", err)
	}
}
