package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
)

const (
	bindTimeout = 15 * time.Second // how long RabbitMQ may take until the queue is in place
	quietFor    = 2 * time.Second  // until people are told what they wait for
)

func (t *tool) eventsCommand() *cobra.Command {
	bindings, limit := []string{"job.#"}, 0
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print events as they come, on a queue of its own",
		Long: "Prints events as they come, on a queue of its own, which goes when it ends: nobody else misses one. Topics are\n" +
			"job.DATABASE.KIND; kinds are accepted, started, success, partial, error and cancelled; * stands for one word,\n" +
			"# for any number. As JSON each event is a CloudEvent on a line.\n\n" +
			"It talks to RabbitMQ, not to the gateway: RABBITMQ_* settings come from the environment, else from .env or\n" +
			".local/env in this folder.",
		Example:     "  ingesta events --bind 'job.*.success' --bind 'job.mysql.#'",
		Args:        unexpected(cobra.NoArgs),
		Annotations: map[string]string{patient: ""},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(bindings) == 0 || limit < 0 {
				return usageError{errors.New("--bind needs a topic, and --limit no negative number")}
			}
			var cfg broker.Config
			if _, err := config.Load(&cfg, t.environ("RABBITMQ_")); err != nil {
				return usageError{fmt.Errorf("the configuration is wrong: %w", err)}
			}
			return t.listen(cmd.Context(), cfg, bindings, limit)
		},
	}
	cmd.Flags().StringSliceVar(&bindings, "bind", bindings, "topics to listen to; may be given several times")
	cmd.Flags().IntVar(&limit, "limit", limit, "end after so many; 0: go on until interrupted")
	complete(cmd, "bind", "job.#", "job.*.success", "job.*.error", "job.*.partial", "job.*.cancelled")
	return cmd
}

// listen prints events until enough have come, or ctx ends.
func (t *tool) listen(ctx context.Context, cfg broker.Config, bindings []string, limit int) error {
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	b := broker.New(cfg, "ingesta", nil, slog.New(slog.NewTextHandler(t.process.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	bound := make(chan struct{})
	tellBound := sync.OnceFunc(func() { close(bound) })
	var running sync.WaitGroup
	running.Go(func() { _ = b.Run(working) }) // its configuration is valid, and it runs once
	seen := 0
	running.Go(func() {
		err := b.Subscribe(working, bindings, tellBound, func(event ingest.Event, _ map[string]any) {
			if limit > 0 && seen == limit {
				return
			}
			if err := t.printEvent(event); err != nil {
				stop(err)
				return
			}
			if seen++; limit > 0 && seen == limit {
				stop(errEnough)
			}
		})
		if err != nil {
			stop(err)
		}
	})
	slow, late := time.NewTimer(quietFor), time.NewTimer(bindTimeout)
	defer slow.Stop()
	defer late.Stop()
	for waiting := true; waiting; {
		select {
		case <-bound:
			t.note("listening to %v", bindings)
			<-working.Done()
			waiting = false
		case <-slow.C:
			t.note("waiting for RabbitMQ at %s:%d", cfg.Host, cfg.Port)
		case <-late.C:
			stop(unavailable{fmt.Errorf("RabbitMQ at %s:%d is not available: %w\nSet RABBITMQ_HOST, RABBITMQ_PORT, RABBITMQ_USER and RABBITMQ_PASSWORD", cfg.Host, cfg.Port, b.Ready(ctx))})
			waiting = false
		case <-working.Done():
			waiting = false
		}
	}
	cause := context.Cause(working)
	stop(nil)
	running.Wait()
	if errors.Is(cause, errEnough) {
		return nil
	}
	return cause
}

// errEnough ends the listening when all that was asked for has come.
var errEnough = errors.New("enough events")

// cloudEvent is an event in the JSON form of CloudEvents 1.0.
type cloudEvent struct {
	SpecVersion string           `json:"specversion"`
	ID          string           `json:"id"`
	Source      string           `json:"source"`
	Type        string           `json:"type"`
	Subject     string           `json:"subject"`
	Time        time.Time        `json:"time"`
	ContentType string           `json:"datacontenttype"`
	Data        ingest.EventBody `json:"data"`
}

func (t *tool) printEvent(e ingest.Event) error {
	if t.asJSON() {
		return t.printLine(cloudEvent{"1.0", e.ID, broker.EventSource, e.Type(), e.Subject, e.Time.UTC(), "application/json", e.Body})
	}
	kind := fmt.Sprintf("%-9s", clean(string(e.Kind)))
	if t.colours(t.process.Stdout) {
		kind = colourOf(string(e.Kind)).paint(kind)
	}
	said := fmt.Sprintf("%s  %-10s  %s  %s", t.at(e.Time), clean(string(e.Body.Database)), kind, clean(e.Subject))
	if ingest.Status(e.Kind).Terminal() {
		said += fmt.Sprintf("  %s rows, %s, %s", grouped(e.Body.Progress.Rows), size(e.Body.Progress.Bytes), t.took(e.Body.CreatedAt, e.Body.FinishedAt))
	}
	if e.Body.Error != "" {
		said += "  " + clean(string(e.Body.Code)+": "+e.Body.Error)
	}
	_, err := fmt.Fprintln(t.process.Stdout, said)
	return err
}
