package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// confirmChannel is a channel in confirm mode. One goroutine uses it at a time and publishes one
// message at a time, so a returned message is always the last one published.
type confirmChannel struct {
	ch       *amqp.Channel
	returned chan amqp.Return
	closed   chan *amqp.Error
}

// openConfirmChannel opens a channel in confirm mode.
func (e *epoch) openConfirmChannel() (*confirmChannel, error) {
	ch, err := e.channel()
	if err != nil {
		return nil, err
	}
	if err := e.within(e.timing.answer, "asking for confirms", func() error { return ch.Confirm(false) }); err != nil {
		e.closeChannel(ch)
		return nil, err
	}
	// Each buffer holds all that can come before it is read.
	return &confirmChannel{
		ch:       ch,
		returned: ch.NotifyReturn(make(chan amqp.Return, 1)),
		closed:   ch.NotifyClose(make(chan *amqp.Error, 1)),
	}, nil
}

// acquire returns a channel for the caller alone. Each is given back with release.
func (e *epoch) acquire(ctx context.Context) (*confirmChannel, error) {
	select {
	case c := <-e.idle: // rather than opening one more
		return c, nil
	default:
	}
	select {
	case c := <-e.idle:
		return c, nil
	case <-e.permits:
		c, err := e.openConfirmChannel()
		if err != nil {
			e.permits <- struct{}{}
			return nil, err
		}
		return c, nil
	case <-e.done:
		return nil, e.err()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a channel: %w", context.Cause(ctx))
	}
}

// release takes the channel back. A closed one makes room for another.
func (e *epoch) release(c *confirmChannel) {
	if c.ch.IsClosed() {
		e.permits <- struct{}{}
		return
	}
	e.idle <- c
}

// reason returns why the channel was closed.
func (c *confirmChannel) reason(e *epoch) error {
	select {
	case err, ok := <-c.closed:
		if ok {
			if cause := e.err(); cause != nil {
				return cause
			}
			return err
		}
	default:
	}
	return amqp.ErrClosed
}

// publish sends a persistent message and waits for the broker's word on it. A nil error means
// that the message is safe; the others are ErrUnavailable, ErrRefused, ErrUnroutable and
// ErrUnknown. It returns within the confirm timeout; the end of ctx ends the wait for a channel
// and for the confirm.
func (l *link) publish(ctx context.Context, exchange, key string, mandatory bool, m amqp.Publishing) error {
	e, _, down := l.state()
	if e == nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, down)
	}
	if err := e.begin(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	c, err := e.acquire(ctx)
	if err != nil {
		e.end()
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	// One watchdog for both ways to hang: a write that the broker does not read, and a confirm
	// that does not come. Giving up the connection makes it unlikely that the broker carries the
	// message out later, when its sender has long been told that the outcome is unknown.
	timeout := l.cfg.ConfirmTimeout
	watchdog := time.AfterFunc(timeout, func() {
		e.drop(fmt.Errorf("no confirm within %s", timeout))
	})
	finish := func() {
		watchdog.Stop()
		e.release(c)
		e.end()
	}
	confirm, err := c.ch.PublishWithDeferredConfirmWithContext(ctx, exchange, key, mandatory, false, m)
	if err != nil {
		finish()
		return l.unsent(ctx, err, m)
	}
	select {
	case <-confirm.Done():
		defer finish()
		return l.verdict(e, c, confirm)
	case <-ctx.Done():
		// The channel cannot serve another message before this one is settled. The watchdog
		// sees to it that it is, and the epoch waits for this goroutine.
		go func() {
			defer finish()
			<-confirm.Done()
			c.takeReturn()
		}()
		return fmt.Errorf("%w: %w", ErrUnknown, context.Cause(ctx))
	}
}

// unsent interprets the error of a publish that did not get as far as waiting.
func (l *link) unsent(ctx context.Context, err error, m amqp.Publishing) error {
	switch {
	case errors.Is(err, ctx.Err()):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case m.Headers.Validate() != nil:
		return fmt.Errorf("%w: encoding its headers: %w", ErrRefused, err)
	case errors.Is(err, amqp.ErrClosed):
		// The client says so before the last frame of a message is written; the broker acts on
		// whole messages only.
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	default:
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
}

// verdict interprets the end of the wait for a confirm.
func (l *link) verdict(e *epoch, c *confirmChannel, confirm *amqp.DeferredConfirmation) error {
	if confirm.Acked() {
		// A message that found no queue is returned first and confirmed after.
		if r, ok := c.takeReturn(); ok {
			l.mend()
			return fmt.Errorf("%w: %s", ErrUnroutable, r.ReplyText)
		}
		return nil
	}
	// The client reports a lost connection as a negative confirm: only on an open channel is it
	// the broker's answer.
	if !c.ch.IsClosed() {
		return ErrRefused
	}
	cause := c.reason(e)
	if said, ok := errors.AsType[*amqp.Error](cause); ok && said.Server && !e.conn.IsClosed() {
		switch said.Code {
		case amqp.NotFound: // the exchange
			l.mend()
			return fmt.Errorf("%w: %w", ErrUnroutable, cause)
		case amqp.AccessRefused, amqp.PreconditionFailed, amqp.ContentTooLarge:
			return fmt.Errorf("%w: %w", ErrRefused, cause)
		}
	}
	return fmt.Errorf("%w: %w", ErrUnknown, cause)
}

// takeReturn returns the message that came back, if one did, and makes room for the next.
func (c *confirmChannel) takeReturn() (amqp.Return, bool) {
	select {
	case r, open := <-c.returned:
		return r, open // not open: the connection was lost after the confirm
	default:
		return amqp.Return{}, false
	}
}
