package telemetry

import "fmt"

// Format is the form of log lines.
type Format string

// The forms of log lines.
const (
	JSON Format = "json"
	Text Format = "text"
)

// UnmarshalText accepts the names of the two forms.
func (f *Format) UnmarshalText(text []byte) error {
	switch got := Format(text); got {
	case JSON, Text:
		*f = got
		return nil
	default:
		return fmt.Errorf("unknown log format %q: use %q or %q", text, JSON, Text)
	}
}
