package presign

import "fmt"

// Reason is why there is no address.
type Reason int

// The reasons.
const (
	Unconfigured  Reason = iota // the gateway knows no bucket
	NoCredentials               // it finds nothing to sign with
	Elsewhere                   // the object lies in another bucket, or is none
)

// Error says why there is no address. Message is safe to show; the cause is for the log alone, and may
// be nil.
type Error struct {
	Reason  Reason
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
