package postgresql

import (
	"context"
	"fmt"
	"slices"

	"github.com/pharmavida/ingesta/workers/encode"
	"github.com/pharmavida/ingesta/workers/engine"
)

// plan is what to copy.
type plan struct {
	query  string
	recode []bool // for each column: its JSON must be compacted on the way
}

// run copies the plan's rows into the sink.
func (s *session) run(ctx context.Context, p plan, sink engine.Sink) (engine.Tally, error) {
	var tally engine.Tally
	err := s.guarded(ctx, func() error {
		// Ending this context makes the driver ask the server to stop, and the session lives on.
		copying, stop := context.WithCancel(ctx)
		defer stop()
		out := newReceiver(copying, stop, p, sink)
		tag, err := s.conn.CopyTo(copying, out, "COPY ("+p.query+") TO STDOUT WITH (FORMAT csv)")
		if err == nil {
			err = out.finish()
		}
		if out.failed != nil {
			return out.failed // the sink's own error, unchanged
		}
		if err != nil {
			return failure(ctx, fmt.Errorf("copying: %w", err))
		}
		tally.Rows = tag.RowsAffected()
		tally.Warnings = encode.WarnBlank(out.blank)
		return nil
	})
	return tally, err
}

// batchSize is how many bytes gather before they are passed to the sink.
const batchSize = 64 << 10

// receiver takes the server's CSV, which arrives as one message for each row, and passes it on in
// batches. After the sink failed or the context ended it swallows the rest: an error returned to
// the driver would cost the connection, and with it the snapshot.
type receiver struct {
	ctx     context.Context
	stop    context.CancelFunc
	sink    engine.Sink
	recoder *recoder // nil when the rows pass as they are
	batch   []byte
	rows    int64 // in the batch
	blank   int64 // rows that are an empty line
	failed  error // of the sink
	over    bool  // nothing more is passed on
}

func newReceiver(ctx context.Context, stop context.CancelFunc, p plan, sink engine.Sink) *receiver {
	r := &receiver{ctx: ctx, stop: stop, sink: sink}
	if slices.Contains(p.recode, true) {
		r.recoder = newRecoder(p.recode, (*passer)(r))
	} else {
		r.batch = make([]byte, 0, batchSize+batchSize/4)
	}
	return r
}

// Write takes one row. It never fails.
func (r *receiver) Write(row []byte) (int, error) {
	if r.over {
		return len(row), nil
	}
	r.sink.AddRows(0) // the batch may take long to fill
	r.rows++
	if len(row) == 1 {
		r.blank++
	}
	if r.recoder != nil {
		r.recoder.row(row)
		return len(row), nil
	}
	r.batch = append(r.batch, row...)
	if len(r.batch) >= batchSize {
		r.flush()
	}
	return len(row), nil
}

// finish passes on what is left.
func (r *receiver) finish() error {
	if r.recoder != nil {
		r.recoder.flush()
	} else if !r.over && len(r.batch) > 0 {
		r.flush()
	}
	return r.ctx.Err()
}

func (r *receiver) flush() {
	_, _ = (*passer)(r).Write(r.batch) // the receiver keeps the error
	if cap(r.batch) > 16*batchSize {
		r.batch = nil // one giant row must not hold its memory for the rest of the table
	}
	r.batch = r.batch[:0]
}

// passer hands batches to the receiver's sink.
type passer receiver

func (r *passer) Write(p []byte) (int, error) {
	if _, err := r.sink.Write(p); err != nil {
		r.failed, r.over = err, true
		r.stop()
		return 0, err
	}
	r.sink.AddRows(r.rows)
	r.rows = 0
	r.over = r.ctx.Err() != nil
	return len(p), nil
}
