package postgresql

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pharmavida/ingesta/workers/engine"
)

// ranges is how a large table is cut: into ranges of its pages, each of them read by one query. The
// snapshot fixes which rows there are and on which page each of them is, so that the ranges are
// disjoint and complete, in whatever state the table itself is by now.
type ranges struct {
	table  string // quoted
	server string // which has the snapshot, see connection.server
	step   int64  // pages of a range
	count  int64  // the last one has no end
}

const (
	// largeTable is from which size on a table is worth more than one connection.
	largeTable = 64 << 20
	// rangeSize is how much of a table a range is: little enough to be kept while the range before
	// it is read, and so much that the query itself does not count.
	rangeSize = 4 << 20
	// laneBuffers is how many batches a connection may be ahead of the file: the memory of a range.
	laneBuffers = rangeSize / batchSize
	// batchSize is how many bytes are handed over at once.
	batchSize = 64 << 10
	// helpTimeout is how long it may take to get another connection ready. Behind a pooler that has
	// none to spare it would take for ever.
	helpTimeout = 5 * time.Second
)

// newRanges cuts a table of so many pages into ranges of step pages.
func newRanges(table string, pages, step int64) *ranges {
	return &ranges{table: table, step: step, count: (pages + step - 1) / step}
}

// condition returns the condition of the i-th range, on the place of a row in its table.
func (r *ranges) condition(i int64) string {
	condition := fmt.Sprintf("ctid >= '(%d,0)'", i*r.step)
	if i+1 < r.count {
		condition += fmt.Sprintf(" AND ctid < '(%d,0)'", (i+1)*r.step)
	}
	return condition
}

// helpers returns connections that show the session's snapshot, so many that with its own there are
// as many as the source may use. None is better than waiting for one: a server may be full, behind a
// pooler, or another one than the session's.
func (s *session) helpers(ctx context.Context, p plan) []*connection {
	var helpers []*connection
	for int64(len(helpers))+1 < min(int64(s.source.parallel), p.ranges.count) {
		helper, err := s.helper(ctx, p.ranges)
		if err != nil {
			s.log.Debug("the table is read over fewer connections", "table", p.ranges.table, "connections", len(helpers)+1, "error", err)
			break
		}
		helpers = append(helpers, helper)
	}
	return helpers
}

// helper returns one connection that shows the session's snapshot.
func (s *session) helper(ctx context.Context, r *ranges) (*connection, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, helpTimeout, errors.New("getting a connection ready timed out"))
	defer cancel()
	helper, err := s.source.connect(ctx)
	if err != nil {
		return nil, err
	}
	err = helper.begin(ctx, "SET TRANSACTION SNAPSHOT '"+s.snapshot.ID+"'",
		// The session has this lock since it looked at the table. Whoever waits for a stronger one
		// waits for the session, and would let the helper wait behind him, and the session for it.
		"LOCK TABLE "+r.table+" IN ACCESS SHARE MODE NOWAIT")
	if err == nil {
		err = helper.adjust(ctx)
	}
	var server string
	if err == nil {
		server, err = helper.server(ctx)
	}
	if err == nil && server != r.server {
		// One name may stand for several servers, and two of them may have a snapshot of one name.
		err = errors.New("the connection reached another server")
	}
	if err != nil {
		helper.close(ctx)
		return nil, err
	}
	return helper, nil
}

// assemble copies the ranges over the session's connection and the helpers, several at a time, and
// passes them on in order. It closes the helpers.
func (s *session) assemble(ctx context.Context, p plan, helpers []*connection, sink engine.Sink) (counts, error) {
	defer func() {
		var closing sync.WaitGroup
		for _, helper := range helpers {
			closing.Go(func() { helper.close(ctx) })
		}
		closing.Wait()
	}()
	reading, stop := context.WithCancel(ctx)
	defer stop()
	group, reading := errgroup.WithContext(reading)
	a := &assembly{sink: sink}
	todo, order := make(chan *piece), make(chan *piece, 2*(len(helpers)+1))
	group.Go(func() error {
		defer close(todo)
		defer close(order)
		for i := range p.ranges.count {
			next := &piece{query: p.query(p.ranges.condition(i)), batches: make(chan batch, laneBuffers+1)}
			for _, to := range []chan *piece{order, todo} {
				select {
				case to <- next:
				case <-reading.Done():
					return reading.Err()
				}
			}
		}
		return nil
	})
	for _, conn := range append([]*connection{s.conn}, helpers...) {
		group.Go(func() error { return newLane(a, conn, p.recode).run(reading, todo) })
	}
	failed := a.pass(reading, order)
	if failed != nil {
		stop()
	}
	err := group.Wait()
	switch {
	case failed != nil:
		return counts{}, failed
	case err != nil:
		return counts{}, failure(ctx, err)
	}
	return a.total, nil
}

// assembly is what the lanes of one table share.
type assembly struct {
	mu    sync.Mutex // of the sink
	sink  engine.Sink
	total counts // of the pieces passed on
}

// piece is a range on its way.
type piece struct {
	query   string
	batches chan batch // closed when there are no more of them; never full
	copied  counts     // known when batches is closed
	whole   bool
}

// batch is some of a piece's bytes.
type batch struct {
	bytes []byte        // nil: only rows are counted
	rows  int64         // that ended in the batches so far and were not counted yet
	free  chan<- []byte // where the bytes go back to
}

// pass passes the pieces on in their order, as they come in. It returns the error of the sink; it
// stops without one where a piece is not whole.
func (a *assembly) pass(ctx context.Context, order <-chan *piece) error {
	for p := range order {
		for more := true; more; {
			var b batch
			select {
			case b, more = <-p.batches:
			case <-ctx.Done():
				return nil
			}
			if err := a.take(b); err != nil {
				return err
			}
		}
		if !p.whole {
			return nil
		}
		a.total.rows += p.copied.rows
		a.total.blank += p.copied.blank
	}
	return nil
}

// take passes a batch on.
func (a *assembly) take(b batch) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b.bytes != nil {
		_, err := a.sink.Write(b.bytes)
		b.free <- b.bytes[:0]
		if err != nil {
			return err
		}
	}
	a.sink.AddRows(b.rows)
	return nil
}

// alive tells the sink that the source is alive. While the sink is busy nobody doubts that.
func (a *assembly) alive() {
	if a.mu.TryLock() {
		a.sink.AddRows(0)
		a.mu.Unlock()
	}
}

// lane is one connection that copies pieces. It is the sink of each of them, and gets ahead of the
// file by so many bytes only.
type lane struct {
	*assembly
	from    *receiver
	free    chan []byte // laneBuffers of them, nil where not needed yet
	ctx     context.Context
	piece   *piece
	filling []byte
	rows    int64 // not handed over yet
}

func newLane(a *assembly, conn *connection, recode []recoding) *lane {
	l := &lane{assembly: a, free: make(chan []byte, laneBuffers)}
	l.from = newReceiver(conn, recode, l)
	for range laneBuffers {
		l.free <- nil
	}
	return l
}

// run copies pieces until there are no more.
func (l *lane) run(ctx context.Context, todo <-chan *piece) error {
	l.ctx = ctx
	for l.piece = range todo {
		err := l.copy(ctx)
		close(l.piece.batches)
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *lane) copy(ctx context.Context) (err error) {
	l.piece.copied, err = l.from.copy(ctx, l.piece.query)
	if err != nil {
		return err
	}
	l.handOver()
	l.piece.whole = true
	return nil
}

// Write takes bytes of the piece. It waits while the lane is too far ahead of the file.
func (l *lane) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if l.filling == nil {
			select {
			case l.filling = <-l.free:
			case <-l.ctx.Done():
				return 0, l.ctx.Err()
			}
			if l.filling == nil {
				l.filling = make([]byte, 0, batchSize)
			}
		}
		n := min(len(rest), cap(l.filling)-len(l.filling))
		l.filling = append(l.filling, rest[:n]...)
		rest = rest[n:]
		if len(l.filling) == cap(l.filling) {
			l.handOver()
		}
	}
	return len(p), nil
}

// AddRows counts rows for the next batch.
func (l *lane) AddRows(n int64) {
	if n == 0 {
		l.alive()
	}
	l.rows += n
}

// handOver hands over what was gathered.
func (l *lane) handOver() {
	if l.filling == nil && l.rows == 0 {
		return
	}
	l.piece.batches <- batch{bytes: l.filling, rows: l.rows, free: l.free}
	l.filling, l.rows = nil, 0
}
