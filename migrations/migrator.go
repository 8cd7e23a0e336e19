package migrations

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"
)

// errUnfinished is what methods return that are still to be written.
var errUnfinished = errors.New("this part of the migrator is still to be written")

// Migrator changes the schema of one database, and tells about it. It is for one goroutine at a
// time.
type Migrator struct {
	cfg Config
	log *slog.Logger
	db  *sql.DB
}

// Open connects to the database. A server that cannot be reached yet is a *ServerError that is
// Transient. The caller closes the migrator.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Migrator, error) {
	db, err := cfg.open(true)
	if err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, err
	}
	return &Migrator{cfg: cfg, log: log, db: db}, nil
}

// Close closes the connections.
func (m *Migrator) Close() error { return m.db.Close() }

// Action is what was done with a migration.
type Action string

// The actions.
const (
	ActionUp    Action = "up"
	ActionDown  Action = "down"
	ActionAdopt Action = "adopt" // Alembic's schema was taken over as migration 1
	ActionForce Action = "force" // the version was set by hand
)

// Step is one thing done, as it stands in the table schema_history.
type Step struct {
	Action   Action
	Version  uint   // of the migration; of the new version for a force, 0 for none
	Name     string // of the migration
	At       time.Time
	Duration time.Duration
}

// Up applies all pending migrations, one after the other, and returns the steps it took, also
// beside an error: none when there was nothing to do.
func (m *Migrator) Up(ctx context.Context) ([]Step, error) { return nil, errUnfinished }

// Down takes back the last n migrations, or as many as are applied, and returns the steps it took.
func (m *Migrator) Down(ctx context.Context, n int) ([]Step, error) { return nil, errUnfinished }

// DownAll takes back every migration: no table of the schema, and no row in them, is left. Only
// schema_migrations, empty, and schema_history stay.
func (m *Migrator) DownAll(ctx context.Context) ([]Step, error) { return nil, errUnfinished }

// Goto goes up or down to a version, 0 for none, and returns the steps it took.
func (m *Migrator) Goto(ctx context.Context, version uint) ([]Step, error) {
	return nil, errUnfinished
}

// Force records that the database is at a version (0: at none), and clean, and changes nothing else.
func (m *Migrator) Force(ctx context.Context, version uint) error { return errUnfinished }

// Exclusive runs f while no other migrator can change the database. The migrator's own methods
// may be called within f. The context that f gets ends when the lock is lost.
func (m *Migrator) Exclusive(ctx context.Context, f func(ctx context.Context) error) error {
	return errUnfinished
}

// State says who made what is in a database.
type State string

// The states.
const (
	StateEmpty    State = "empty"     // nothing of the schema is there: up creates it
	StateAlembic  State = "alembic"   // Alembic made it: the first change adopts it as version 1
	StateHalfMade State = "half-made" // some of the schema is there: changes are refused
	StateManaged  State = "managed"   // migrations were applied
)

// Status is where a database stands.
type Status struct {
	Address       string // user@host:port/database
	Database      string
	ServerVersion string // as the server spells it
	State         State
	Version       uint // 0: none
	Name          string
	Dirty         bool
	Latest        uint  // the newest version that this program knows
	Pending       int   // migrations that up would apply
	Adopted       bool  // version 1 was made by Alembic, and adopted
	Refusal       error // why changes would be refused now: *DirtyError, *AdoptionError, *UnknownVersionError, or nil
}

// Status tells where the database stands. It changes nothing.
func (m *Migrator) Status(ctx context.Context) (Status, error) { return Status{}, errUnfinished }

// Entry is one migration in the history.
type Entry struct {
	Version   uint
	Name      string
	Applied   bool
	Adopted   bool          // applied by Alembic
	AppliedAt time.Time     // UTC; zero when pending, and when it is not known
	Duration  time.Duration // of the last time it was applied; 0 when it is not known
}

// History tells of every migration whether it is applied, and since when. It changes nothing.
func (m *Migrator) History(ctx context.Context) ([]Entry, error) { return nil, errUnfinished }

// Verify compares the tables, columns and types that are there with those of the current version,
// and returns each thing that is wrong in words, none when all is well. It changes nothing.
func (m *Migrator) Verify(ctx context.Context) (problems []string, err error) {
	return nil, errUnfinished
}

// TableRows is the number of rows in a table.
type TableRows struct {
	Table string
	Rows  int64
}

// RowCounts counts the rows of each table of the schema that is there, in the schema's order.
func (m *Migrator) RowCounts(ctx context.Context) ([]TableRows, error) { return nil, errUnfinished }

// Create writes the next numbered pair of migration files, with the given name, into a folder and
// returns their paths. It overwrites nothing.
func Create(dir, name string) (up, down string, err error) { return "", "", errUnfinished }
