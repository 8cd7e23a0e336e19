package check

import "time"

// Status is how a look ended. The zero value is StatusFailed: what does not say that it worked did not.
type Status int

// The statuses.
const (
	StatusFailed  Status = iota
	StatusOK             // it is as it must be
	StatusSkipped        // nobody could or needed to look; Detail says why
)

// String returns "failed", "ok" or "skipped", which are also the words of the JSON form.
func (s Status) String() string {
	switch s {
	case StatusOK:
		return "ok"
	case StatusSkipped:
		return "skipped"
	default:
		return "failed"
	}
}

// Outcome is what a look showed. All texts are for people, in one line each, and free of secrets.
type Outcome struct {
	Status   Status
	Detail   string   // short: "MariaDB 10.11.14"
	Cause    string   // of a failure: what is wrong
	NextStep string   // of a failure: what to do about it
	Lines    []string // more, for those who ask for it: versions, counts
}

// OK is the outcome of a look at something that is as it must be.
func OK(detail string, lines ...string) Outcome {
	return Outcome{Status: StatusOK, Detail: detail, Lines: lines}
}

// Fail is the outcome of a look at something that is not. The next step is what the reader should
// do now: "start it: make up".
func Fail(cause error, nextStep string, lines ...string) Outcome {
	return Outcome{Status: StatusFailed, Cause: cause.Error(), NextStep: nextStep, Lines: lines}
}

// Skip is the outcome where nobody looked, and says why.
func Skip(why string, lines ...string) Outcome {
	return Outcome{Status: StatusSkipped, Detail: why, Lines: lines}
}

// Finding is one thing that a check found.
type Finding struct {
	Title string
	Outcome
	Elapsed time.Duration // how long the look took; zero where none was taken
}
