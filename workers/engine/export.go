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
	watched, dog := watch(ctx, x.silence)
	defer func() {
		dog.stop()
		err = dog.explain(watched, err)
	}()
	if x.session == nil {
		session, err := x.source.Open(watched)
		if err != nil {
			return ingest.Result{}, fmt.Errorf("opening a session: %w", err)
		}
		x.session = session
	}
	extraction, err := x.session.Prepare(watched, d)
	if err != nil {
		return ingest.Result{}, fmt.Errorf("preparing dataset %s: %w", d.Name, err)
	}

	dog.stop()
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
	m := &meter{object: object, started: time.Now().UTC(), dog: dog}
	x.board.begin(i, extraction, m)
	tally, receipt, err := stream(ctx, watched, extraction, m)
	if err != nil {
		return ingest.Result{}, fmt.Errorf("exporting dataset %s: %w", d.Name, err)
	}

	r = x.board.get(i)
	r.State, r.URL, r.Format = ingest.Done, x.lake.URL(r.Key), "CSV"
	r.Rows, r.Bytes, r.SHA256 = tally.Rows, receipt.Bytes, receipt.SHA256
	r.Warnings, r.RowsPerSecond, r.FinishedAt = tally.Warnings, 0, time.Now().UTC()
	return r, nil
}

// stream writes header and rows into the object and completes it. The source is read under the
// watched context.
func stream(ctx, watched context.Context, extraction Extraction, m *meter) (Tally, upload.Receipt, error) {
	if _, err := m.Write(encode.AppendHeader(nil, extraction.Columns)); err != nil {
		return Tally{}, upload.Receipt{}, err
	}
	tally, err := extraction.Run(watched, m)
	if err != nil {
		return Tally{}, upload.Receipt{}, err
	}
	m.dog.stop()
	receipt, err := m.object.Complete(ctx)
	return tally, receipt, err
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
