// Command demo runs the main job of the system against a running stack and checks the outcome: it
// posts one ingestion for each database, watches them, listens to the completion events on a
// queue of its own, reads every object back from S3, and compares its rows with a count that the
// source itself gives. It exits with 1 when anything differs.
//
// It is configured by the environment that `make up` writes to .local/env.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// settings are the addresses of the stack.
type settings struct {
	URL        string        `env:"INGESTA_URL,required"`
	Management int           `env:"RABBITMQ_MANAGEMENT_PORT" envDefault:"15672"`
	Timeout    time.Duration `env:"DEMO_TIMEOUT" envDefault:"15m"` // of the whole demo
	Broker     broker.Config
	Lake       lakeSettings
	Sources    sourceSettings
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, newScreen(os.Stdout))
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out *screen) error {
	var cfg settings
	if _, err := config.Load(&cfg, os.Environ()); err != nil {
		return fmt.Errorf("reading the stack's environment (make up writes it to .local/env): %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Timeout, fmt.Errorf("the demo did not end within %v", cfg.Timeout))
	defer cancel()

	events, err := subscribe(ctx, cfg.Broker)
	if err != nil {
		return err
	}
	defer events.close()

	gateway, err := client.New(client.Config{URL: cfg.URL})
	if err != nil {
		return fmt.Errorf("reading INGESTA_URL: %w", err)
	}
	defer gateway.Close()
	out.title("POST one ingestion for each database")
	var jobs []ingest.Job
	for _, database := range []ingest.Database{ingest.MongoDB, ingest.MySQL, ingest.PostgreSQL} {
		accepted, err := gateway.Run(ctx, database, client.Options{})
		if err != nil {
			return fmt.Errorf("posting an ingestion (is the stack up? make status): %w", err)
		}
		out.linef("POST /api/ingesta/%-11s → 202  job %s", database, accepted.ID)
		jobs = append(jobs, accepted.Job)
	}

	out.title("Watch until each has ended")
	for i := range jobs {
		err := gateway.Watch(ctx, jobs[i].ID, func(job ingest.Job) error {
			out.progress(job)
			jobs[i] = job
			return nil
		})
		if err != nil {
			return fmt.Errorf("watching job %s: %w", jobs[i].ID, err)
		}
	}

	out.title("What a subscriber of the completion events received")
	problems := events.collect(ctx, jobs, out)

	out.title("What is in S3, and what the sources say")
	lake := newLake(cfg.Lake)
	for _, job := range jobs {
		if job.Status != ingest.Success {
			problems = append(problems, fmt.Errorf("job %s of %s ended as %s: %s", job.ID, job.Database, job.Status, job.Error))
		}
		counts, err := cfg.Sources.count(ctx, job.Database)
		if err != nil {
			return err
		}
		manifest, err := lake.manifest(ctx, job)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, result := range job.Results {
			object, err := lake.read(ctx, result.Key)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			wrong := object.compare(result, manifest)
			count, counted := counts[result.Dataset]
			if counted && object.rows != count {
				wrong = append(wrong, fmt.Errorf("%s has %d rows, and the source counts %d", result.Key, object.rows, count))
			}
			out.object(result, object, count, counted, len(wrong) == 0)
			problems = append(problems, wrong...)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}

	out.title("Everything agrees. Look around")
	out.linef("Dashboard   %s/", cfg.URL)
	out.linef("API         %s/docs", cfg.URL)
	out.linef("Terminal    bin/ingesta run mysql --wait")
	out.linef("Files       s3://%s at %s (its credentials are in .local/env)", cfg.Lake.Bucket, cfg.Lake.Endpoint)
	out.linef("RabbitMQ    http://%s:%d/   user %s, password %s", cfg.Broker.Host, cfg.Management, cfg.Broker.User, cfg.Broker.Password.Reveal())
	out.linef("HTTP        curl -X POST '%s/api/ingesta/mysql' -H 'Prefer: wait=30'", cfg.URL)
	return nil
}
