package broker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// prefix begins the name of everything that is ours alone.
const prefix = "ingesta."

// Names that outsiders rely on.
const (
	CommandsExchange = prefix + "commands" // direct; the routing key is the database
	EventsExchange   = prefix + "events"   // topic; the routing key is job.{database}.{kind}
	DeadExchange     = prefix + "dead"     // fanout to DeadQueue; keeps the routing key
	DeadQueue        = prefix + "dead"     // commands that nobody can carry out
)

// CommandQueue returns the name of the queue that the workers of a database share.
func CommandQueue(db ingest.Database) string { return CommandsExchange + "." + string(db) }

// DelayName returns the name of the exchange, and of the queue behind it, that holds a message
// for d and then returns it to CommandsExchange: ingesta.delay.10s, ingesta.delay.5m.
func DelayName(d time.Duration) string {
	name := d.String()
	if strings.HasSuffix(name, "m0s") {
		name = strings.TrimSuffix(name, "0s")
	}
	if strings.HasSuffix(name, "h0m") {
		name = strings.TrimSuffix(name, "0m")
	}
	return prefix + "delay." + name
}

// Declarations is a set of exchanges, queues and bindings. All of them are durable.
type Declarations struct {
	Exchanges []Exchange
	Queues    []Queue
	Bindings  []Binding
}

// Exchange is an exchange of a kind that AMQP names: direct, fanout or topic.
type Exchange struct{ Name, Kind string }

// Queue is a queue and its arguments, which the broker never lets anyone change.
type Queue struct {
	Name string
	Args map[string]any
}

// Binding leads messages of a routing key from an exchange to a queue.
type Binding struct{ Exchange, Key, Queue string }

// Topology returns everything that the system needs on the broker for these databases.
func Topology(cfg Config, databases []ingest.Database) Declarations {
	t := Declarations{
		Exchanges: []Exchange{
			{CommandsExchange, amqp.ExchangeDirect},
			{EventsExchange, amqp.ExchangeTopic},
			{DeadExchange, amqp.ExchangeFanout},
		},
		Queues:   []Queue{{DeadQueue, map[string]any{amqp.QueueTypeArg: amqp.QueueTypeQuorum}}},
		Bindings: []Binding{{DeadExchange, "", DeadQueue}},
	}
	for _, db := range databases {
		// A broker that gives up on a command (4.x does so after 20 returns, unless a policy says
		// otherwise) hands it to the dead letters: none is ever dropped in silence.
		t.Queues = append(t.Queues, Queue{CommandQueue(db), keptWhenDead(DeadExchange)})
		t.Bindings = append(t.Bindings, Binding{CommandsExchange, string(db), CommandQueue(db)})
	}
	for _, d := range cfg.Delays {
		// Fanout and no routing key of its own for the dead letter: a message keeps the key it
		// came with, so it finds the way back to the queue of its database.
		args := keptWhenDead(CommandsExchange)
		args[amqp.QueueMessageTTLArg] = d.Milliseconds()
		t.Exchanges = append(t.Exchanges, Exchange{DelayName(d), amqp.ExchangeFanout})
		t.Queues = append(t.Queues, Queue{DelayName(d), args})
		t.Bindings = append(t.Bindings, Binding{DelayName(d), "", DelayName(d)})
	}
	// Other services declare this queue themselves, as a plain durable one without arguments:
	// any argument here would be a conflict for them.
	t.Queues = append(t.Queues, Queue{Name: cfg.Queue})
	for _, s := range ingest.Statuses() {
		if s.Terminal() {
			t.Bindings = append(t.Bindings, Binding{EventsExchange, "job.*." + string(s), cfg.Queue})
		}
	}
	return t
}

// keptWhenDead returns the arguments of a quorum queue that holds on to a message until the given
// exchange's queues have confirmed it. Without reject-publish the broker would silently fall back
// to forgetting messages whose target is away.
func keptWhenDead(exchange string) map[string]any {
	return map[string]any{
		amqp.QueueTypeArg:        amqp.QueueTypeQuorum,
		"x-dead-letter-exchange": exchange,
		"x-dead-letter-strategy": "at-least-once",
		amqp.QueueOverflowArg:    amqp.QueueOverflowRejectPublish,
	}
}

// delayFor returns the shortest delay of at least after, else the longest there is.
func (c Config) delayFor(after time.Duration) time.Duration {
	longest := slices.Max(c.Delays)
	best := longest
	for _, d := range c.Delays {
		if d >= after && d < best {
			best = d
		}
	}
	return best
}

// declare brings the declarations about on the channel. It changes nothing that is there already.
// It returns a *TopologyError when the broker refuses one of them for good; the channel is closed
// then.
func (t Declarations) declare(ch *amqp.Channel) error {
	for _, x := range t.Exchanges {
		if err := ch.ExchangeDeclare(x.Name, x.Kind, true, false, false, false, nil); err != nil {
			return declaring("exchange", x.Name, err)
		}
	}
	for _, q := range t.Queues {
		if _, err := ch.QueueDeclare(q.Name, true, false, false, false, q.Args); err != nil {
			return declaring("queue", q.Name, err)
		}
	}
	for _, b := range t.Bindings {
		if err := ch.QueueBind(b.Queue, b.Key, b.Exchange, false, nil); err != nil {
			return declaring("queue", b.Queue, fmt.Errorf("binding it to %s: %w", b.Exchange, err))
		}
	}
	return nil
}

func declaring(kind, name string, err error) error {
	if e, ok := errors.AsType[*amqp.Error](err); ok && e.Server {
		switch e.Code {
		case amqp.PreconditionFailed, amqp.AccessRefused, amqp.ResourceLocked, amqp.NotAllowed, amqp.NotImplemented:
			return &TopologyError{Kind: kind, Name: name, Cause: e}
		}
	}
	return fmt.Errorf("declaring %s %s: %w", kind, name, err)
}
