package mysql

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"

	"github.com/pharmavida/ingesta/workers/encode"
	"github.com/pharmavida/ingesta/workers/engine"
)

// plan is what to read.
type plan struct {
	query   string
	binary  bool // by the binary protocol
	columns []column
}

// run reads the plan's rows into the sink.
func (s *session) run(ctx context.Context, p plan, sink engine.Sink) (engine.Tally, error) {
	// Ending this context kills the query on the server, and the session lives on.
	reading, stop := context.WithCancel(ctx)
	defer stop()
	out := &counter{sink: sink}
	out.w = encode.NewWriter(out)
	err := s.interruptible(reading, func(undisturbed context.Context) error {
		r, err := s.query(undisturbed, p)
		if err != nil {
			return err
		}
		err = p.copy(reading, out.w, r, sink)
		if out.failed != nil {
			stop() // before the rows are closed: that reads what the server still sends
		}
		r.close()
		return err
	})
	if out.failed != nil {
		return engine.Tally{}, out.failed // the sink's own error, unchanged
	}
	if err != nil {
		return engine.Tally{}, failure(ctx, fmt.Errorf("reading rows: %w", err))
	}
	tally := engine.Tally{Rows: out.w.Rows(), Warnings: out.w.Warnings()}
	for _, c := range p.columns {
		tally.Warnings = append(tally.Warnings, c.warnings()...)
	}
	return tally, nil
}

// query sends the plan's query. The rows are to be closed.
func (s *session) query(ctx context.Context, p plan) (rows, error) {
	if !p.binary {
		result, err := s.conn.QueryContext(ctx, p.query, nil)
		if err != nil {
			return nil, err
		}
		if s.conn.link.encrypted {
			return newBoxed(result, nil), nil
		}
		return newDirect(s.conn.link, result), nil
	}
	statement, err := s.conn.PrepareContext(ctx, p.query)
	if err != nil {
		return nil, err
	}
	result, err := statement.(driver.StmtQueryContext).QueryContext(ctx, nil)
	if err != nil {
		_ = statement.Close()
		return nil, err
	}
	return newBoxed(result, statement), nil
}

// checkEvery is how many rows are read between two looks at the context.
const checkEvery = 256

// copy writes all rows. The sink is told of each that arrives, however long w keeps it.
func (p plan) copy(ctx context.Context, w *encode.Writer, r rows, sink engine.Sink) error {
	for n := 1; ; n++ {
		if err := r.next(); err == io.EOF { //nolint:errorlint // on purpose, see rows
			break
		} else if err != nil {
			return err
		}
		sink.AddRows(0)
		for i := range p.columns {
			c := &p.columns[i]
			r.write(w, c)
			if c.mask != nil {
				w.Mask(c.mask)
			}
		}
		if err := w.EndRow(); err != nil {
			return err
		}
		if n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return ctx.Err()
}

// counter passes records to the sink and tells it of their number.
type counter struct {
	sink   engine.Sink
	w      *encode.Writer
	told   int64
	failed error // of the sink
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.sink.Write(p)
	if err != nil {
		c.failed = err
		return n, err
	}
	c.sink.AddRows(c.w.Rows() - c.told)
	c.told = c.w.Rows()
	return n, nil
}
