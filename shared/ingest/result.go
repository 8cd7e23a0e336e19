package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// State is the state of one dataset within a job.
type State string

// The states of a dataset.
const (
	Pending   State = "pending"
	Exporting State = "exporting"
	Done      State = "done"   // the object is complete and committed
	Broken    State = "failed" // this dataset will not be exported by this job
)

// Column describes one exported column.
type Column struct {
	Name       string `json:"name"`
	Source     string `json:"source,omitempty"` // its name in the database, where that is another
	Type       string `json:"type"`             // type in the file, see the CSV dialect
	SourceType string `json:"source_type"`      // type in the database, in its own words
	Mask       string `json:"mask,omitempty"`   // the rule that hides its values, see package catalog
}

// Withheld names a column of the source that was kept out of the file, and the rule that did it.
type Withheld struct {
	Name string `json:"name"`
	Rule string `json:"rule"`
}

// Snapshot says which state of the database a dataset shows.
type Snapshot struct {
	ID         string    `json:"id,omitempty"` // the server's name of the snapshot, where it has one
	At         time.Time `json:"at"`           // when it was taken, by the worker's clock
	Consistent bool      `json:"consistent"`   // true when every dataset of the attempt shows this very state
}

// Result is what became of one dataset, or how far it has come.
type Result struct {
	Dataset string // name in the catalog
	Key     string // object key in the bucket, fixed at acceptance
	State   State

	URL           string // s3://bucket/key, once done
	Rows          int64
	Bytes         int64
	EstimatedRows int64   // of the whole dataset, as the server guesses; 0 is unknown
	RowsPerSecond float64 // while exporting

	SHA256     string // lower-case hex of the whole object, once done
	Format     string // "CSV"
	Columns    []Column
	Withheld   []Withheld
	Warnings   []string
	Snapshot   *Snapshot
	StartedAt  time.Time
	FinishedAt time.Time

	Code  Code   // why it failed
	Error string // the same for people
}

// resultWire is the JSON form of a Result. A finished dataset tells its rows as "registros", the
// name the original's clients read; a running one as "rows".
type resultWire struct {
	State         State      `json:"state"`
	Key           string     `json:"key,omitempty"`
	URL           string     `json:"url,omitempty"`
	Registros     *int64     `json:"registros,omitempty"`
	Rows          *int64     `json:"rows,omitempty"`
	Bytes         *int64     `json:"bytes,omitempty"`
	EstimatedRows int64      `json:"estimated_rows,omitempty"`
	RowsPerSecond float64    `json:"rows_per_second,omitempty"`
	SHA256        string     `json:"sha256,omitempty"`
	Format        string     `json:"formato,omitempty"`
	Columns       []Column   `json:"columns,omitempty"`
	Withheld      []Withheld `json:"withheld,omitempty"`
	Warnings      []string   `json:"warnings,omitempty"`
	Snapshot      *Snapshot  `json:"snapshot,omitempty"`
	StartedAt     time.Time  `json:"started_at,omitzero"`
	FinishedAt    time.Time  `json:"finished_at,omitzero"`
	Error         string     `json:"error,omitempty"`
	Code          Code       `json:"code,omitempty"`
}

// MarshalJSON writes the wire form. The dataset's name is not part of it: Results uses it as key.
func (r Result) MarshalJSON() ([]byte, error) {
	w := resultWire{
		State: r.State, Key: r.Key, URL: r.URL, EstimatedRows: r.EstimatedRows, RowsPerSecond: r.RowsPerSecond,
		SHA256: r.SHA256, Format: r.Format, Columns: r.Columns, Withheld: r.Withheld, Warnings: r.Warnings,
		Snapshot: r.Snapshot, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt, Error: r.Error, Code: r.Code,
	}
	switch r.State {
	case Done:
		w.Registros, w.Bytes = &r.Rows, &r.Bytes
	case Exporting:
		w.Rows, w.Bytes = &r.Rows, &r.Bytes
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads the wire form and leaves Dataset alone.
func (r *Result) UnmarshalJSON(data []byte) error {
	var w resultWire
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("reading a dataset's result: %w", err)
	}
	*r = Result{
		Dataset: r.Dataset,
		State:   w.State, Key: w.Key, URL: w.URL, EstimatedRows: w.EstimatedRows, RowsPerSecond: w.RowsPerSecond,
		SHA256: w.SHA256, Format: w.Format, Columns: w.Columns, Withheld: w.Withheld, Warnings: w.Warnings,
		Snapshot: w.Snapshot, StartedAt: w.StartedAt, FinishedAt: w.FinishedAt, Error: w.Error, Code: w.Code,
	}
	for _, rows := range []*int64{w.Rows, w.Registros} {
		if rows != nil {
			r.Rows = *rows
		}
	}
	if w.Bytes != nil {
		r.Bytes = *w.Bytes
	}
	return nil
}

// Results holds one Result per dataset of a job, in the catalog's order. On the wire it is an
// object keyed by dataset, in the same order.
type Results []Result

// MarshalJSON writes {"dataset": result, …} in order.
func (rs Results) MarshalJSON() ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteByte('{')
	for i, r := range rs {
		if i > 0 {
			buf.WriteByte(',')
		}
		name, err := json.Marshal(r.Dataset)
		if err != nil {
			return nil, err
		}
		value, err := r.MarshalJSON()
		if err != nil {
			return nil, err
		}
		buf.Write(name)
		buf.WriteByte(':')
		buf.Write(value)
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// UnmarshalJSON reads {"dataset": result, …} and keeps the order.
func (rs *Results) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	open, err := dec.Token()
	if err != nil {
		return fmt.Errorf("reading results: %w", err)
	}
	if open == nil { // null
		*rs = nil
		return nil
	}
	if open != json.Delim('{') {
		return fmt.Errorf("reading results: want an object, got %v", open)
	}
	var out Results
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return fmt.Errorf("reading results: %w", err)
		}
		r := Result{Dataset: fmt.Sprint(name)}
		if err := dec.Decode(&r); err != nil {
			return fmt.Errorf("reading the result of %v: %w", name, err)
		}
		out = append(out, r)
	}
	*rs = out
	return nil
}

// Of returns the result of the named dataset, or nil.
func (rs Results) Of(dataset string) *Result {
	for i := range rs {
		if rs[i].Dataset == dataset {
			return &rs[i]
		}
	}
	return nil
}
