package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/upload"
)

// board holds what became of each dataset of an attempt. The attempt writes it, the renewal of
// the lease reads it.
type board struct {
	mu      sync.Mutex
	results ingest.Results
	current *meter // of the dataset being exported, nil between two
}

// newBoard starts from what earlier attempts committed. What they did not finish starts over.
func newBoard(stored ingest.Results) *board {
	b := &board{results: make(ingest.Results, len(stored))}
	for i, r := range stored {
		if r.State != ingest.Done {
			r = ingest.Result{Dataset: r.Dataset, Key: r.Key, State: ingest.Pending}
		}
		b.results[i] = r
	}
	return b
}

// begin marks the dataset as being exported, measured by m.
func (b *board) begin(i int, x Extraction, m *meter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &b.results[i]
	r.State, r.StartedAt, r.EstimatedRows = ingest.Exporting, m.started, x.EstimatedRows
	r.Columns, r.Withheld, r.Snapshot = x.Columns, x.Withheld, &x.Snapshot
	b.current = m
}

// set stores the final result of a dataset.
func (b *board) set(i int, r ingest.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.results[i], b.current = r, nil
}

// get returns the result of a dataset as it stands.
func (b *board) get(i int) ingest.Result {
	return b.snapshot()[i]
}

// snapshot returns a copy of all results, the running one with its latest figures.
func (b *board) snapshot() ingest.Results {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := append(ingest.Results(nil), b.results...)
	for i := range out {
		if r := &out[i]; r.State == ingest.Exporting && b.current != nil {
			r.Rows, r.Bytes = b.current.rows.Load(), b.current.bytes.Load()
			if elapsed := time.Since(r.StartedAt).Seconds(); elapsed > 0 {
				r.RowsPerSecond = float64(int64(float64(r.Rows) / elapsed))
			}
		}
	}
	return out
}

// meter is the sink of an extraction: it counts what passes on its way into the object.
type meter struct {
	object   *upload.Object
	started  time.Time
	watchdog *watchdog
	rows     atomic.Int64
	bytes    atomic.Int64
}

func (m *meter) Write(p []byte) (int, error) {
	m.watchdog.pause()
	defer m.watchdog.resume()
	n, err := m.object.Write(p)
	m.bytes.Add(int64(n))
	return n, err
}

func (m *meter) AddRows(n int64) {
	m.watchdog.heard()
	if n != 0 {
		m.rows.Add(n)
	}
}
