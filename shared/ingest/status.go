package ingest

import "fmt"

// Status is the state of a job. See CanBecome for the legal transitions.
type Status string

// The states of a job. Success, Partial, Failed and Cancelled are terminal: a job never leaves
// them, and a retry is a new job.
const (
	Queued    Status = "queued"    // accepted, or waiting between two attempts
	Running   Status = "running"   // claimed by a worker that holds its lease
	Success   Status = "success"   // every dataset is in S3
	Partial   Status = "partial"   // some datasets are in S3, some failed
	Failed    Status = "error"     // no dataset is in S3
	Cancelled Status = "cancelled" // ended on request
)

// Statuses lists every status in the order of a job's life.
func Statuses() []Status {
	return []Status{Queued, Running, Success, Partial, Failed, Cancelled}
}

// ParseStatus returns the status that s names.
func ParseStatus(s string) (Status, error) {
	for _, known := range Statuses() {
		if s == string(known) {
			return known, nil
		}
	}
	return "", fmt.Errorf("unknown status %q: use one of %v", s, Statuses())
}

func (s Status) String() string { return string(s) }

// Terminal reports whether a job in this state is over.
func (s Status) Terminal() bool {
	return s == Success || s == Partial || s == Failed || s == Cancelled
}

// CanBecome reports whether the transition from s to next is legal:
//
//	queued  → running    a worker claimed the job
//	queued  → cancelled  cancelled before anyone ran it
//	running → running    another worker took over an expired lease
//	running → queued     handed back, or waiting for the next attempt
//	running → success | partial | error | cancelled
//
// A queued job never turns into an error without being claimed first: only a worker can know.
func (s Status) CanBecome(next Status) bool {
	switch s {
	case Queued:
		return next == Running || next == Cancelled
	case Running:
		return next == Running || next == Queued || next.Terminal()
	default:
		return false
	}
}

// Conclude returns the terminal status that the results of all datasets of a job add up to.
// A result that is neither done nor failed counts as failed. No results at all is an error.
func Conclude(results Results) Status {
	done := 0
	for _, r := range results {
		if r.State == Done {
			done++
		}
	}
	switch {
	case done == 0:
		return Failed
	case done == len(results):
		return Success
	default:
		return Partial
	}
}
