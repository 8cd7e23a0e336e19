package auth

import "fmt"

// Reason is why a request is refused.
type Reason int

// The reasons.
const (
	Missing     Reason = iota // there is no bearer token
	Invalid                   // there is one, and it is not good
	Forbidden                 // the token is good and lacks a scope
	Unavailable               // nobody can tell: the keys to check tokens with cannot be fetched
)

// Error says why a request is refused. Message is safe to show: it holds nothing of the token. The
// cause is for the log alone, and may be nil.
type Error struct {
	Reason  Reason
	Scope   Scope // of Forbidden: what is lacking
	Message string
	Cause   error
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return fmt.Sprintf("%s: %v", e.Message, e.Cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Challenge returns the WWW-Authenticate header that goes with the refusal (RFC 6750), empty when
// another token would not help.
func (e *Error) Challenge() string {
	const realm = `Bearer realm="ingesta"`
	switch e.Reason {
	case Missing: // of a request that did not try, the RFC wants no error told
		return realm
	case Invalid:
		return fmt.Sprintf(`%s, error="invalid_token", error_description="%s"`, realm, e.Message)
	case Forbidden:
		return fmt.Sprintf(`%s, error="insufficient_scope", error_description="%s", scope="%s"`, realm, e.Message, e.Scope)
	default:
		return ""
	}
}

func invalid(message string) *Error { return &Error{Reason: Invalid, Message: message} }
