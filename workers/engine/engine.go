package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/workers/upload"
)

// Config says how a worker runs its jobs.
type Config struct {
	Concurrency int           `env:"INGESTA_CONCURRENCY" envDefault:"2"`      // jobs at once
	RenewEvery  time.Duration `env:"INGESTA_LEASE_RENEW" envDefault:"10s"`    // lease and progress
	GiveUpAfter time.Duration `env:"INGESTA_LEASE_GIVE_UP" envDefault:"30s"`  // without a renewal the attempt ends itself
	Grace       time.Duration `env:"INGESTA_GRACE" envDefault:"20s"`          // for running jobs to finish at shutdown
	Silence     time.Duration `env:"INGESTA_SOURCE_SILENCE" envDefault:"15m"` // after which a source that sends nothing is given up

	ProgressEvery time.Duration `env:"INGESTA_PROGRESS_INTERVAL" envDefault:"500ms"` // between two reports of how far a job is

	ReapInterval time.Duration      `env:"INGESTA_REAP_INTERVAL" envDefault:"1h"` // between two looks for uploads that nobody works on
	ReapAge      time.Duration      `env:"INGESTA_REAP_AGE" envDefault:"24h"`     // from which they are aborted
	KeyTemplate  ingest.KeyTemplate `env:"INGESTA_KEY_TEMPLATE" envDefault:"{database}/{object}_{stamp}.csv"`
}

// Validate reports every value that cannot work.
func (c Config) Validate() error {
	var problems []error
	if c.Concurrency < 1 {
		problems = append(problems, fmt.Errorf("INGESTA_CONCURRENCY %d is less than 1", c.Concurrency))
	}
	if c.RenewEvery <= 0 || c.GiveUpAfter <= c.RenewEvery {
		problems = append(problems, fmt.Errorf("INGESTA_LEASE_GIVE_UP (%v) must be longer than INGESTA_LEASE_RENEW (%v), and both positive", c.GiveUpAfter, c.RenewEvery))
	}
	if c.Grace < 0 {
		problems = append(problems, fmt.Errorf("INGESTA_GRACE %v is negative", c.Grace))
	}
	if c.Silence <= 0 {
		problems = append(problems, fmt.Errorf("INGESTA_SOURCE_SILENCE %v is not positive", c.Silence))
	}
	if c.ProgressEvery <= 0 {
		problems = append(problems, fmt.Errorf("INGESTA_PROGRESS_INTERVAL %v is not positive", c.ProgressEvery))
	}
	if c.ReapInterval <= 0 {
		problems = append(problems, fmt.Errorf("INGESTA_REAP_INTERVAL %v is not positive", c.ReapInterval))
	}
	if c.ReapAge <= 0 {
		problems = append(problems, fmt.Errorf("INGESTA_REAP_AGE %v is not positive", c.ReapAge))
	}
	return errors.Join(problems...)
}

// Parts are what an Engine works with. It owns none of them.
type Parts struct {
	Worker  string // this process's name, unique among the workers
	Catalog *catalog.Catalog
	Source  Source
	Lake    *upload.Store
	Jobs    *jobstore.Store
	Broker  *broker.Broker
	Delays  []time.Duration // before the second attempt, the third, …; the last one repeats
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Engine runs the jobs of one database.
type Engine struct {
	Parts
	cfg      Config
	database catalog.Database
	slots    chan struct{} // bounds running jobs also while deliveries of an old connection linger
	metrics  *metrics
	ours     func(key string) bool // tells the keys of this database's jobs

	mu      sync.Mutex
	running map[*attempt]context.CancelCauseFunc // to be woken by a cancellation; a job may have two, one that lost it
}

// New returns an engine for the database, which must be in the catalog.
func New(cfg Config, database ingest.Database, parts Parts) (*Engine, error) {
	db, ok := parts.Catalog.Database(database)
	if !ok {
		return nil, fmt.Errorf("the catalog has no database %q: add it, or run the worker of one it has", database)
	}
	return &Engine{
		Parts: parts, cfg: cfg, database: db,
		slots:   make(chan struct{}, cfg.Concurrency),
		metrics: newMetrics(parts.Metrics, database),
		ours:    cfg.KeyTemplate.Recognizer(database),
		running: map[*attempt]context.CancelCauseFunc{},
	}, nil
}

// Reasons why an attempt is told to stop.
var (
	errShutdown  = errors.New("the worker is shutting down")
	errCancelled = errors.New("the job was cancelled")
	errNoRenewal = errors.New("the lease could not be renewed for too long")
)

// Run consumes commands until ctx ends. Then it takes no more, lets the running jobs finish
// within the grace, hands back those that do not, and returns once all are settled.
func (e *Engine) Run(ctx context.Context) error {
	working, stopWorking := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopWorking(nil)

	var helpers sync.WaitGroup
	background, stopHelpers := context.WithCancel(working)
	helpers.Go(func() { e.beat(background) })
	helpers.Go(func() { e.heedCancellations(background) })
	helpers.Go(func() { e.reap(background) })
	helpers.Go(func() {
		select {
		case <-background.Done():
			return
		case <-ctx.Done():
		}
		grace := time.NewTimer(e.cfg.Grace)
		defer grace.Stop()
		select {
		case <-background.Done():
		case <-grace.C:
			stopWorking(errShutdown)
		}
	})

	err := e.Broker.Consume(ctx, e.database.Name, e.cfg.Concurrency, func(_ context.Context, d *broker.Delivery) {
		select {
		case e.slots <- struct{}{}:
			defer func() { <-e.slots }()
			e.handle(ctx, working, d)
		case <-ctx.Done():
			e.requeue(d, "") // intake has ended: another worker takes it
		}
	})
	stopHelpers()
	helpers.Wait()
	return err
}

// handle settles one delivery. Intake ends with accepting, an attempt with working.
func (e *Engine) handle(accepting, working context.Context, d *broker.Delivery) {
	cmd, err := ingest.DecodeCommand(d.Body)
	if err == nil && cmd.Database != e.database.Name {
		err = ingest.Permanent(ingest.MalformedCommand, nil, "the command is for %s, and reached the worker of %s", cmd.Database, e.database.Name)
	}
	if err != nil {
		failure := ingest.AsError(err)
		e.Log.Warn("burying a command that cannot be read", "message_id", d.MessageID, "error", err)
		e.bury(working, d, d.CorrelationID, failure.Code, failure.Message)
		return
	}

	log := e.Log.With("job_id", cmd.JobID, "request_id", cmd.RequestID)
	claim, err := e.claim(accepting, cmd)
	switch {
	case accepting.Err() != nil && err != nil:
		log.Info("giving a command back: the worker stops before it could claim the job", "cause", err)
		e.requeue(d, cmd.JobID)
		return
	case err != nil:
		failure := ingest.AsError(err)
		log.Error("burying a command whose job cannot be claimed", "error", err)
		e.bury(working, d, cmd.JobID, failure.Code, failure.Message)
		return
	}
	switch claim.Outcome {
	case jobstore.Over:
		e.over(working, d, claim, log)
	case jobstore.Busy, jobstore.Early:
		log.Debug("parking a command", "outcome", claim.Outcome, "retry_after", claim.RetryAfter)
		e.park(working, d, cmd.JobID, claim.RetryAfter)
	default:
		e.attempt(working, d, claim, log)
	}
}

// claim claims the job of the command. While Redis is away it holds on, and with it the
// delivery: a worker that cannot claim must not consume. It fails when ctx ends, and when the job
// store can make nothing of the command.
func (e *Engine) claim(ctx context.Context, cmd ingest.Command) (jobstore.Claim, error) {
	// One nonce for all tries: a claim whose answer was lost, or that a frozen server carries out long
	// after, is this one.
	request := jobstore.ClaimRequest{Command: cmd, Worker: e.Worker, Nonce: jobstore.NewNonce()}
	for wait := newBackoff(); ; {
		claim, err := e.Jobs.Claim(ctx, request)
		if err == nil && claim.Outcome != jobstore.Unknown {
			return claim, nil
		}
		if err == nil {
			// Redis lost its memory of the job, or the job is long over. Adopt it; the manifest
			// will tell what was already done.
			e.Log.Warn("adopting a job that Redis does not know", "job_id", cmd.JobID)
			request.Adopt = true
			continue
		}
		if !errors.Is(err, jobstore.ErrUnavailable) {
			return jobstore.Claim{}, err
		}
		e.Log.Warn("claiming a job failed; trying again", "job_id", cmd.JobID, "error", err)
		if !wait.sleep(ctx) {
			return jobstore.Claim{}, context.Cause(ctx)
		}
	}
}

// heedCancellations stops the attempts of jobs whose cancellation is requested. What it may have
// missed, before it was subscribed and whenever the subscription broke, a renewal of each lease
// brings to light.
func (e *Engine) heedCancellations(ctx context.Context) {
	err := e.Jobs.Changes(ctx, func(change jobstore.Change) {
		e.mu.Lock()
		defer e.mu.Unlock()
		for a, cancel := range e.running {
			switch {
			case change == jobstore.Change{}:
				a.renewNow()
			case change.CancelRequested && a.claim.Job.ID == change.ID:
				cancel(errCancelled)
			}
		}
	})
	if err != nil && ctx.Err() == nil {
		e.Log.Error("listening for cancellations ended; the lease's renewal still notices them", "error", err)
	}
}

// track makes the attempt reachable for cancellations until the returned function is called.
func (e *Engine) track(a *attempt, cancel context.CancelCauseFunc) (untrack func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running[a] = cancel
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.running, a)
	}
}

// delay returns how long to wait after the given number of failures.
func (e *Engine) delay(failures int) time.Duration {
	return e.Delays[min(max(failures, 1), len(e.Delays))-1]
}
