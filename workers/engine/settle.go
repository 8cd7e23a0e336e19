package engine

import (
	"context"
	"errors"
	"time"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// settleTimeout bounds one try to settle a delivery with the broker.
const settleTimeout = 15 * time.Second

// A delivery that is not settled comes again by itself once its channel is gone, and the claim
// finds out what is left to do: no failure here loses anything.

func (e *Engine) ack(d *broker.Delivery, jobID string) {
	e.settled(d.Ack(), "acknowledging a command", jobID)
}

func (e *Engine) requeue(d *broker.Delivery, jobID string) {
	e.settled(d.Requeue(), "giving a command back", jobID)
}

// park puts the delivery into a delay. It insists until ctx ends, since a delivery that is
// neither parked nor given back would sit on a healthy channel for ever.
func (e *Engine) park(ctx context.Context, d *broker.Delivery, jobID string, after time.Duration) {
	e.insist(ctx, d, jobID, "parking a command", func(ctx context.Context) error {
		return e.Broker.Delay(ctx, d, after)
	})
}

// bury puts the delivery among the dead letters. It insists as park does.
func (e *Engine) bury(ctx context.Context, d *broker.Delivery, jobID string, code ingest.Code, reason string) {
	e.insist(ctx, d, jobID, "burying a command", func(ctx context.Context) error {
		return e.Broker.Bury(ctx, d, code, reason)
	})
}

func (e *Engine) insist(ctx context.Context, d *broker.Delivery, jobID, doing string, try func(context.Context) error) {
	for wait := newBackoff(); ; {
		bounded, cancel := context.WithTimeoutCause(ctx, settleTimeout, errors.New(doing+" timed out"))
		err := try(bounded)
		cancel()
		if err == nil || errors.Is(err, broker.ErrStale) {
			e.settled(err, doing, jobID)
			return
		}
		e.Log.Warn(doing+" failed; trying again", "job_id", jobID, "error", err)
		if !wait.sleep(ctx) {
			e.requeue(d, jobID)
			return
		}
	}
}

func (e *Engine) settled(err error, doing, jobID string) {
	switch {
	case err == nil:
	case errors.Is(err, broker.ErrStale):
		e.Log.Info(doing+" came too late: its connection is gone and it will be delivered again", "job_id", jobID)
	default:
		e.Log.Warn(doing+" failed: it will be delivered again", "job_id", jobID, "error", err)
	}
}
