package postgresql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// session is one transaction on one connection.
type session struct {
	conn     *pgconn.PgConn
	log      *slog.Logger
	snapshot ingest.Snapshot
}

// settings hold within the transaction, so that they work behind a pooler too and leave nothing
// behind. They fix how values are spelled, and switch off the server's own limits on time: how
// long an extraction may take is the engine's to decide, and a stalled upload is not an idle client.
var settings = []string{
	"client_encoding = 'UTF8'",
	"TimeZone = 'UTC'",
	"DateStyle = 'ISO'",
	"IntervalStyle = 'iso_8601'",
	"extra_float_digits = 1",
	"bytea_output = 'hex'",
	"statement_timeout = 0",
	"lock_timeout = 0",
	"idle_in_transaction_session_timeout = 0",
}

// begin starts the read-only transaction and fixes its snapshot.
func (s *session) begin(ctx context.Context) error {
	const begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	if err := s.exec(ctx, begin); err != nil {
		return err
	}
	// The first statement that reads takes the snapshot.
	s.snapshot = ingest.Snapshot{At: time.Now().UTC(), Consistent: true}
	rows, err := s.rows(ctx, "SELECT pg_export_snapshot()")
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && !s.conn.IsClosed() {
		// Not every server lets a session name its snapshot, and none needs to.
		s.log.Debug("the server does not export its snapshot", "sqlstate", refused.Code)
		if err := s.exec(ctx, "ROLLBACK"); err != nil {
			return err
		}
		if err := s.exec(ctx, begin); err != nil {
			return err
		}
		s.snapshot.At = time.Now().UTC()
		_, err = s.rows(ctx, "SELECT 1 FROM pg_class LIMIT 0")
	}
	if err != nil {
		return err
	}
	if len(rows) == 1 {
		s.snapshot.ID = rows[0][0]
	}
	return s.exec(ctx, "SET LOCAL "+strings.Join(settings, "; SET LOCAL "))
}

// guarded runs f so that its failure ends neither the transaction nor its snapshot: the next
// dataset of the session reads the same state.
func (s *session) guarded(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.exec(ctx, "SAVEPOINT dataset"); err != nil {
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
	if err := s.exec(after, undo); err != nil && failed == nil {
		return failure(ctx, fmt.Errorf("releasing the savepoint: %w", err))
	}
	return failed
}

// Close ends the transaction with its connection.
func (s *session) Close(ctx context.Context) error {
	closeConn(ctx, s.conn)
	return nil
}

// exec runs statements that return nothing.
func (s *session) exec(ctx context.Context, statements string) error {
	_, err := s.conn.Exec(ctx, statements).ReadAll()
	return err
}

// rows runs a query with text parameters and returns all its rows as text, NULL as "".
func (s *session) rows(ctx context.Context, query string, params ...string) ([][]string, error) {
	values := make([][]byte, len(params))
	for i, p := range params {
		values[i] = []byte(p)
	}
	result := s.conn.ExecParams(ctx, query, values, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	rows := make([][]string, len(result.Rows))
	for i, row := range result.Rows {
		for _, value := range row {
			rows[i] = append(rows[i], string(value))
		}
	}
	return rows, nil
}
