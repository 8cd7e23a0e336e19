package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// eventTimeout is how long the events may come after their jobs have ended.
const eventTimeout = 30 * time.Second

// events receives completion events on an exclusive queue of its own: consuming batch_processed
// would take messages away from the service they are meant for.
type events struct {
	received chan ingest.Event
	close    func()
}

// subscribe returns once the queue is bound, so that no later event is missed.
func subscribe(ctx context.Context, cfg broker.Config) (*events, error) {
	ctx, cancel := context.WithCancel(ctx)
	b := broker.New(cfg, "demo", nil, slog.New(slog.DiscardHandler))
	e := &events{received: make(chan ingest.Event, 100)}
	bound := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { _ = b.Run(ctx) })
	running.Go(func() {
		bindings := []string{"job.*.success", "job.*.partial", "job.*.error", "job.*.cancelled"}
		_ = b.Subscribe(ctx, bindings, sync.OnceFunc(func() { close(bound) }), func(event ingest.Event, _ map[string]any) {
			select {
			case e.received <- event:
			case <-ctx.Done():
			}
		})
	})
	e.close = func() {
		cancel()
		running.Wait()
	}
	select {
	case <-bound:
		return e, nil
	case <-time.After(eventTimeout):
		err := fmt.Errorf("subscribing to completion events: %w", b.Ready(ctx))
		e.close()
		return nil, err
	}
}

// collect waits for the event of each job, shows it, and returns what is wrong.
func (e *events) collect(ctx context.Context, jobs []ingest.Job, out *screen) []error {
	ctx, cancel := context.WithTimeoutCause(ctx, eventTimeout, errors.New("the completion event did not come"))
	defer cancel()
	missing := map[string]ingest.Job{}
	for _, job := range jobs {
		missing[job.ID] = job
	}
	var problems []error
	for len(missing) > 0 {
		select {
		case event := <-e.received:
			job, ours := missing[event.Subject]
			if !ours {
				continue
			}
			delete(missing, event.Subject)
			body, err := json.Marshal(map[string]any{"batch_id": event.Body.BatchID, "status": event.Body.Status, "userid": event.Body.UserID})
			if err != nil {
				return append(problems, err)
			}
			out.linef("%-24s %s …", event.RoutingKey(), body[:len(body)-1])
			if event.Body.Database != job.Database || event.Kind != ingest.EventKind(job.Status) {
				problems = append(problems, fmt.Errorf("the event of job %s says %s of %s, the job says %s of %s", job.ID, event.Kind, event.Body.Database, job.Status, job.Database))
			}
		case <-ctx.Done():
			for id := range missing {
				problems = append(problems, fmt.Errorf("job %s: %w", id, context.Cause(ctx)))
			}
			return problems
		}
	}
	return problems
}
