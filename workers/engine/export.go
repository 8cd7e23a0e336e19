package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/encode"
	"github.com/pharmavida/ingesta/workers/upload"
)

// exporter exports datasets of one database into the lake, on behalf of one owner. It opens a
// session when it needs one, and a new one after a session broke.
type exporter struct {
	source  Source
	lake    *upload.Store
	owner   upload.Owner
	guard   func(context.Context) error // asked right before an object becomes visible
	board   *board
	silence time.Duration // after which a source that sends nothing is given up
	session Session
}

// export exports one dataset to its key, and returns its result with state Done. When it fails,
// or panics, no object and no upload of this owner is left at the key.
func (x *exporter) export(ctx context.Context, i int, d catalog.Dataset) (r ingest.Result, err error) {
	extraction, err := watched(ctx, x.silence, func(ctx context.Context, _ *watchdog) (Extraction, error) {
		return x.prepare(ctx, d)
	})
	if err != nil {
		return ingest.Result{}, err
	}
	object, err := x.lake.Create(ctx, x.board.get(i).Key, x.owner, x.guard)
	if err != nil {
		return ingest.Result{}, fmt.Errorf("starting the upload of dataset %s: %w", d.Name, err)
	}
	// Does nothing after a completion: only a producer that failed leaves something to abort.
	defer func() {
		if aborted := object.Abort(ctx); aborted != nil {
			err = errors.Join(err, aborted)
		}
	}()
	m := &meter{object: object, started: time.Now().UTC()}
	x.board.begin(i, extraction, m)
	tally, err := watched(ctx, x.silence, func(ctx context.Context, w *watchdog) (Tally, error) {
		m.watchdog = w
		return stream(ctx, extraction, m)
	})
	if err != nil {
		return ingest.Result{}, fmt.Errorf("exporting dataset %s: %w", d.Name, err)
	}
	receipt, err := object.Complete(ctx)
	if err != nil {
		return ingest.Result{}, fmt.Errorf("exporting dataset %s: %w", d.Name, err)
	}

	r = x.board.get(i)
	r.State, r.URL, r.Format = ingest.Done, x.lake.URL(r.Key), "CSV"
	r.Rows, r.Bytes, r.SHA256 = tally.Rows, receipt.Bytes, receipt.SHA256
	if tally.Columns != nil {
		r.Columns = tally.Columns
	}
	r.Warnings, r.RowsPerSecond, r.FinishedAt = tally.Warnings, 0, time.Now().UTC()
	if d.Where != "" {
		r.Warnings = append(r.Warnings, "the catalog has a condition for this dataset: the rows that do not meet it are not in the file")
	}
	return r, nil
}

// prepare prepares the dataset, in a new session if there is none.
func (x *exporter) prepare(ctx context.Context, d catalog.Dataset) (Extraction, error) {
	if x.session == nil {
		session, err := x.source.Open(ctx)
		if err != nil {
			return Extraction{}, fmt.Errorf("opening a session: %w", err)
		}
		x.session = session
	}
	extraction, err := x.session.Prepare(ctx, d)
	if err != nil {
		return Extraction{}, fmt.Errorf("preparing dataset %s: %w", d.Name, err)
	}
	return extraction, nil
}

// stream writes header and rows.
func stream(ctx context.Context, extraction Extraction, sink Sink) (Tally, error) {
	if _, err := sink.Write(encode.AppendHeader(nil, extraction.Columns)); err != nil {
		return Tally{}, err
	}
	return extraction.Run(ctx, sink)
}

// sessionTimeout bounds the closing of a session, whose query may have to be stopped first.
const sessionTimeout = 10 * time.Second

// reset closes the session, if there is one.
func (x *exporter) reset(ctx context.Context) error {
	if x.session == nil {
		return nil
	}
	closing, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), sessionTimeout, errors.New("closing the source's session timed out"))
	defer cancel()
	err := x.session.Close(closing)
	x.session = nil
	return err
}
