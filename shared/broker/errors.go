package broker

import (
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Outcomes of a publish that was not confirmed.
var (
	// ErrUnavailable: nothing was sent. There is no connection, or the broker asked publishers
	// to stop.
	ErrUnavailable = errors.New("the broker is unavailable")
	// ErrRefused: the broker did not take the message; a queue is full, say.
	ErrRefused = errors.New("the broker refused the message")
	// ErrUnroutable: no queue is bound for the message, so the broker gave it back.
	ErrUnroutable = errors.New("no queue takes the message")
	// ErrUnknown: the message was sent, and the answer did not come. It may have been delivered.
	ErrUnknown = errors.New("the broker did not confirm the message")
)

// Outcomes of answering a delivery.
var (
	// ErrStale: the channel that delivered is gone. The broker delivers the message again.
	ErrStale = errors.New("the channel that delivered the message is gone")
	// ErrAnswered: the delivery was acknowledged or requeued before.
	ErrAnswered = errors.New("the delivery is already answered")
)

// Outcomes of looking for dead letters.
var (
	// ErrBusy: somebody else is reading them.
	ErrBusy = errors.New("the dead letters are in use")
	// ErrNoLetter: no letter within reach has the id.
	ErrNoLetter = errors.New("no such dead letter")
)

// Reasons for which Probe and Declare fail, beside those of a publish and a *TopologyError. Each
// calls for another person or another setting.
var (
	// ErrUnreachable: nobody answers at the address, or nobody who speaks AMQP.
	ErrUnreachable = errors.New("the broker cannot be reached")
	// ErrCredentials: the broker refuses the user or the password.
	ErrCredentials = errors.New("the broker refuses the user or the password")
	// ErrVHost: the broker knows the user and does not let it in there. AMQP has one code for all
	// of these.
	ErrVHost = errors.New("the virtual host does not exist, is not open to the user, or takes no more connections")
	// ErrForbidden: the user lacks a permission within the virtual host.
	ErrForbidden = errors.New("the user lacks a permission on the virtual host")
	// ErrBlocked: the broker is short of memory or disk and takes no messages until it is not.
	ErrBlocked = errors.New("the broker takes no messages")
)

// NotReadyError says why the broker cannot be used at present.
type NotReadyError struct {
	Reason string
	Cause  error // may be nil
}

func (e *NotReadyError) Error() string {
	if e.Cause == nil {
		return "the broker is not ready: " + e.Reason
	}
	return fmt.Sprintf("the broker is not ready: %s: %v", e.Reason, e.Cause)
}

// Unwrap returns the cause.
func (e *NotReadyError) Unwrap() error { return e.Cause }

// TopologyError says that an exchange or queue cannot be declared as the system needs it. Only an
// operator can mend that.
type TopologyError struct {
	Kind  string // "exchange" or "queue"
	Name  string
	Cause *amqp.Error // what the broker said
}

func (e *TopologyError) Error() string {
	return fmt.Sprintf("%s (the broker says: %s)", e.Advice(), e.Cause.Reason)
}

// Advice says what is in the way and who can remove it. It is safe to show to anyone: it names no
// address and does not quote the broker.
func (e *TopologyError) Advice() string {
	what := fmt.Sprintf("%s %q", e.Kind, e.Name)
	switch e.Cause.Code {
	case amqp.PreconditionFailed:
		return what + " exists with other properties than this version declares: empty and delete it, or use another virtual host"
	case amqp.AccessRefused:
		return what + ": the broker's user needs configure, write and read permission"
	case amqp.ResourceLocked:
		return what + " belongs to another connection alone: stop its owner"
	default:
		return what + " cannot be declared"
	}
}

// Unwrap returns what the broker said.
func (e *TopologyError) Unwrap() error { return e.Cause }
