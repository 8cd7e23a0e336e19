package ingest

import "time"

// EventKind is what an event says of its job.
type EventKind string

// The events of a job's life. Accepted and Started are best effort; one of the terminal four is
// certain to follow, at least once and always under the same ID.
const (
	EventAccepted  EventKind = "accepted"
	EventStarted   EventKind = "started"
	EventSuccess   EventKind = "success"
	EventPartial   EventKind = "partial"
	EventError     EventKind = "error"
	EventCancelled EventKind = "cancelled"
)

// Event is a published fact about a job, in the terms of CloudEvents 1.0. The envelope travels
// beside the body (binary content mode); Body is what subscribers parse.
type Event struct {
	ID      string // stable: a repeated publication carries the same one
	Kind    EventKind
	Subject string // the job's id
	Time    time.Time
	Body    EventBody
}

// Type returns the CloudEvents type.
func (e Event) Type() string { return "pharmavida.ingesta.job." + string(e.Kind) }

// RoutingKey returns the topic under which the event is published: job.{database}.{kind}.
func (e Event) RoutingKey() string { return "job." + string(e.Body.Database) + "." + string(e.Kind) }

// EventBody is the JSON body. Flowlite's InsightService requires the first three fields and acts
// on status "completed".
type EventBody struct {
	BatchID    string    `json:"batch_id"`
	Status     string    `json:"status"` // "completed" for success, else the kind
	UserID     string    `json:"userid"`
	JobID      string    `json:"job_id"`
	Database   Database  `json:"database"`
	RetryOf    string    `json:"retry_of,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	Attempt    int       `json:"attempt"`
	Progress   Progress  `json:"progress"`
	Results    Results   `json:"result"`
	Code       Code      `json:"code,omitempty"`
	Error      string    `json:"error,omitempty"`
}

// EventOf returns the event that the state of the job calls for: accepted while it is queued,
// started while it runs, and the terminal event at its end. All terminal states share one ID per
// job, so a subscriber that remembers IDs sees the end of each job once.
func EventOf(j Job) Event {
	e := Event{
		Subject: j.ID,
		Body: EventBody{
			BatchID: j.ID, UserID: j.RequestedBy, JobID: j.ID, Database: j.Database, RetryOf: j.RetryOf,
			CreatedAt: j.CreatedAt, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt,
			Attempt: j.Attempt, Progress: j.Progress, Results: j.Results, Code: j.Code, Error: j.Error,
		},
	}
	switch {
	case j.Status.Terminal():
		e.ID, e.Kind, e.Time = j.ID+"/end", EventKind(j.Status), j.FinishedAt
	case j.Status == Running:
		e.ID, e.Kind, e.Time = j.ID+"/started", EventStarted, j.StartedAt
	default:
		e.ID, e.Kind, e.Time = j.ID+"/accepted", EventAccepted, j.CreatedAt
	}
	e.Body.Status = string(e.Kind)
	if e.Kind == EventSuccess {
		e.Body.Status = "completed"
	}
	return e
}
