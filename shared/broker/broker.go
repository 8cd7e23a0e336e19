package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Broker publishes and consumes over two connections: an alarm blocks publishers only, and must
// not keep a worker from acknowledging. Its methods may be called from any goroutine; those that
// need a connection work while Run does.
type Broker struct {
	cfg       Config
	name      string
	databases []ingest.Database
	topology  Declarations
	timing    timing
	log       *slog.Logger

	publishing *link
	consuming  *link
	running    atomic.Bool
	tags       atomic.Uint64
	reading    chan struct{} // holds whoever reads the dead letters

	mu      sync.Mutex
	stalled map[*int]error // consumers that do not consume at present, and why
}

// New returns a broker that has not connected yet, see Run. The name is shown in the broker's list
// of connections and stands in every message as its app id; databases are those that have
// commands.
func New(cfg Config, name string, databases []ingest.Database, log *slog.Logger) *Broker {
	b := &Broker{
		cfg: cfg, name: name, databases: slices.Clone(databases),
		topology: Topology(cfg, databases), timing: defaultTiming, log: log,
		reading: make(chan struct{}, 1), stalled: make(map[*int]error),
	}
	b.link()
	return b
}

func (b *Broker) link() {
	b.publishing = newLink(b.cfg, b.name+" publishing", true, b.topology, b.timing, b.log)
	b.consuming = newLink(b.cfg, b.name+" consuming", false, b.topology, b.timing, b.log)
}

// Run keeps the two connections until ctx ends, then lets the publishes in flight end, closes
// both and returns nil. Trouble with the broker is never its end: it is retried, and Ready tells.
// Run is called once; an error means that the configuration cannot work, or a second call.
func (b *Broker) Run(ctx context.Context) error {
	if err := b.cfg.Validate(); err != nil {
		return fmt.Errorf("running the broker's connections: %w", err)
	}
	if !b.running.CompareAndSwap(false, true) {
		return errors.New("running the broker's connections: Run was called before")
	}
	var links sync.WaitGroup
	links.Go(func() { b.publishing.run(ctx) })
	links.Go(func() { b.consuming.run(ctx) })
	links.Wait()
	return nil
}

// Ready returns nil when both connections are up, the topology is declared, the broker takes
// messages and every consumer consumes. Otherwise it returns a *NotReadyError, which wraps a
// *TopologyError when an operator is needed. It asks nobody: it tells what is known.
func (b *Broker) Ready(context.Context) error {
	for _, l := range []*link{b.publishing, b.consuming} {
		e, _, down := l.state()
		if e == nil {
			return &NotReadyError{Reason: fmt.Sprintf("connection %q is down", l.name), Cause: down}
		}
		if reason := e.blockedFor(); reason != "" {
			return &NotReadyError{Reason: "it takes no messages: " + reason}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, err := range b.stalled {
		return &NotReadyError{Reason: "a consumer is waiting", Cause: err}
	}
	return nil
}

// Reconnects returns how often a connection was lost since Run began.
func (b *Broker) Reconnects() uint64 {
	return b.publishing.losses.Load() + b.consuming.losses.Load()
}

// PublishCommand publishes a command to the workers of its database. Nil means that the broker has
// confirmed it. The errors are ErrUnavailable, ErrRefused, ErrUnroutable and ErrUnknown; after the
// last one the command may be published again, as a repetition is harmless.
func (b *Broker) PublishCommand(ctx context.Context, c ingest.Command, traceparent string) error {
	m, err := commandMessage(c, traceparent, b.name)
	if err != nil {
		return err
	}
	if err := b.publishing.publish(ctx, CommandsExchange, string(c.Database), true, m); err != nil {
		return fmt.Errorf("publishing the command of job %s for %s: %w", c.JobID, c.Database, err)
	}
	return nil
}

// PublishEvent publishes an event. Errors are those of PublishCommand. A terminal event must reach
// at least the queue of other services; the others may find nobody listening, which is no error.
func (b *Broker) PublishEvent(ctx context.Context, e ingest.Event, traceparent string) error {
	m, err := eventMessage(e, traceparent, b.name)
	if err != nil {
		return err
	}
	terminal := ingest.Status(e.Kind).Terminal()
	if err := b.publishing.publish(ctx, EventsExchange, e.RoutingKey(), terminal, m); err != nil {
		return fmt.Errorf("publishing event %s for %s: %w", e.ID, e.Body.Database, err)
	}
	return nil
}

// QueueDepth is what a queue holds.
type QueueDepth struct {
	Messages  int // ready to be delivered; those with a consumer are not counted
	Consumers int
}

// Depths returns the depth of every queue of the topology. A queue that does not exist is left out.
func (b *Broker) Depths(ctx context.Context) (map[string]QueueDepth, error) {
	e, _, down := b.consuming.state()
	if e == nil {
		return nil, fmt.Errorf("measuring queues: %w: %w", ErrUnavailable, down)
	}
	return e.depths(ctx, b.topology.Queues)
}

// consumerTag returns a tag that was never used: a broker refuses one that it still knows.
func (b *Broker) consumerTag() string {
	return b.name + "." + strconv.FormatUint(b.tags.Add(1), 10)
}

func (b *Broker) setStalled(consumer *int, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if cause == nil {
		delete(b.stalled, consumer)
	} else {
		b.stalled[consumer] = cause
	}
}
