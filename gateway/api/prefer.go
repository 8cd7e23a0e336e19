package api

import (
	"strconv"
	"strings"
	"time"
)

// preference is what a client prefers (RFC 7240), of the preferences this service honours.
type preference struct {
	wait         time.Duration // how long to wait for the end of the job
	waits        bool          // wait was given
	respondAsync bool
}

// maxPreferredSeconds keeps absurd waits within what a duration can hold.
const maxPreferredSeconds = 1 << 30

// parsePrefer reads the values of all Prefer headers. As the RFC demands, preferences that are
// unknown or malformed are ignored, and of two of one name the first counts.
func parsePrefer(values []string) preference {
	var p preference
	for _, element := range splitUnquoted(strings.Join(values, ","), ',') {
		name, value, _ := strings.Cut(splitUnquoted(element, ';')[0], "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "respond-async":
			p.respondAsync = true
		case "wait":
			if seconds, ok := parseSeconds(value); ok && !p.waits {
				p.wait, p.waits = seconds, true
			}
		}
	}
	return p
}

// parseSeconds reads RFC 9110's delta-seconds: digits and nothing else.
func parseSeconds(s string) (time.Duration, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > maxPreferredSeconds {
		n = maxPreferredSeconds // the only error left is that it is out of range
	}
	return time.Duration(n) * time.Second, true
}

// splitUnquoted splits s at each separator outside of quoted strings. It returns at least one
// part.
func splitUnquoted(s string, separator byte) []string {
	var parts []string
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}
