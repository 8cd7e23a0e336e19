package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// DeadLetter is a command that nobody could carry out.
type DeadLetter struct {
	ID         string          `json:"id"`
	Database   string          `json:"database"`
	JobID      string          `json:"job_id,omitempty"`
	Code       string          `json:"code,omitempty"`
	Reason     string          `json:"reason,omitempty"`
	BuriedAt   time.Time       `json:"buried_at,omitzero"`
	MessageID  string          `json:"message_id,omitempty"`
	Size       int             `json:"size"`
	Replayable bool            `json:"replayable"`
	WhyNot     *Refusal        `json:"why_not,omitempty"`
	Command    *ingest.Command `json:"command,omitempty"` // absent when it cannot be read, or is large
}

// Refusal is what a replay would be answered with.
type Refusal struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// DeadLetters is the older end of all dead letters.
type DeadLetters struct {
	Total   int          `json:"total"` // of all there are
	Letters []DeadLetter `json:"dead_letters"`
}

// MaxDeadLetters is how many dead letters a list may have.
const MaxDeadLetters = 200

// DeadLetters returns up to limit dead letters, the oldest first; with 0 as many as the gateway likes.
// None is taken away.
func (c *Client) DeadLetters(ctx context.Context, limit int) (list DeadLetters, err error) {
	r := get("api", "ingesta", "dead-letters")
	if limit > 0 {
		r.query = url.Values{"limit": {strconv.Itoa(limit)}}
	}
	_, err = c.fetch(ctx, r, &list)
	return list, err
}

// Replay makes a job of a dead letter: one, however often it is replayed.
func (c *Client) Replay(ctx context.Context, id string) (job Accepted, err error) {
	r := creating("", "api", "ingesta", "dead-letters", id, "replay")
	r.header.Del("Idempotency-Key") // the letter is one
	_, err = c.fetch(ctx, r, &job)
	return job, err
}
