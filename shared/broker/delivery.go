package broker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Delivery is a message that waits for its answer: one of Ack, Requeue, Broker.Delay and
// Broker.Bury. A delivery that gets none stays with this consumer until its channel ends, and is
// then delivered again.
type Delivery struct {
	Body          []byte
	MessageID     string
	CorrelationID string
	Traceparent   string
	Headers       map[string]any // as the broker gave them; not to be changed
	Redelivered   bool           // it may have been delivered before

	message  amqp.Delivery
	database ingest.Database
	channel  *amqp.Channel // that delivered it, the only one that may answer
	answered atomic.Bool

	unanswered *atomic.Int64 // of the channel
}

func newDelivery(m amqp.Delivery, db ingest.Database, ch *amqp.Channel, unanswered *atomic.Int64) *Delivery {
	traceparent, _ := m.Headers[HeaderTraceparent].(string)
	return &Delivery{
		Body:          m.Body,
		MessageID:     m.MessageId,
		CorrelationID: m.CorrelationId,
		Traceparent:   traceparent,
		Headers:       m.Headers,
		Redelivered:   m.Redelivered,
		message:       m,
		database:      db,
		channel:       ch,
		unanswered:    unanswered,
	}
}

// Ack tells the broker to forget the message. It fails with ErrStale when the channel that
// delivered is gone, and with ErrAnswered the second time. Nil means that the answer was sent:
// should the connection break just now, the message comes again all the same.
func (d *Delivery) Ack() error {
	return d.answer("acknowledging", func() error { return d.channel.Ack(d.message.DeliveryTag, false) })
}

// Requeue gives the message back to its queue for another consumer, at once. It is for a worker
// that stops; anywhere else it would go round in circles (see Broker.Delay). Errors as of Ack.
func (d *Delivery) Requeue() error {
	return d.answer("requeueing", func() error { return d.channel.Nack(d.message.DeliveryTag, false, true) })
}

// answer sends the one answer that a delivery may get: a second one would name a tag the broker
// no longer knows, which costs the channel and with it every other delivery in progress.
func (d *Delivery) answer(doing string, send func() error) error {
	if !d.answered.CompareAndSwap(false, true) {
		return fmt.Errorf("%s a message: %w", doing, ErrAnswered)
	}
	defer d.unanswered.Add(-1)
	if err := send(); err != nil {
		return fmt.Errorf("%s a message: %w: %w", doing, ErrStale, err)
	}
	return nil
}

// Delay has the command delivered again after a while: the shortest configured delay that is not
// shorter than after, else the longest. The message is confirmed in its delay queue before the
// delivery is acknowledged. On an error nothing was answered, and the caller may try again; the
// errors are those of PublishCommand. When the delivering channel is gone the result is nil as
// well, and the message comes twice: now and after the delay.
func (b *Broker) Delay(ctx context.Context, d *Delivery, after time.Duration) error {
	exchange := DelayName(b.cfg.delayFor(after))
	if err := b.move(ctx, d, exchange, republished(d.message)); err != nil {
		return fmt.Errorf("moving message %q to %s: %w", d.MessageID, exchange, err)
	}
	return nil
}

// Bury moves the message to the dead letters, its body intact, with headers that say why and when
// and where it came from. Order and errors are those of Delay.
func (b *Broker) Bury(ctx context.Context, d *Delivery, code ingest.Code, reason string) error {
	m := republished(d.message)
	m.Headers[HeaderCode] = string(code)
	m.Headers[HeaderReason] = reason
	m.Headers[HeaderBuriedAt] = time.Now().UTC().Format(time.RFC3339)
	m.Headers[HeaderRoutingKey] = d.message.RoutingKey
	if err := b.move(ctx, d, DeadExchange, m); err != nil {
		return fmt.Errorf("moving message %q to %s: %w", d.MessageID, DeadExchange, err)
	}
	return nil
}

// move publishes the message and then acknowledges the delivery: never the other way round, or a
// crash in between would lose it.
func (b *Broker) move(ctx context.Context, d *Delivery, exchange string, m amqp.Publishing) error {
	if d.answered.Load() {
		return ErrAnswered
	}
	// The key leads back to the queue of the database, also for a message that somebody put
	// into the queue under another one.
	if err := b.publishing.publish(ctx, exchange, string(d.database), true, m); err != nil {
		return err
	}
	if err := d.Ack(); err != nil && !errors.Is(err, ErrStale) {
		return err
	}
	return nil
}
