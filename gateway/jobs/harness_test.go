package jobs_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/gateway/internal/flaky"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/shared/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of the tests. It only matters when something is broken.
const patience = 20 * time.Second

// fakeBroker answers what a test wants to hear: a real broker rarely leaves a publish unknown.
type fakeBroker struct {
	mu       sync.Mutex
	notReady error
	outcome  func(ingest.Command) error // of publishing a command; nil: confirmed
	eventErr error
	commands []ingest.Command
	traces   []string
	events   []ingest.Event

	letters *broker.Broker // a real one, for what its dead letters are
	taken   func()         // called when a letter is about to be removed
	takes   atomic.Int64   // how often one was asked for
}

func (f *fakeBroker) Ready(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.notReady
}

func (f *fakeBroker) PublishCommand(_ context.Context, c ingest.Command, traceparent string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commands, f.traces = append(f.commands, c), append(f.traces, traceparent)
	if f.outcome == nil {
		return nil
	}
	return f.outcome(c)
}

func (f *fakeBroker) PublishEvent(_ context.Context, e ingest.Event, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, e)
	return f.eventErr
}

func (f *fakeBroker) Depths(context.Context) (map[string]broker.QueueDepth, error) {
	return map[string]broker.QueueDepth{broker.CommandQueue(ingest.MySQL): {Messages: 7, Consumers: 1}, broker.DeadQueue: {Messages: 2}}, nil
}

func (f *fakeBroker) DeadLetters(ctx context.Context, limit int, show func(broker.DeadLetter)) (int, error) {
	return f.letters.DeadLetters(ctx, limit, show)
}

func (f *fakeBroker) TakeDeadLetter(ctx context.Context, id string, take func(broker.DeadLetter) error) error {
	f.takes.Add(1)
	return f.letters.TakeDeadLetter(ctx, id, func(l broker.DeadLetter) error {
		err := take(l)
		if err == nil && f.taken != nil {
			f.taken()
		}
		return err
	})
}

// set changes the broker's behaviour.
func (f *fakeBroker) set(change func(*fakeBroker)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// published counts the publications of a job's command.
func (f *fakeBroker) published(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.commands {
		if c.JobID == id {
			n++
		}
	}
	return n
}

// told counts the publications of an event of a job.
func (f *fakeBroker) told(id string, kind ingest.EventKind) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, e := range f.events {
		if e.Subject == id && e.Kind == kind {
			n++
		}
	}
	return n
}

// fixture is a service over a real Redis that can be cut off, and a broker that obeys.
type fixture struct {
	*jobs.Service
	store  *jobstore.Store // a way to Redis that is never cut
	redis  *flaky.Proxy
	broker *fakeBroker
	cfg    jobs.Config
	stored jobstore.Config
	direct jobstore.Config // as stored, of the way that is never cut
	t      *testing.T
}

func newFixture(t *testing.T, override ...string) *fixture {
	t.Helper()
	var cfg struct {
		Jobs  jobs.Config
		Store jobstore.Config
	}
	prefix := "jobs-test-" + strings.ToLower(rand.Text()[:12])
	stacktest.Load(t, &cfg, slices.Concat([]string{
		"INGESTA_REDIS_PREFIX=" + prefix, "INGESTA_REDIS_TIMEOUT=500ms", "INGESTA_REDIS_IO_TIMEOUT=400ms",
		"INGESTA_RECONCILE_INTERVAL=20ms", "INGESTA_RETENTION=5m",
	}, override)...)
	f := &fixture{t: t, broker: &fakeBroker{}, cfg: cfg.Jobs, stored: cfg.Store, direct: cfg.Store}
	f.store = f.open(cfg.Store)
	f.redis = flaky.New(t, cfg.Store.Host, cfg.Store.Port)
	f.stored.Host, f.stored.Port = "127.0.0.1", f.redis.Port()
	f.Service = f.service()
	return f
}

func (f *fixture) open(cfg jobstore.Config) *jobstore.Store {
	f.t.Helper()
	store, err := jobstore.Open(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = store.Close() }) // nothing is under way any more
	return store
}

// service returns one more service of the same jobs.
func (f *fixture) service() *jobs.Service {
	f.t.Helper()
	datasets, err := catalog.Load("")
	if err != nil {
		f.t.Fatal(err)
	}
	return f.serviceOf(datasets, f.broker)
}

func (f *fixture) serviceOf(datasets *catalog.Catalog, b jobs.Broker) *jobs.Service {
	log := slog.New(slog.NewTextHandler(f.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	return jobs.New(f.cfg, f.open(f.stored), b, datasets, telemetry.NewRegistry(), log)
}

// run runs the service until the test ends or the returned function is called.
func (f *fixture) run(s *jobs.Service) (stop func()) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			f.t.Errorf("Run ended with %v, want nil after its context ended", err)
		}
	})
	f.t.Cleanup(stop)
	return stop
}

// order asks for one job of MySQL.
func order(key string) jobs.Request {
	return jobs.Request{Orders: []jobs.Order{{Database: ingest.MySQL}}, RequestedBy: "system", RequestID: "req", IdempotencyKey: key}
}

// accept submits a job of MySQL that is confirmed.
func (f *fixture) accept() ingest.Job {
	f.t.Helper()
	receipt, err := f.Submit(f.t.Context(), order(""))
	if err != nil {
		f.t.Fatal(err)
	}
	return receipt.Jobs[0]
}

// claim plays the worker that takes the job.
func (f *fixture) claim(job ingest.Job) *jobstore.Lease {
	f.t.Helper()
	claim, err := f.store.Claim(f.t.Context(), jobstore.ClaimRequest{Command: job.Command(), Worker: "test"})
	if err != nil || claim.Lease == nil {
		f.t.Fatalf("claiming a job: %v, %s", err, claim.Outcome)
	}
	return claim.Lease
}

// finish plays the worker that ends the job.
func (f *fixture) finish(lease *jobstore.Lease) {
	f.t.Helper()
	if _, err := lease.Finish(f.t.Context(), jobstore.Finish{Status: ingest.Failed, Code: ingest.TableNotFound, Message: "for the test"}); err != nil {
		f.t.Fatal(err)
	}
}

// stands returns the jobs that exist and the messages that wait in the outbox.
func (f *fixture) stands() (existing []ingest.Job, outbox []string) {
	f.t.Helper()
	page, err := f.store.List(f.t.Context(), jobstore.Query{})
	if err != nil {
		f.t.Fatal(err)
	}
	pending, err := f.store.Overdue(f.t.Context(), 0, 100)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, p := range pending {
		outbox = append(outbox, string(p.Kind)+" "+p.JobID)
	}
	return page.Jobs, outbox
}
