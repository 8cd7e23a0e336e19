package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// Config says how jobs are named and how often they are looked after.
type Config struct {
	KeyTemplate ingest.KeyTemplate `env:"INGESTA_KEY_TEMPLATE" envDefault:"{database}/{object}_{stamp}.csv"`

	// ReconcileInterval is how often the leading gateway looks for what was left undone.
	ReconcileInterval time.Duration `env:"INGESTA_RECONCILE_INTERVAL" envDefault:"5s"`

	// OutboxAge is how long a message may stay unconfirmed before the reconciler publishes it.
	OutboxAge time.Duration `env:"INGESTA_OUTBOX_AGE" envDefault:"30s"`
}

// Validate reports every value that cannot work.
func (c Config) Validate() error {
	var problems []error
	if c.ReconcileInterval <= 0 {
		problems = append(problems, errors.New("INGESTA_RECONCILE_INTERVAL must be positive"))
	}
	if c.OutboxAge <= 0 {
		problems = append(problems, errors.New("INGESTA_OUTBOX_AGE must be positive"))
	}
	return errors.Join(problems...)
}

// Broker is what the service needs of RabbitMQ; *broker.Broker is it, with its errors. Tests
// stand in for it where an outcome cannot be brought about on a real server.
type Broker interface {
	Ready(ctx context.Context) error
	PublishCommand(ctx context.Context, command ingest.Command, traceparent string) error
	PublishEvent(ctx context.Context, event ingest.Event, traceparent string) error
	Depths(ctx context.Context) (map[string]broker.QueueDepth, error)
	DeadLetters(ctx context.Context, limit int, show func(broker.DeadLetter)) (total int, err error)
	TakeDeadLetter(ctx context.Context, id string, take func(broker.DeadLetter) error) error
}

// Service accepts, finds, cancels and awaits jobs. Its methods may be called from any goroutine,
// before and while Run runs; without Run, who waits or watches sees nothing, nothing is reconciled and
// no accepted event is published.
type Service struct {
	cfg     Config
	store   *jobstore.Store
	broker  Broker
	catalog *catalog.Catalog
	owner   string // this gateway, as the candidate for the lead
	hub     *hub
	herald  *herald
	log     *slog.Logger
	metrics metrics
}

// New returns the service. It uses no network yet. Metrics are registered with the registry.
func New(cfg Config, store *jobstore.Store, b Broker, c *catalog.Catalog, registry prometheus.Registerer, log *slog.Logger) *Service {
	return &Service{
		cfg: cfg, store: store, broker: b, catalog: c, owner: "gateway-" + newID(),
		hub: newHub(store, log), herald: newHerald(b, log), log: log, metrics: newMetrics(registry),
	}
}

// newID returns an id that sorts by time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// Run follows the changes of jobs, publishes the events of accepted ones and, whenever this gateway
// leads, reconciles. It returns when ctx ends, after everything it started has and the events of
// the jobs accepted before are out, or out of time; the broker must still run then.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.store.Changes(ctx, s.hub.hear) })
	group.Go(func() error { s.hub.run(ctx); return nil })
	group.Go(func() error { s.reconcile(ctx); return nil })
	group.Go(func() error { s.measure(ctx); return nil })
	group.Go(func() error { s.herald.run(ctx); return nil })
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("following the jobs' changes: %w", err)
	}
	return nil
}

// Get returns the job, or a NotFound or StoreUnavailable *Error.
func (s *Service) Get(ctx context.Context, id string) (ingest.Job, error) {
	job, err := s.store.Get(ctx, id)
	return job, s.translate(id, err)
}

// List returns one page, or an InvalidCursor or StoreUnavailable *Error.
func (s *Service) List(ctx context.Context, q Query) (Page, error) {
	page, err := s.store.List(ctx, jobstore.Query{Database: q.Database, Status: q.Status, Limit: q.Limit, Cursor: q.Cursor})
	if err != nil {
		return Page{}, s.translate("", err)
	}
	return Page{Jobs: page.Jobs, Next: page.Next}, nil
}

// Exported is the latest complete export of a dataset, and the job that made it.
type Exported = jobstore.Exported

// Exports returns the latest export of each dataset that ever was exported, or a StoreUnavailable
// *Error. It is known for longer than the job that made it.
func (s *Service) Exports(ctx context.Context) (map[ingest.Database]map[string]Exported, error) {
	latest, err := s.store.Latest(ctx)
	return latest, s.translate("", err)
}

// Cancel ends a queued job at once and asks the worker of a running one to end it. It returns the
// job as it is then, or a NotFound, Over or StoreUnavailable *Error.
func (s *Service) Cancel(ctx context.Context, id, traceparent string) (ingest.Job, error) {
	job, err := s.store.Cancel(ctx, id)
	if errors.Is(err, jobstore.ErrTerminal) {
		return job, refuse(Over, nil, "job %s is over and cannot be cancelled any more", id)
	}
	if err != nil {
		return job, s.translate(id, err)
	}
	if job.Status.Terminal() {
		// The cancellation stands whether or not its event goes out now: its outbox entry stays
		// until it does.
		ctx, cancel := detach(ctx, publishTimeout, "publishing the event of a cancelled job timed out")
		defer cancel()
		if err := s.publishEnd(ctx, job, traceparent); err != nil {
			s.log.Warn("the event of a cancelled job waits for the reconciler", "job_id", id, "database", job.Database, "error", err)
		}
	}
	return job, nil
}

// translate turns the store's errors into *Error. A cancelled context and a defect stay what they
// are.
func (s *Service) translate(id string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jobstore.ErrNotFound):
		return refuse(NotFound, nil, "there is no job %s; jobs are forgotten some time after their end", id)
	case errors.Is(err, jobstore.ErrBadCursor):
		return refuse(InvalidCursor, err, "the cursor is not one this service gave out; begin without one")
	case errors.Is(err, jobstore.ErrUnavailable):
		return refuse(StoreUnavailable, err, "Redis, which holds the jobs, does not answer; try again later")
	default:
		return err
	}
}

// detach returns a context that outlives the client's, for steps that must not be left half done.
func detach(ctx context.Context, timeout time.Duration, cause string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.WithoutCancel(ctx), timeout, errors.New(cause))
}
