package config

import "log/slog"

// Secret is a value that must not be shown. Printing, logging and marshalling it yield a
// placeholder; only Reveal returns the value.
type Secret string

const redacted = "[redacted]"

// Reveal returns the value, for the one place that hands it to a server.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString redacts %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue redacts slog attributes.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText redacts JSON and every other text form.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
