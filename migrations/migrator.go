package migrations

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"time"
)

// Migrator changes the schema of one database, and tells about it. It is for one goroutine at a
// time.
type Migrator struct {
	at    address
	log   *slog.Logger
	db    *sql.DB
	files fs.FS
	known []Migration // by version; the first is 1

	expected func(version uint) []table // what a database at the version has

	lockTimeout  time.Duration // how long to wait for another migrator
	tableTimeout time.Duration // how long a step waits for a table that others use; whole seconds
	watchEvery   time.Duration // between two looks whether the lock is still held

	session *session // holds the lock; nil outside of Exclusive
}

const (
	// loginTimeout bounds connecting, logging in and getting an answer.
	loginTimeout = 15 * time.Second

	// lockTimeout is longer than the other migrator should take, and short enough for a person
	// or an orchestrator to hear of one that hangs.
	lockTimeout = 5 * time.Minute

	// tableTimeout is longer than a service should use a table within one transaction. The server's
	// own is a day or a year.
	tableTimeout = 5 * time.Minute

	watchEvery = 5 * time.Second
)

// Open logs in to the database. It changes nothing. A server that cannot be reached, or not yet,
// is a *ServerError that is Transient; so is the end of ctx's own time. The caller closes the
// migrator.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Migrator, error) {
	return open(ctx, cfg, log, embedded)
}

// open is Open for the migrations in files.
func open(ctx context.Context, cfg Config, log *slog.Logger, files fs.FS) (*Migrator, error) {
	known, err := read(files)
	if err != nil {
		return nil, err
	}
	at, err := cfg.address()
	if err != nil {
		return nil, err
	}
	db, err := at.open(true)
	if err != nil {
		return nil, err
	}
	// The driver's own timeout ends with the dialling; a server may also fall silent after it.
	ctx, cancel := context.WithTimeoutCause(ctx, loginTimeout, errors.New("logging in timed out"))
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close() // it holds nothing
		return nil, explain(ctx, at, "connecting", err)
	}
	return &Migrator{
		at: at, log: log.With("database", at.database), db: db, files: files, known: known, expected: expected,
		lockTimeout: lockTimeout, tableTimeout: tableTimeout, watchEvery: watchEvery,
	}, nil
}

// Close closes the connections.
func (m *Migrator) Close() error { return m.db.Close() }
