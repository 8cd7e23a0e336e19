package postgresql

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/engine"
)

// application is how the sessions show in pg_stat_activity.
const application = "ingesta"

// stopTimeout is how long the server may take to stop a statement it was asked to cancel, before
// the connection is given up.
const stopTimeout = 3 * time.Second

// Source is a PostgreSQL database. It keeps no connection of its own.
type Source struct {
	config   *pgconn.Config
	parallel int   // connections that read a large table together
	large    int64 // bytes from which on a table is large
	rangeOf  int64 // bytes of such a table that are read by one query
	log      *slog.Logger
}

var _ engine.Source = (*Source)(nil)

// New returns a source that connects when it is asked to. Its only error is a configuration that
// makes no sense.
func New(cfg Config, log *slog.Logger) (*Source, error) {
	parsed, err := cfg.driverConfig()
	if err != nil {
		return nil, err
	}
	parsed.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		// Closing the socket alone would leave the statement running until it writes.
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: stopTimeout}
	}
	return &Source{config: parsed, parallel: cfg.Parallel, large: largeTable, rangeOf: rangeSize, log: log.With("database", ingest.PostgreSQL)}, nil
}

// Ping connects, logs in and asks for an answer.
func (s *Source) Ping(ctx context.Context) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.close(ctx)
	if err := conn.exec(ctx, "SELECT 1"); err != nil {
		return failure(ctx, fmt.Errorf("pinging: %w", err))
	}
	return nil
}

// Version connects, logs in and returns the version as the server spells it: 15.8, and perhaps whose
// package it is. Errors are those of Ping.
func (s *Source) Version(ctx context.Context) (string, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	defer conn.close(ctx)
	return conn.ParameterStatus("server_version"), nil // told at the log-in
}

func (s *Source) connect(ctx context.Context) (*connection, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	conn, err := connect(ctx, s.config)
	if err != nil {
		return nil, failure(ctx, fmt.Errorf("connecting: %w", err))
	}
	return conn, nil
}

// Open connects and begins the transaction whose snapshot all datasets of the session show.
func (s *Source) Open(ctx context.Context) (engine.Session, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	session := &session{conn: conn, source: s, log: s.log}
	if err := session.begin(ctx); err != nil {
		conn.close(ctx)
		return nil, failure(ctx, fmt.Errorf("beginning the session: %w", err))
	}
	return session, nil
}
