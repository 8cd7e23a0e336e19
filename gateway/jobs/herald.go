package jobs

import (
	"context"
	"errors"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// herald publishes the events of accepted jobs beside the requests, which do not wait for them.
// They are best effort: what does not fit into the backlog, or is in it when Run ends, is dropped.
type herald struct {
	broker  Broker
	log     *slog.Logger
	backlog chan accepted
}

// accepted is a job to tell of, as it was accepted.
type accepted struct {
	job         ingest.Job
	traceparent string
}

const (
	heralds        = 8    // events under way at once
	longestBacklog = 1000 // of accepted jobs: about a second's worth
)

func newHerald(b Broker, log *slog.Logger) *herald {
	return &herald{broker: b, log: log, backlog: make(chan accepted, longestBacklog)}
}

// announce has the job's event published soon. It never waits.
func (h *herald) announce(job ingest.Job, traceparent string) {
	select {
	case h.backlog <- accepted{job, traceparent}:
	default:
		h.log.Warn("the accepted event was dropped: too many wait", "job_id", job.ID, "database", job.Database)
	}
}

// run publishes until ctx ends.
func (h *herald) run(ctx context.Context) {
	var group errgroup.Group
	for range heralds {
		group.Go(func() error {
			for {
				select {
				case <-ctx.Done():
					return nil
				case a := <-h.backlog:
					h.publish(ctx, a)
				}
			}
		})
	}
	_ = group.Wait() // none of them fails
}

func (h *herald) publish(ctx context.Context, a accepted) {
	ctx, cancel := detach(ctx, publishTimeout, "publishing an accepted event timed out")
	defer cancel()
	if err := h.broker.PublishEvent(ctx, ingest.EventOf(a.job), a.traceparent); err != nil && !errors.Is(err, broker.ErrUnroutable) {
		h.log.Warn("the accepted event was not published", "job_id", a.job.ID, "database", a.job.Database, "error", err)
	}
}
