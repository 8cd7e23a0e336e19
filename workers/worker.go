// Package workers wires a worker together: configuration, job store, broker, lake, engine and the
// health listener around one source. It decides nothing; each part is documented where it lives.
package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/telemetry"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/upload"
)

// Config is the configuration of every worker, beside that of its source.
type Config struct {
	Mode   config.Mode `env:"INGESTA_ENV" envDefault:"development"` // loading refuses sample passwords in production
	Host   string      `env:"WORKER_HOST"`                          // address to listen on; empty: all
	Port   int         `env:"WORKER_PORT" envDefault:"8081"`        // health and metrics
	Rules  Rules
	Jobs   jobstore.Config
	Broker broker.Config
	Upload upload.Config
	Engine engine.Config
}

// Address returns the address of the health listener.
func (c Config) Address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// Validate reports what the parts cannot see by themselves.
func (c Config) Validate() error {
	var problems []error
	if c.Port < 0 || c.Port > 65535 {
		problems = append(problems, fmt.Errorf("WORKER_PORT %d is not a port", c.Port))
	}
	if c.Engine.GiveUpAfter >= c.Jobs.Lease {
		problems = append(problems, fmt.Errorf("INGESTA_LEASE_GIVE_UP (%v) must be shorter than INGESTA_LEASE (%v): an attempt ends before another may begin", c.Engine.GiveUpAfter, c.Jobs.Lease))
	}
	return errors.Join(problems...)
}

// Run serves the database until ctx ends, then settles what it runs. A source, broker, Redis or
// S3 that is away does not stop it: it says so on /ready and goes on when they are back.
func Run(ctx context.Context, cfg Config, database ingest.Database, source engine.Source, log *slog.Logger) error {
	datasets, _, err := cfg.Rules.load(database)
	if err != nil {
		return err
	}
	jobs, err := jobstore.Open(cfg.Jobs)
	if err != nil {
		return err
	}
	defer jobs.Close()
	lake, err := upload.New(ctx, cfg.Upload)
	if err != nil {
		return fmt.Errorf("opening the storage: %w", err)
	}
	worker := workerName(database)
	messages := broker.New(cfg.Broker, worker, []ingest.Database{database}, log)
	registry := telemetry.NewRegistry()
	eng, err := engine.New(cfg.Engine, database, engine.Parts{
		Worker: worker, Catalog: datasets, Source: source, Lake: lake, Jobs: jobs,
		Broker: messages, Delays: cfg.Broker.Delays, Log: log.With("database", database), Metrics: registry,
	})
	if err != nil {
		return err
	}
	log.Info("serving", "worker", worker, "health_port", cfg.Port, "slots", cfg.Engine.Concurrency, "catalog_digest", datasets.Digest())
	checks := []telemetry.Check{
		{Name: "rabbitmq", Run: messages.Ready},
		{Name: "redis", Run: jobs.Ping},
		{Name: "s3", Run: lake.Ping},
		{Name: "source", Run: source.Ping},
	}

	// The broker and the health listener outlive the engine: it settles deliveries to the last.
	outer, stopOuter := context.WithCancel(context.WithoutCancel(ctx))
	defer stopOuter()
	group, groupCtx := errgroup.WithContext(outer)
	group.Go(func() error { return messages.Run(outer) })
	group.Go(func() error {
		return telemetry.Serve(outer, cfg.Address(), checks, registry)
	})
	group.Go(func() error {
		defer stopOuter()
		working, stop := context.WithCancel(ctx)
		defer stop()
		defer context.AfterFunc(groupCtx, stop)() // a part that failed ends the worker
		return eng.Run(working)
	})
	return group.Wait()
}

// workerName is unique among the workers: several may run on one host. It keeps to the characters
// that the job store takes.
func workerName(database ingest.Database) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s.%s:%d", database, host, os.Getpid())
}
