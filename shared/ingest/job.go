package ingest

import "time"

// Job is one accepted request: what was asked, how far it has come, and how it ended. Its JSON
// form is the body that HTTP clients read; the fields `status` and `result` keep the meaning they
// had for the original's clients.
type Job struct {
	ID              string    `json:"job_id"`
	Database        Database  `json:"database"`
	Status          Status    `json:"status"`
	RequestedBy     string    `json:"requested_by"`
	RequestID       string    `json:"request_id,omitempty"`
	RetryOf         string    `json:"retry_of,omitempty"`
	CatalogDigest   string    `json:"catalog_digest,omitempty"`
	CreatedAt       time.Time `json:"created_at"`
	StartedAt       time.Time `json:"started_at,omitzero"`  // of the first attempt
	FinishedAt      time.Time `json:"finished_at,omitzero"` // when it became terminal
	NextAttemptAt   time.Time `json:"next_attempt_at,omitzero"`
	CancelRequested bool      `json:"cancel_requested,omitempty"`
	Attempt         int       `json:"attempt"` // number of claims so far
	Progress        Progress  `json:"progress"`
	Results         Results   `json:"result"`
	Code            Code      `json:"code,omitempty"`  // why the job as a whole failed
	Error           string    `json:"error,omitempty"` // the same for people
	Attempts        []Attempt `json:"attempts,omitempty"`

	Fence      int64     `json:"-"` // of the latest claim
	LeaseUntil time.Time `json:"-"` // while running
}

// Progress sums up the datasets of a job.
type Progress struct {
	Rows          int64 `json:"rows"`
	Bytes         int64 `json:"bytes"`
	EstimatedRows int64 `json:"estimated_rows"` // 0 when the servers could not guess
}

// Attempt is one claim of a job.
type Attempt struct {
	Number    int       `json:"number"`
	Worker    string    `json:"worker"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Outcome   string    `json:"outcome,omitempty"` // a Status, or "retry", "expired", "handed_back"
	Code      Code      `json:"code,omitempty"`
}

// Outcomes of an attempt that did not end its job.
const (
	OutcomeRetry      = "retry"       // failed in a way that may pass; another attempt follows
	OutcomeExpired    = "expired"     // its lease ran out, and another attempt took over
	OutcomeHandedBack = "handed_back" // its worker stopped and gave the job back
)

// Command returns the command of the job. It is the same each time, so that publishing it twice
// is harmless.
func (j Job) Command() Command {
	targets := make([]Target, len(j.Results))
	for i, r := range j.Results {
		targets[i] = Target{Dataset: r.Dataset, Key: r.Key}
	}
	return Command{
		Version: CommandVersion, JobID: j.ID, Database: j.Database, Targets: targets,
		RequestedBy: j.RequestedBy, RequestID: j.RequestID, RetryOf: j.RetryOf,
		AcceptedAt: j.CreatedAt, CatalogDigest: j.CatalogDigest,
	}
}

// SumProgress sets Progress to the sum over the results.
func (j *Job) SumProgress() {
	j.Progress = Progress{}
	for _, r := range j.Results {
		j.Progress.Rows += r.Rows
		j.Progress.Bytes += r.Bytes
		j.Progress.EstimatedRows += max(r.EstimatedRows, r.Rows)
	}
}
