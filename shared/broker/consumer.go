package broker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/pharmavida/ingesta/shared/ingest"
)

var (
	errCancelled = errors.New("the broker cancelled the consumer: its queue was deleted, or a delivery took longer than the broker allows")
	errNoChannel = errors.New("the channel was closed")
	errRenewal   = errors.New("nothing was delivered for a while")
)

// Consume hands the commands of a database to handle until ctx ends, and resumes by itself after
// every loss: of the connection, the channel, the consumer or the queue.
//
// Each delivery is handled in a goroutine of its own; at most prefetch of them are unanswered on
// one connection. After a reconnect the handlers of the old connection go on beside the new ones,
// so a caller that bounds its work needs a bound of its own. The context given to handle carries
// the values of ctx but ends with nothing: neither the connection nor ctx stops a handler. A panic
// in handle is not recovered here.
//
// When ctx ends the intake stops, messages that no handler has seen go back to the queue, and
// Consume returns nil once every handler has returned. Run's context must last at least as long,
// or their acknowledgements come to nothing. Any other result is a mistake of the caller.
func (b *Broker) Consume(ctx context.Context, db ingest.Database, prefetch int, handle func(context.Context, *Delivery)) error {
	if !slices.Contains(b.databases, db) {
		return fmt.Errorf("consuming commands: no queue is declared for database %q", db)
	}
	if prefetch < 1 || prefetch > math.MaxUint16 {
		return fmt.Errorf("consuming commands: a prefetch of %d: use 1 to %d", prefetch, math.MaxUint16)
	}
	c := &consumer{broker: b, database: db, prefetch: prefetch, handle: handle}
	defer c.handlers.Wait()
	b.follow(ctx, CommandQueue(db), c.session)
	return nil
}

// consumer is one call of Consume.
type consumer struct {
	broker   *Broker
	database ingest.Database
	prefetch int
	handle   func(context.Context, *Delivery)
	handlers sync.WaitGroup
}

// session consumes on one channel, until that is lost or ctx ends.
func (c *consumer) session(ctx context.Context, e *epoch, consuming func()) error {
	// A fresh channel: tags of an earlier one mean nothing here.
	ch, err := e.channel()
	if err != nil {
		return err
	}
	// Closing also returns the deliveries whose handlers still run to the queue, and makes their
	// answers stale. After a cancellation by the broker nobody knows which tags it still honours.
	defer e.closeChannel(ch)
	cancelled := ch.NotifyCancel(make(chan string, 1))
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	tag := c.broker.consumerTag()
	deliveries, err := e.consume(ch, CommandQueue(c.database), tag, c.prefetch)
	if err != nil {
		return err
	}
	consuming()
	// Now and then an idle consumer is replaced, because not every broker tells it when it has
	// lost its queue (see link.mend), and it could wait forever.
	idle := time.NewTicker(e.timing.renew)
	defer idle.Stop()
	var unanswered atomic.Int64
	for {
		select {
		case m, open := <-deliveries:
			if !open {
				return endOf(e, cancelled, closed)
			}
			idle.Reset(e.timing.renew)
			unanswered.Add(1)
			d := newDelivery(m, c.database, ch, &unanswered)
			c.handlers.Go(func() { c.handle(context.WithoutCancel(ctx), d) })
		case <-idle.C:
			if unanswered.Load() > 0 {
				continue // closing the channel would make their answers stale
			}
			if err := c.stopIntake(e, ch, tag, deliveries); err != nil {
				return err
			}
			return errRenewal
		case <-ctx.Done():
			if err := c.stopIntake(e, ch, tag, deliveries); err != nil {
				return err
			}
			c.handlers.Wait() // their answers need the channel
			return nil
		}
	}
}

// stopIntake ends the consumer and gives back what no handler has seen.
func (c *consumer) stopIntake(e *epoch, ch *amqp.Channel, tag string, deliveries <-chan amqp.Delivery) error {
	err := e.within(e.timing.answer, "cancelling the consumer", func() error { return ch.Cancel(tag, false) })
	if err != nil {
		return err // the channel is gone, and what it delivered goes back by itself
	}
	for m := range deliveries {
		_ = m.Nack(false, true) // an error means that the message goes back by itself
	}
	return nil
}

// consume starts a consumer with manual acknowledgement.
func (e *epoch) consume(ch *amqp.Channel, queue, tag string, prefetch int) (deliveries <-chan amqp.Delivery, err error) {
	err = e.within(e.timing.answer, "consuming from "+queue, func() error {
		if err := ch.Qos(prefetch, 0, false); err != nil {
			return err
		}
		deliveries, err = ch.Consume(queue, tag, false, false, false, false, nil)
		return err
	})
	return deliveries, err
}

// endOf returns why deliveries ended. Channel and connection may be gone, or only the consumer.
func endOf(e *epoch, cancelled <-chan string, closed <-chan *amqp.Error) error {
	if err := e.err(); err != nil {
		return err
	}
	select {
	case _, ok := <-cancelled:
		if ok {
			return errCancelled
		}
	default:
	}
	select {
	case err, ok := <-closed:
		if ok {
			return err
		}
	default:
	}
	return errNoChannel
}

// follow runs sessions on the consuming connection, one after the other, until ctx ends. A
// session calls its last argument when it has begun to consume; Ready complains of one that has
// not.
func (b *Broker) follow(ctx context.Context, what string, session func(context.Context, *epoch, func()) error) {
	log := b.log.With("queue", what)
	key := new(int) // this follower, and no other
	defer b.setStalled(key, nil)
	b.setStalled(key, fmt.Errorf("not yet consuming from %s", what))
	var last *epoch
	var logged string // the last cause that was logged
	pause := b.timing.backoff()
	for {
		e, err := b.consuming.await(ctx)
		if err != nil {
			return
		}
		// The connection's own declaration is fresh the first time. Later the reason for the
		// loss may be that somebody deleted the queue.
		if e == last {
			err = e.declare(b.topology)
		}
		last = e
		began := time.Now()
		if err == nil {
			err = session(ctx, e, func() {
				b.setStalled(key, nil)
				if logged != "" {
					log.Info("consuming again")
				}
				logged = ""
			})
		}
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errRenewal) {
			last = nil // no reason to doubt the topology
			continue
		}
		b.setStalled(key, err)
		if logged != err.Error() { // once per cause
			logged = err.Error()
			log.Warn("consuming was interrupted, resuming", "error", err)
		}
		if time.Since(began) >= b.timing.steady {
			pause = b.timing.backoff()
		}
		pause.wait(ctx, err)
	}
}
