package broker

import (
	"context"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// subscribePrefetch bounds what a slow subscriber holds in memory.
const subscribePrefetch = 64

// Subscribe hands events to handle, one after the other, until ctx ends; then it returns nil. It
// listens on a queue of its own that vanishes with the connection, and so takes nothing away from
// other subscribers. Bindings are topics such as "job.*.success" or "job.#".
//
// Ready, unless nil, is called whenever the queue is in place: events published from then on are
// seen. After a loss of the connection Subscribe resumes, but what was published in between is
// missed. It is for people and tests; a service that must see every event binds a durable queue.
//
// A message that is not one of our events is logged and passed over.
func (b *Broker) Subscribe(ctx context.Context, bindings []string, ready func(), handle func(ingest.Event, map[string]any)) error {
	if len(bindings) == 0 {
		return fmt.Errorf("subscribing to events: no binding is given")
	}
	b.follow(ctx, EventsExchange, func(ctx context.Context, e *epoch, consuming func()) error {
		ch, err := e.channel()
		if err != nil {
			return err
		}
		defer e.closeChannel(ch)
		cancelled := ch.NotifyCancel(make(chan string, 1))
		closed := ch.NotifyClose(make(chan *amqp.Error, 1))
		queue, err := e.bindTemporary(ch, bindings)
		if err != nil {
			return err
		}
		deliveries, err := e.consume(ch, queue, b.consumerTag(), subscribePrefetch)
		if err != nil {
			return err
		}
		consuming()
		if ready != nil {
			ready()
		}
		for {
			select {
			case <-ctx.Done():
				return nil
			case m, open := <-deliveries:
				if !open {
					return endOf(e, cancelled, closed)
				}
				if event, err := decodeEvent(m); err != nil {
					b.log.Warn("passing over a message that is no event", "message_id", m.MessageId, "routing_key", m.RoutingKey, "error", err)
				} else {
					handle(event, m.Headers)
				}
				_ = m.Ack(false) // an error shows as the end of deliveries
			}
		}
	})
	return nil
}

// bindTemporary declares a queue that only this connection may use and that goes with it.
func (e *epoch) bindTemporary(ch *amqp.Channel, bindings []string) (name string, err error) {
	err = e.within(e.timing.answer, "binding a queue to events", func() error {
		q, err := ch.QueueDeclare("", false, true, true, false, nil)
		if err != nil {
			return err
		}
		name = q.Name
		for _, key := range bindings {
			if err := ch.QueueBind(name, key, EventsExchange, false, nil); err != nil {
				return err
			}
		}
		return nil
	})
	return name, err
}
