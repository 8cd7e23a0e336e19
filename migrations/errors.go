package migrations

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrLockLost says that the connection that held the lock of the migrations ended before its time:
// another migrator may have changed the database meanwhile.
var ErrLockLost = errors.New("the lock of the migrations was lost with its connection, and another migrator may have been at work since: look at the status before going on")

// ServerError is a failure to reach or to use the server, with its next step in words.
type ServerError struct {
	Transient bool   // the server may do it in a moment: trying again makes sense
	Number    uint16 // the server's error number; 0 when it did not answer
	Message   string // the cause and the next step
	cause     error
}

func (e *ServerError) Error() string { return e.Message }

// Unwrap returns the driver's error.
func (e *ServerError) Unwrap() error { return e.cause }

// Transient reports whether err is a failure that may pass by itself, such as a server that does
// not listen yet. A database that was left dirty does not clean itself.
func Transient(err error) bool {
	if _, dirty := errors.AsType[*DirtyError](err); dirty {
		return false
	}
	refused, ok := errors.AsType[*ServerError](err)
	return ok && refused.Transient
}

// AdoptionError says why a database that holds some tables of the schema, and no version, is
// neither filled up nor adopted.
type AdoptionError struct {
	Database string
	Problems []string // each thing that is wrong
	hidden   string   // see address.hidden
}

func (e *AdoptionError) Error() string {
	return fmt.Sprintf("database %s holds part of the schema, and not as Alembic's revision %s makes it; nothing was changed:\n  - %s\n%s\n"+
		"Mend each of these, or let Alembic finish (`alembic upgrade head`), and migrate again: the database is then adopted as it is. "+
		"If nothing in it is needed, drop the database and create it anew. "+
		"If it is at a version all the same, record that: `migrate force N`.",
		e.Database, alembicRevision, strings.Join(e.Problems, "\n  - "), e.hidden)
}

// MismatchError says that the tables of a database are not those of the version that is recorded in
// it: they were changed by hand, or the version is another application's.
type MismatchError struct {
	Database string
	Version  uint     // that schema_migrations records
	Problems []string // each thing that is wrong
	hidden   string   // see address.hidden
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s records version %d in database %s, which does not hold what that version has; nothing was changed:\n  - %s\n%s\n"+
		"If another application keeps its version there, give this schema a database of its own. "+
		"Otherwise mend each of these, or restore a backup; if the database is at another version, record that: `migrate force N` (0: at none).",
		versionTable, e.Version, e.Database, strings.Join(e.Problems, "\n  - "), e.hidden)
}

// ForeignTableError says that a table under the name of one that the migrator keeps, schema_migrations
// or schema_history, is another program's. It refuses Force too.
type ForeignTableError struct {
	Database string
	Table    string
	Problems []string // each thing that tells it from the migrator's
}

func (e *ForeignTableError) Error() string {
	return fmt.Sprintf("table %s in database %s belongs to another program: %s; nothing was changed. "+
		"The migrations need a table of that name for themselves: give this schema a database of its own, or rename the other program's table.",
		e.Table, e.Database, strings.Join(e.Problems, "; "))
}

// UnknownVersionError says that the database is at a version that this program has no migration for.
type UnknownVersionError struct {
	Version uint // of the database
	Latest  uint // that this program knows
}

func (e *UnknownVersionError) Error() string {
	return fmt.Sprintf("the database is at version %d, and this program knows the migrations up to %d: use the program that migrated it, or a newer one", e.Version, e.Latest)
}

// BusyError says that another migrator held the lock for as long as this one was ready, or had time,
// to wait. In the second case it wraps the end of the context's time and its cause.
type BusyError struct {
	Database   string
	Connection int64 // that holds the lock, on the server; 0 when it is not known
	Waited     time.Duration
	ended      []error // why the context ended; nil when it did not
}

// Unwrap returns why the context ended.
func (e *BusyError) Unwrap() []error { return e.ended }

func (e *BusyError) Error() string {
	text := fmt.Sprintf("another migrator has been at work on database %s for %v", e.Database, e.Waited)
	if len(e.ended) > 0 {
		text += fmt.Sprintf(", and the time to wait is over (%v)", e.ended[0])
	}
	text += ": wait until it has ended, and try again"
	if e.Connection != 0 {
		text += fmt.Sprintf(" (if it hangs, `KILL %d` on the server ends its connection, and leaves the database dirty if a step runs)", e.Connection)
	}
	return text
}
