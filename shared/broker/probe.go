package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Server is what a broker says of itself.
type Server struct {
	Product string // RabbitMQ
	Version string
	Cluster string // its name, by default that of the first node
}

// Probe sends one message through the broker and back, over a connection and a queue of its own
// that nobody else sees and that go with it. Nil means that the address is right, the user may log
// in and work in the virtual host, and messages are taken, confirmed and delivered.
//
// The errors are ErrUnreachable, ErrCredentials, ErrVHost, ErrForbidden and ErrBlocked, and
// ErrRefused, ErrUnroutable and ErrUnknown of the message. What the broker said of itself before
// the trouble is returned with the error. ctx should leave it ten seconds: a broker takes three to
// refuse a password.
func Probe(ctx context.Context, cfg Config) (Server, error) {
	var server Server
	err := visit(ctx, cfg, "ingesta probe", func(e *epoch) error {
		server = e.server()
		return e.roundTrip(ctx, cfg.ConfirmTimeout)
	})
	if err != nil {
		return server, fmt.Errorf("probing the broker: %w", err)
	}
	return server, nil
}

func (e *epoch) server() Server {
	text := func(property string) string {
		s, _ := e.conn.Properties[property].(string)
		return s
	}
	return Server{Product: text("product"), Version: text("version"), Cluster: text("cluster_name")}
}

// roundTrip publishes a message to a queue of this connection's own and gets it back. A broker
// that takes the message has patience to confirm it.
func (e *epoch) roundTrip(ctx context.Context, patience time.Duration) error {
	c, err := e.openConfirmChannel()
	if err != nil {
		return err
	}
	// A name and a type, because permissions may go by the first and a virtual host may have
	// another default for the second, which cannot be exclusive.
	queue := prefix + "check." + rand.Text()
	err = e.within(e.timing.answer, "declaring a temporary queue", func() error {
		_, err := c.ch.QueueDeclare(queue, false, true, true, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeClassic})
		return err
	})
	if err != nil {
		return err
	}
	if err := e.deliver(ctx, c, queue, patience); err != nil {
		return err
	}
	return e.within(e.timing.answer, "deleting the temporary queue", func() error {
		_, err := c.ch.QueueDelete(queue, false, false, false)
		return err
	})
}

// deliver publishes a message to the queue and takes it off again.
func (e *epoch) deliver(ctx context.Context, c *confirmChannel, queue string, patience time.Duration) error {
	confirm, err := c.ch.PublishWithDeferredConfirmWithContext(ctx, "", queue, true, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, MessageId: queue, Body: []byte(queue)})
	if err != nil {
		return fmt.Errorf("publishing a message: %w", err)
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-e.alarmed:
		reason := e.blockedFor()
		e.drop(errors.New("the broker blocks publishers")) // it would not even read a farewell
		return fmt.Errorf("publishing a message: %w: %s", ErrBlocked, reason)
	case <-timeout.C:
		e.drop(fmt.Errorf("no confirm within %s", patience)) // or the message is carried out when nobody waits
		return fmt.Errorf("publishing a message: %w within %s", ErrUnknown, patience)
	case <-confirm.Done():
	}
	if !confirm.Acked() && !c.ch.IsClosed() {
		return fmt.Errorf("publishing a message: %w", ErrRefused)
	}
	if !confirm.Acked() {
		return fmt.Errorf("publishing a message: %w", c.reason(e))
	}
	if r, ok := c.takeReturn(); ok {
		return fmt.Errorf("publishing a message: %w: %s", ErrUnroutable, r.ReplyText)
	}
	return e.within(e.timing.answer, "getting the message back", func() error {
		got, ok, err := c.ch.Get(queue, true)
		switch {
		case err != nil:
			return err
		case !ok:
			return errors.New("the queue that confirmed it is empty")
		case got.MessageId != queue || string(got.Body) != queue:
			return errors.New("another message came")
		}
		return nil
	})
}
