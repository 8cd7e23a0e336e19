package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// herald publishes the events of accepted jobs beside the requests, which do not wait for them.
// They are best effort: what does not fit into the backlog is dropped, and so is what the broker
// does not take in the end.
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

	// farewell is how long the backlog may take in the end. With the time that requests under way
	// have before, it is less than the usual 30 seconds before a container is killed.
	farewell = 5 * time.Second
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

// run publishes until ctx ends, and then what is left. It is to end after the requests do, and the
// broker after it.
func (h *herald) run(ctx context.Context) {
	var publishing sync.WaitGroup
	for range heralds {
		publishing.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case a := <-h.backlog:
					limited, cancel := detach(ctx, publishTimeout, "publishing an accepted event timed out")
					h.publish(limited, a)
					cancel()
				}
			}
		})
	}
	publishing.Wait()
	h.finish(ctx)
}

// finish publishes what is left in the backlog, as far as there is time.
func (h *herald) finish(ctx context.Context) {
	ctx, cancel := detach(ctx, farewell, "publishing the last accepted events timed out")
	defer cancel()
	for ctx.Err() == nil {
		select {
		case a := <-h.backlog:
			h.publish(ctx, a)
		default:
			return
		}
	}
	h.log.Warn("the last accepted events were dropped", "events", len(h.backlog), "error", context.Cause(ctx))
}

func (h *herald) publish(ctx context.Context, a accepted) {
	if err := h.broker.PublishEvent(ctx, ingest.EventOf(a.job), a.traceparent); err != nil && !errors.Is(err, broker.ErrUnroutable) {
		h.log.Warn("the accepted event was not published", "job_id", a.job.ID, "database", a.job.Database, "error", err)
	}
}
