package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// visit makes a connection for one errand and closes it. It tries once. It ends with ctx at the
// latest, and by itself when the broker does not answer.
func visit(ctx context.Context, cfg Config, name string, errand func(*epoch) error) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	l := newLink(cfg, name, false, Declarations{}, defaultTiming, slog.New(slog.DiscardHandler))
	began := time.Now()
	e, err := l.dial(ctx)
	if err != nil {
		return unopened(ctx, err, time.Since(began) >= l.timing.dial)
	}
	defer e.close(0)
	stop := context.AfterFunc(ctx, func() { e.drop(context.Cause(ctx)) })
	defer stop()
	if err := errand(e); err != nil {
		return unfinished(ctx, e, err)
	}
	return nil
}

// unopened interprets the error of a connection that was not opened. expired says that the time
// for it ran out.
func unopened(ctx context.Context, err error, expired bool) error {
	if ctx.Err() != nil {
		return over(ctx, err)
	}
	if said, ok := errors.AsType[*amqp.Error](err); ok && said.Server {
		switch said.Code {
		case amqp.AccessRefused:
			return fmt.Errorf("%w: %w", ErrCredentials, err)
		case amqp.NotAllowed:
			return fmt.Errorf("%w: %w", ErrVHost, err)
		}
	}
	switch {
	case expired:
		// The client takes any end of the handshake for a refusal, also that of its time.
		return fmt.Errorf("%w: no answer in time", ErrUnreachable)
	case errors.Is(err, amqp.ErrCredentials), errors.Is(err, amqp.ErrSASL):
		// The broker hung up when it saw them, which is how AMQP has it say no.
		return fmt.Errorf("%w: %w", ErrCredentials, err)
	case errors.Is(err, amqp.ErrVhost):
		return fmt.Errorf("%w: %w", ErrVHost, err)
	default:
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
}

// unfinished interprets the error of an errand.
func unfinished(ctx context.Context, e *epoch, err error) error {
	for _, named := range []error{ErrBlocked, ErrRefused, ErrUnroutable, ErrUnknown} {
		if errors.Is(err, named) && ctx.Err() == nil {
			return err
		}
	}
	if _, ok := errors.AsType[*TopologyError](err); ok {
		return err
	}
	if ctx.Err() != nil {
		return over(ctx, err)
	}
	if said, ok := errors.AsType[*amqp.Error](err); ok && said.Server && said.Code == amqp.AccessRefused {
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	if lost := e.err(); lost != nil {
		return fmt.Errorf("%w: the connection was lost: %w", ErrUnreachable, lost)
	}
	return err
}

// over is the error when ctx ended before the errand. That the caller gave up is no fault of the
// broker; that its time ran out is.
func over(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))
}
