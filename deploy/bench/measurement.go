package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// measurement is what one run of a subject took. What a subject does not measure is 0.
type measurement struct {
	// Seconds is the time that counts: of an export from the claim of its job to its end, of a
	// reference from the start of its first process to the end of its last.
	Seconds float64 `json:"seconds,omitempty"`
	// Wall is how long a client waited for an export.
	Wall float64 `json:"wall_s,omitempty"`
	// CPU is the processor time of the worker, of the gateway where it is measured, or of the processes
	// of a reference.
	CPU float64 `json:"cpu_s,omitempty"`
	// Peak is the highest resident set of the same in MiB; of several processes the sum.
	Peak  float64 `json:"peak_rss_mib,omitempty"`
	Rows  int     `json:"rows,omitempty"`
	Bytes int64   `json:"bytes,omitempty"` // of the object

	// Of many small requests: how many per second, and how long each took.
	Rate float64 `json:"per_s,omitempty"`
	P50  float64 `json:"p50_ms,omitempty"`
	P99  float64 `json:"p99_ms,omitempty"`
}

// String is what the progress tells.
func (m measurement) String() string {
	if m.Rate > 0 {
		return fmt.Sprintf("%s/s, p50 %s ms, p99 %s ms", number(m.Rate), number(m.P50), number(m.P99))
	}
	return fmt.Sprintf("%s s, %s s of processor, %s MiB", number(m.Seconds), number(m.CPU), number(m.Peak))
}

// subject is something that is measured once in every round.
type subject struct {
	name     string
	data     []dataset                           // that must be loaded
	works    []ingest.Database                   // whose workers must run
	packages []string                            // of Debian, that must be installed
	cold     bool                                // it takes too long to be run once more for warming up
	prepare  func(context.Context, *bench) error // once, before the first round; may be nil
	measure  func(context.Context, *bench) (measurement, error)
}

// quantity is a figure of a measurement.
type quantity struct {
	name, unit string
	of         func(measurement) float64
}

var (
	processor = quantity{"processor time", "s", func(m measurement) float64 { return m.CPU }}
	wall      = quantity{"time of the client", "s", func(m measurement) float64 { return m.Wall }}
	seconds   = quantity{"time", "s", func(m measurement) float64 { return m.Seconds }}
	memory    = quantity{"memory", "MiB", func(m measurement) float64 { return m.Peak }}
	rate      = quantity{"rate", "/s", func(m measurement) float64 { return m.Rate }}
	p50       = quantity{"p50", "ms", func(m measurement) float64 { return m.P50 }}
	p99       = quantity{"p99", "ms", func(m measurement) float64 { return m.P99 }}
)

// each returns the quantity of all measurements.
func (q quantity) each(all []measurement) []float64 {
	values := make([]float64, len(all))
	for i, m := range all {
		values[i] = q.of(m)
	}
	return values
}

// median returns the middle of the values, or the mean of the two in the middle; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// percentile returns the smallest of the values that p percent of them do not exceed.
func percentile(values []float64, p int) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}
