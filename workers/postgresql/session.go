package postgresql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// session is one transaction on one connection. While it reads a large table it has helpers.
type session struct {
	conn     *connection
	source   *Source
	log      *slog.Logger
	snapshot ingest.Snapshot
}

// begin starts the read-only transaction and fixes its snapshot.
func (s *session) begin(ctx context.Context) error {
	if err := s.conn.begin(ctx); err != nil {
		return err
	}
	// The first statement that reads takes the snapshot.
	s.snapshot = ingest.Snapshot{At: time.Now().UTC(), Consistent: true}
	rows, err := s.conn.rows(ctx, "SELECT pg_export_snapshot()")
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && !s.conn.IsClosed() {
		// Not every server lets a session name its snapshot, and none needs to.
		s.log.Debug("the server does not export its snapshot", "sqlstate", refused.Code)
		if err := s.conn.exec(ctx, "ROLLBACK"); err != nil {
			return err
		}
		if err := s.conn.begin(ctx); err != nil {
			return err
		}
		s.snapshot.At = time.Now().UTC()
		_, err = s.conn.rows(ctx, "SELECT 1 FROM pg_class LIMIT 0")
	}
	if err != nil {
		return err
	}
	if len(rows) == 1 {
		s.snapshot.ID = rows[0][0]
	}
	return s.conn.adjust(ctx)
}

// guarded runs f so that its failure ends neither the transaction nor its snapshot: the next
// dataset of the session reads the same state.
func (s *session) guarded(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.conn.exec(ctx, "SAVEPOINT dataset"); err != nil {
		return failure(ctx, fmt.Errorf("setting a savepoint: %w", err))
	}
	failed := f()
	if s.conn.IsClosed() {
		return failed
	}
	// Also when ctx is over: it may be this dataset's alone.
	after, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), stopTimeout, errors.New("ending the savepoint timed out"))
	defer cancel()
	undo := "RELEASE SAVEPOINT dataset"
	if failed != nil {
		undo = "ROLLBACK TO SAVEPOINT dataset; " + undo
	}
	if err := s.conn.exec(after, undo); err != nil && failed == nil {
		return failure(ctx, fmt.Errorf("releasing the savepoint: %w", err))
	}
	return failed
}

// Close ends the transaction with its connection.
func (s *session) Close(ctx context.Context) error {
	s.conn.close(ctx)
	return nil
}
