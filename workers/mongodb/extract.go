package mongodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/pharmavida/ingesta/workers/engine"
)

const (
	// firstBatch is the number of documents in the first batch, whose sizes say how many the
	// following ones should have.
	firstBatch = 250
	// batchBytes is the size that batches aim at: large enough to make the round trips cheap,
	// small enough that several of them are of no weight.
	batchBytes = 2 << 20
	// maxBatch bounds the number of (tiny) documents in a batch.
	maxBatch = 50_000
	// batchTimeout is how long the server may take for one batch, unless a test is in a hurry.
	batchTimeout = 2 * time.Minute
	// readAhead is the number of batches between the server and the encoder.
	readAhead = 2
)

// extract reads the documents that the query asks for into the recorder. One goroutine fetches the
// next batch while this one records the one before.
func (s *session) extract(ctx context.Context, collection *mongo.Collection, q query, r *recorder, sink engine.Sink) error {
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	fetched := make(chan []byte)
	free := make(chan []byte, readAhead)
	for range readAhead {
		free <- nil
	}
	ended := make(chan error, 1)
	go func() {
		defer close(fetched)
		ended <- s.fetch(reading, stop, collection, q, fetched, free)
	}()

	err := func() error {
		var rows int64
		for batch := range fetched {
			if err := r.batch(batch); err != nil {
				return err
			}
			sink.AddRows(r.rows() - rows)
			rows = r.rows()
			free <- batch // never blocks: there are as many places as batches
		}
		return r.flush()
	}()
	if err != nil {
		stop(err)
		for range fetched { // until the fetcher has seen it
		}
	}
	// What the sink said comes first and unchanged; then what ended the reading.
	if fetchErr := <-ended; err == nil && fetchErr != nil {
		return s.failure(ctx, fmt.Errorf("reading collection %s: %w", collection.Name(), fetchErr))
	}
	return err
}

// errStalled is the cause when the server took too long for a batch.
var errStalled = errors.New("the server took too long for a batch")

// fetch sends the documents that the query asks for to fetched, batch by batch, each a sequence of whole
// documents. It takes the memory from free. When it returns, the cursor is gone on the server too.
func (s *session) fetch(
	ctx context.Context, stop context.CancelCauseFunc,
	collection *mongo.Collection, q query, fetched chan<- []byte, free <-chan []byte,
) error {
	// A deadline of the context would become a limit on the server for the cursor as a whole.
	watchdog := time.AfterFunc(s.patience, func() { stop(fmt.Errorf("%w: %v", errStalled, s.patience)) })
	defer watchdog.Stop()

	with := ctx
	if s.sess != nil {
		with = mongo.NewSessionContext(ctx, s.sess)
	}
	cursor, err := collection.Find(with, q.filter, q.options())
	if err != nil {
		return stalled(ctx, err)
	}
	defer closeCursor(ctx, cursor)
	for {
		var batch []byte
		select {
		case batch = <-free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		watchdog.Reset(s.patience)
		batch = nextBatch(with, cursor, batch[:0])
		watchdog.Stop()
		if err := cursor.Err(); err != nil {
			return stalled(ctx, err)
		}
		if len(batch) == 0 {
			return nil
		}
		select {
		case fetched <- batch:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// nextBatch appends the documents of the cursor's next batch to dst, and none when there is none
// or the cursor failed. They are copied because the driver's own bytes are only lent; that, and
// going through them one by one, is a tenth of the work. Batches as a whole could only be had by
// getMore commands of our own, which the driver would not send to the server that has the cursor.
// The batch after it is asked for in the size that fits.
func nextBatch(ctx context.Context, cursor *mongo.Cursor, dst []byte) []byte {
	docs := 0
	for cursor.Next(ctx) {
		dst = append(dst, cursor.Current...)
		docs++
		if cursor.RemainingBatchLength() == 0 {
			break
		}
	}
	if docs > 0 {
		cursor.SetBatchSize(int32(min(max(1, batchBytes/(len(dst)/docs)), maxBatch)))
	}
	return dst
}

// stalled returns the cause if it was the watchdog that ended the read, else err.
func stalled(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

// closeCursor kills the cursor on the server if it is not exhausted, also when ctx is over.
func closeCursor(ctx context.Context, cursor *mongo.Cursor) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = cursor.Close(ctx) // the server forgets it by itself after ten minutes
}
