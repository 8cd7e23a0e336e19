package engine

import (
	"context"
	"io"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// Source is a database server that datasets are read from. Its methods may be called from
// several goroutines at once.
type Source interface {
	// Ping reports whether the server answers and accepts the credentials.
	Ping(ctx context.Context) error

	// Open starts a read-only session for one attempt. Where the server has snapshots, every
	// dataset read in the session shows the same one.
	Open(ctx context.Context) (Session, error)
}

// Session reads datasets one after the other. It is used by one goroutine at a time.
//
// Errors of both interfaces are *ingest.Error: SourceUnavailable (transient) when the server
// cannot be reached or went away, SourceDenied, TableNotFound, ColumnNotFound and QueryFailed
// (permanent) otherwise. When ctx is cancelled they return its error, promptly, and see to it
// that the server stops working on the query.
type Session interface {
	// Prepare checks that everything the dataset reads exists and resolves its columns. It reads
	// no rows.
	Prepare(ctx context.Context, d catalog.Dataset) (Extraction, error)

	// Close ends the session and its snapshot. It is called exactly once, also after errors.
	Close(ctx context.Context) error
}

// Extraction is a dataset that is ready to be read, once.
type Extraction struct {
	Columns       []ingest.Column // of the file, in order
	Withheld      []ingest.Withheld
	EstimatedRows int64 // 0 when the server cannot tell cheaply
	Snapshot      ingest.Snapshot

	// Run reads every row and writes it to the sink as CSV of dialect ingesta-csv-1, without the
	// header. It returns what it read; on an error the sink's content is worthless.
	Run func(ctx context.Context, sink Sink) (Tally, error)
}

// Sink receives an extraction. Writes need not end at row boundaries; the sink does not keep p.
// An error of Write ends the extraction, which returns it unchanged.
type Sink interface {
	io.Writer
	// AddRows counts n more rows, for progress, and is a sign of life of the source. Extractors that
	// gather rows before they write them call it with 0 for each row that arrives, or each batch that
	// takes a bounded time: that costs next to nothing.
	AddRows(n int64)
}

// Tally is what an extraction read.
type Tally struct {
	Rows     int64    // exactly the records written
	Warnings []string // what a reader of the file must know, one sentence each

	// Columns are those of the Extraction again, with types that only reading could tell. Nil when
	// there is nothing to add.
	Columns []ingest.Column
}
