package client

import (
	"context"
	"crypto/rand"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Conflict says what becomes of an order whose work is queued or running already.
type Conflict string

// The ways to deal with a conflict.
const (
	Queue  Conflict = "queue"  // a job more; what is meant where nothing is said
	Join   Conflict = "join"   // the answer is the job that does the work
	Reject Conflict = "reject" // a *Problem of code job_conflict, which names the jobs
)

// Options are what may be said of an order.
type Options struct {
	Datasets   []string // none: every one of the database
	OnConflict Conflict // empty: Queue

	// Key makes the order one and the same however often it is sent, for 24 hours. Empty: a new one,
	// which covers the repetitions of one call.
	Key string
}

// Accepted is a job that the gateway answers an order with.
type Accepted struct {
	ingest.Job
	Deduplicated bool `json:"deduplicated,omitempty"` // it is the job of another order, see Join
}

// Run orders an ingestion of one database.
func (c *Client) Run(ctx context.Context, database ingest.Database, o Options) (job Accepted, err error) {
	_, err = c.fetch(ctx, o.order("api", "ingesta", string(database)), &job)
	return job, err
}

// RunAll orders an ingestion of every database of the catalog: either all are accepted or none is.
func (c *Client) RunAll(ctx context.Context, o Options) ([]Accepted, error) {
	var list struct {
		Jobs []Accepted `json:"jobs"`
	}
	_, err := c.fetch(ctx, o.order("api", "ingesta"), &list)
	return list.Jobs, err
}

// Retry orders a new job that does what an ended one has left undone.
func (c *Client) Retry(ctx context.Context, id, key string) (job Accepted, err error) {
	_, err = c.fetch(ctx, creating(key, "api", "ingesta", "jobs", id, "retry"), &job)
	return job, err
}

// order is the call that makes jobs under the options.
func (o Options) order(path ...string) call {
	r := creating(o.Key, path...)
	var body struct {
		Datasets   []string `json:"datasets,omitempty"`
		OnConflict Conflict `json:"on_conflict,omitempty"`
	}
	body.Datasets = o.Datasets
	if o.OnConflict != Queue {
		body.OnConflict = o.OnConflict
	}
	if len(body.Datasets) > 0 || body.OnConflict != "" {
		r.body = body
	}
	return r
}

// creating is a call that makes jobs, once however often it is sent. The gateway is asked to answer
// when the job is accepted: it may be set to wait for the end where nobody says.
func creating(key string, path ...string) call {
	if key == "" {
		key = rand.Text()
	}
	r := post(path...)
	r.again = true
	r.header = http.Header{"Idempotency-Key": {key}, "Prefer": {"respond-async"}}
	return r
}

// Job returns a job.
func (c *Client) Job(ctx context.Context, id string) (job ingest.Job, err error) {
	_, err = c.fetch(ctx, get("api", "ingesta", "jobs", id), &job)
	return job, err
}

// Cancel asks for the end of a job, and returns it as it is then: one that runs ends a little later.
func (c *Client) Cancel(ctx context.Context, id string) (job ingest.Job, err error) {
	_, err = c.fetch(ctx, post("api", "ingesta", "jobs", id, "cancel"), &job)
	return job, err
}

// Query chooses jobs.
type Query struct {
	Database ingest.Database // empty: every one
	Status   ingest.Status   // empty: every one
	Limit    int             // of a page; 0: as the gateway likes
	Cursor   string          // where a page ended; empty: from the newest on
}

// MaxPage is how many jobs a page may have.
const MaxPage = 200

// Page is a part of the list of jobs, the newest first.
type Page struct {
	Jobs []ingest.Job `json:"jobs"`
	Next string       `json:"next_cursor,omitempty"` // empty: there are no more
}

// Jobs returns one page of the jobs that the query chooses.
func (c *Client) Jobs(ctx context.Context, q Query) (page Page, err error) {
	r := get("api", "ingesta", "jobs")
	r.query = url.Values{}
	for name, value := range map[string]string{"database": string(q.Database), "status": string(q.Status), "cursor": q.Cursor} {
		if value != "" {
			r.query.Set(name, value)
		}
	}
	if q.Limit > 0 {
		r.query.Set("limit", strconv.Itoa(q.Limit))
	}
	_, err = c.fetch(ctx, r, &page)
	return page, err
}

// AllJobs goes through the pages from the query's on. An error is the last that it yields.
func (c *Client) AllJobs(ctx context.Context, q Query) iter.Seq2[ingest.Job, error] {
	return func(yield func(ingest.Job, error) bool) {
		for {
			page, err := c.Jobs(ctx, q)
			if err != nil {
				yield(ingest.Job{}, err)
				return
			}
			for _, job := range page.Jobs {
				if !yield(job, nil) {
					return
				}
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				return
			}
		}
	}
}
