package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// renewRetry is the pause after a renewal that failed.
const renewRetry = time.Second

// renewNow has the lease renewed before its time.
func (a *attempt) renewNow() {
	select {
	case a.due <- struct{}{}:
	default: // it is asked for already
	}
}

// keepLease renews the lease, and reports progress with it, until stop is called or ctx ends. The
// first time is at once: a cancellation may have come between the claim and track. It
// cancels the attempt when the lease is lost, when the job is to be cancelled, and when no
// renewal has succeeded for so long that another worker may soon own the job; time is counted on
// this process's own monotonic clock.
func (a *attempt) keepLease(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	ctx, end := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		renewed := time.Now()
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			case <-a.due:
			}
			begun := time.Now()
			err := a.renew(ctx, renewed.Add(a.cfg.GiveUpAfter), cancel)
			switch {
			case ctx.Err() != nil:
				return
			case err == nil:
				renewed = begun
				timer.Reset(a.cfg.RenewEvery)
			case errors.Is(err, jobstore.ErrLeaseLost):
				a.log.Warn("another attempt owns the job: this one stops")
				cancel(err)
				return
			case time.Since(renewed) >= a.cfg.GiveUpAfter:
				a.log.Warn("the lease could not be renewed in time: this attempt stops", "error", err)
				cancel(errNoRenewal)
				return
			default:
				a.log.Warn("renewing the lease failed; trying again", "error", err)
				timer.Reset(renewRetry)
			}
		}
	})
	return sync.OnceFunc(func() {
		end()
		renewing.Wait()
	})
}

// renew renews the lease once, by the deadline at the latest.
func (a *attempt) renew(ctx context.Context, deadline time.Time, cancel context.CancelCauseFunc) error {
	ctx, done := context.WithDeadlineCause(ctx, deadline, errNoRenewal)
	defer done()
	cancelRequested, err := a.claim.Lease.Renew(ctx, a.board.snapshot())
	if err == nil && cancelRequested {
		cancel(errCancelled)
	}
	return err
}

// whileAway tries f again and again while the job store cannot be reached, until ctx ends. An attempt
// does not give up for that what took it hours: its context ends when the lease may be lost.
func whileAway(ctx context.Context, f func(context.Context) error) error {
	for wait := newBackoff(); ; {
		err := f(ctx)
		if !errors.Is(err, jobstore.ErrUnavailable) || !wait.sleep(ctx) {
			return err
		}
	}
}

// asLeaseLoss gives a lost lease its code, so that it is told apart from a dataset's failure. A
// store that cannot be reached is a failure that may pass.
func asLeaseLoss(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jobstore.ErrLeaseLost):
		return ingest.Permanent(ingest.LeaseLost, err, "another attempt owns the job")
	case errors.Is(err, jobstore.ErrUnavailable):
		return ingest.Transient(ingest.JobStoreUnavailable, err, "the job store cannot be reached")
	default:
		return err
	}
}
