package postgresql

import (
	"context"
	"fmt"
	"io"

	"github.com/pharmavida/ingesta/workers/encode"
	"github.com/pharmavida/ingesta/workers/engine"
)

// plan is what to copy, and how.
type plan struct {
	selection
	recode []recoding // of each column; nil when all rows pass as the server writes them
	ranges *ranges    // nil when the rows are read in one go
}

// run copies the plan's rows into the sink.
func (s *session) run(ctx context.Context, p plan, sink engine.Sink) (engine.Tally, error) {
	var total counts
	err := s.guarded(ctx, func() (err error) {
		if p.ranges != nil {
			if helpers := s.helpers(ctx, p); len(helpers) > 0 {
				total, err = s.assemble(ctx, p, helpers, sink)
				return err
			}
		}
		total, err = newReceiver(s.conn, p.recode, sink).copy(ctx, p.query())
		return err
	})
	if err != nil {
		return engine.Tally{}, err
	}
	return engine.Tally{Rows: total.rows, Warnings: encode.WarnBlank(total.blank)}, nil
}

// counts is what was copied.
type counts struct {
	rows  int64 // as the server counts them
	blank int64 // those that are an empty line
}

// receiver takes the server's CSV, some whole rows at a time, and passes it on. After the sink
// failed or the context ended it swallows the rest: an error returned to the driver would cost the
// connection, and with it the snapshot.
type receiver struct {
	conn    *connection
	sink    engine.Sink
	recoder *recoder // nil when the rows pass as they are
	told    int64    // rows that the sink was told of, as count counts

	// Of the copy at hand.
	ctx    context.Context
	stop   context.CancelFunc
	failed error // of the sink
	over   bool  // nothing more is passed on
}

func newReceiver(conn *connection, recode []recoding, sink engine.Sink) *receiver {
	r := &receiver{conn: conn, sink: sink}
	if recode != nil {
		r.recoder = newRecoder(recode, (*passer)(r))
	}
	r.told = r.count()
	return r
}

// count returns how many rows were passed on, or are about to be.
func (r *receiver) count() int64 {
	if r.recoder != nil {
		return r.recoder.out.Rows()
	}
	return r.conn.frames.rows
}

// copy copies the rows of the query into the sink. An error of the sink comes back unchanged; the
// connection, and its transaction's snapshot, survive it, and the end of ctx too. After an error the
// receiver is of no more use.
func (r *receiver) copy(ctx context.Context, query string) (counts, error) {
	// Ending this context makes the driver ask the server to stop.
	copying, stop := context.WithCancel(ctx)
	defer stop()
	r.ctx, r.stop = copying, stop
	blank := r.conn.frames.blank
	tag, err := r.conn.CopyTo(copying, r, "COPY ("+query+") TO STDOUT WITH (FORMAT csv)")
	if err == nil {
		err = r.finish()
	}
	if r.failed != nil {
		return counts{}, r.failed
	}
	if err != nil {
		return counts{}, failure(ctx, fmt.Errorf("copying: %w", err))
	}
	return counts{rows: tag.RowsAffected(), blank: r.conn.frames.blank - blank}, nil
}

// Write takes rows. It never fails.
func (r *receiver) Write(rows []byte) (int, error) {
	switch {
	case r.over:
	case r.recoder != nil:
		r.sink.AddRows(0) // the recoder may gather many of them
		r.recoder.rows(rows)
	default:
		_, _ = (*passer)(r).Write(rows) // the receiver keeps the error
	}
	return len(rows), nil
}

// finish passes on what is left.
func (r *receiver) finish() error {
	if r.recoder != nil && !r.over {
		r.recoder.flush()
	}
	return r.ctx.Err()
}

// passer hands rows to the receiver's sink.
type passer receiver

var _ io.Writer = (*passer)(nil)

func (r *passer) Write(p []byte) (int, error) {
	r.sink.AddRows(0) // a sign of life, whatever the sink does next
	if _, err := r.sink.Write(p); err != nil {
		r.failed, r.over = err, true
		r.stop()
		return 0, err
	}
	rows := (*receiver)(r).count()
	r.sink.AddRows(rows - r.told)
	r.told = rows
	r.over = r.ctx.Err() != nil
	return len(p), nil
}
