package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// Request asks for jobs that are accepted together or not at all.
type Request struct {
	Orders         []Order // one job each, at least one
	RequestedBy    string  // the subject that asks
	RequestID      string  // of the HTTP request, for the logs
	Traceparent    string  // W3C trace context, or empty
	IdempotencyKey string  // empty: a repetition is a new request
}

// Order asks for one job.
type Order struct {
	Database ingest.Database `json:"database"`
	Datasets []string        `json:"datasets"` // nil: all of the database

	// RetryOf asks instead for what this ended job has left undone.
	RetryOf string `json:"retry_of,omitempty"`

	// OnConflict says what there is to do when the same work is queued or running already, and its
	// cancellation is not requested.
	OnConflict Conflict `json:"on_conflict,omitempty"`
}

// Conflict says what becomes of an order when another job does the same work: the same datasets of the
// same database, by the same catalog.
type Conflict string

// What there is to do. Empty is Queue.
const (
	Queue  Conflict = "queue"  // make one more job
	Join   Conflict = "join"   // answer with the job that there is
	Reject Conflict = "reject" // make none of the request's jobs: Conflicting
)

// Conflicts lists what there is to do.
func Conflicts() []Conflict { return []Conflict{Queue, Join, Reject} }

// hash identifies what is asked for: two requests under one idempotency key must agree on it.
func (r Request) hash() (string, error) {
	body, err := json.Marshal(r.Orders)
	if err != nil {
		return "", fmt.Errorf("hashing a request: %w", err)
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:]), nil
}

// idempotency returns what tells a repetition of the request; nil when it has no key.
func (r Request) idempotency() (*jobstore.Idempotency, error) {
	if r.IdempotencyKey == "" {
		return nil, nil
	}
	hash, err := r.hash()
	if err != nil {
		return nil, err
	}
	return &jobstore.Idempotency{Subject: r.RequestedBy, Key: r.IdempotencyKey, BodyHash: hash}, nil
}

// maxNamed bounds how many of a client's mistakes one answer names.
const maxNamed = 20

// resolve returns the datasets the order asks for, in the catalog's order, or an *Error that says
// what is wrong with it.
func (o Order) resolve(c *catalog.Catalog) ([]catalog.Dataset, error) {
	db, ok := c.Database(o.Database)
	if !ok {
		err := refuse(UnknownDatabase, nil, "there is no database %s", shown(string(o.Database)))
		for _, known := range c.Databases() {
			err.Known = append(err.Known, string(known.Name))
		}
		return nil, err
	}
	if o.Datasets == nil {
		return db.Datasets, nil
	}
	if len(o.Datasets) == 0 {
		err := refuse(NoDatasets, nil, "the list of datasets is empty; leave it out to export all of %s", db.Name)
		err.Fields = []Field{{Pointer: "/datasets", Detail: "must name at least one dataset"}}
		return nil, err
	}
	var unknown, duplicate []Field
	first := make(map[string]int, len(o.Datasets))
	for i, name := range o.Datasets {
		at := "/datasets/" + strconv.Itoa(i)
		if before, twice := first[name]; twice {
			duplicate = append(duplicate, Field{at, fmt.Sprintf("names %s again, as /datasets/%d does", shown(name), before)})
			continue
		}
		first[name] = i
		if _, ok := db.Dataset(name); !ok {
			unknown = append(unknown, Field{at, fmt.Sprintf("names %s, which is no dataset of %s", shown(name), db.Name)})
		}
	}
	switch {
	case len(unknown) > 0:
		err := refuse(UnknownDataset, nil, "%s %s", unknown[0].Pointer, unknown[0].Detail)
		err.Known = db.Names()
		err.Fields = unknown[:min(len(unknown), maxNamed)]
		return nil, err
	case len(duplicate) > 0:
		err := refuse(DuplicateDataset, nil, "a dataset is named more than once")
		err.Fields = duplicate[:min(len(duplicate), maxNamed)]
		return nil, err
	}
	datasets := make([]catalog.Dataset, 0, len(o.Datasets))
	for _, d := range db.Datasets {
		if slices.Contains(o.Datasets, d.Name) {
			datasets = append(datasets, d)
		}
	}
	return datasets, nil
}

// shown quotes a client's text for a message, cut to a length that fits one.
func shown(text string) string {
	const most = 64
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return strconv.Quote(text)
}
