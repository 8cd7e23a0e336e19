package management

import "fmt"

// Kind tells failures apart by what is to be done about them.
type Kind string

// The kinds of failures.
const (
	// Unreachable: nobody answers at the address, or nobody who speaks HTTP.
	Unreachable Kind = "unreachable"
	// Unauthorized: user or password are wrong, or the user has none of the tags that let it in.
	Unauthorized Kind = "unauthorized"
	// Forbidden: the user is known and needs another tag, or permissions on the virtual host.
	Forbidden Kind = "forbidden"
	// NotFound: there is no such thing on the broker, the virtual host for one. Brokers of 4.x also
	// say so of a virtual host that the user may not see.
	NotFound Kind = "not_found"
	// Refused: the broker does not accept what it was asked to do.
	Refused Kind = "refused"
	// Failed: the broker could not answer, or not as RabbitMQ does.
	Failed Kind = "failed"
)

// Error is a request that failed.
type Error struct {
	Kind   Kind
	Status int    // of HTTP; 0 when there was no answer
	Reason string // what the broker says, if anything
	Cause  error  // may be nil
}

func (e *Error) Error() string {
	text := "the management interface "
	switch e.Kind {
	case Unreachable:
		text += "cannot be reached"
	case Unauthorized:
		text += "refuses the log-in: user or password are wrong, or the user has no tag such as monitoring"
	case Forbidden:
		text += "does not allow this user to do so: it needs another tag, or permissions on the virtual host"
	case NotFound:
		text += "does not know it"
	case Refused:
		text += "refuses to do so"
	default:
		text += "does not answer as it should"
	}
	if e.Status != 0 {
		text += fmt.Sprintf(" (status %d)", e.Status)
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }
