package migrations

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/golang-migrate/migrate/v4/database"
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

// DirtyError says that a migration stopped half-way, and that nothing more is done until somebody
// has looked.
type DirtyError struct {
	Database  string
	Version   uint      // that schema_migrations names; 0 for none
	Migration Migration // that stopped
	Action    Action    // ActionUp or ActionDown; "" when it may also have been the next one on its way down
	Cause     error     // why it stopped; nil when that was in another run
}

// Unwrap returns the cause.
func (e *DirtyError) Unwrap() error { return e.Cause }

func (e *DirtyError) Error() string {
	var text strings.Builder
	after, before := e.Migration.Version, e.Migration.Version-1
	fmt.Fprintf(&text, "database %s is dirty: migration %v stopped half-way ", e.Database, e.Migration)
	switch e.Action {
	case ActionDown:
		text.WriteString("while it was taken back")
	case ActionUp:
		text.WriteString("while it was applied")
	default:
		fmt.Fprintf(&text, "while it was applied, or the one after it while it was taken back (the history does not tell)")
	}
	if e.Cause != nil {
		fmt.Fprintf(&text, ": %v", e.Cause)
	}
	fmt.Fprintf(&text, ".\nMySQL has no transactions for DDL: of its statements, those before the failure are done and the rest is not."+
		"\nLook at what exists (migrations/sql/%v.up.sql says what the migration makes). Then either"+
		"\n  - finish what it makes by hand, and run `migrate force %d`,"+
		"\n  - or undo by hand what there is of it, and run `migrate force %d`,"+
		"\n  - or restore a backup.", e.Migration, after, before)
	return text.String()
}

// dirty explains a dirty database.
func dirty(found survey, known []Migration) *DirtyError {
	e := &DirtyError{Database: found.database, Version: found.version}
	at := func(version uint) Migration {
		if version < 1 || version > uint(len(known)) {
			return Migration{Version: version}
		}
		return known[version-1]
	}
	// schema_migrations names where it was going; where it came from is in the history.
	from := found.told()
	_, told := found.columns(historyTable)
	switch {
	case found.version == 0 || from > found.version:
		e.Action, e.Migration = ActionDown, at(found.version+1)
	case told && from+1 == found.version || found.version == uint(len(known)):
		e.Action, e.Migration = ActionUp, at(found.version)
	default:
		e.Migration = at(found.version)
	}
	return e
}

// AdoptionError says why a database that holds some tables of the schema, and no version, is
// neither filled up nor adopted.
type AdoptionError struct {
	Database string
	Problems []string // each thing that is wrong
}

func (e *AdoptionError) Error() string {
	return fmt.Sprintf("database %s holds part of the schema, and not as Alembic's revision %s makes it; nothing was changed:\n  - %s\n"+
		"Mend each of these, or let Alembic finish (`alembic upgrade head`), and migrate again: the database is then adopted as it is. "+
		"If nothing in it is needed, drop the database and create it anew. "+
		"If it is at a version all the same, record that: `migrate force N`.",
		e.Database, alembicRevision, strings.Join(e.Problems, "\n  - "))
}

// UnknownVersionError says that the database is at a version that this program has no migration for.
type UnknownVersionError struct {
	Version uint // of the database
	Latest  uint // that this program knows
}

func (e *UnknownVersionError) Error() string {
	return fmt.Sprintf("the database is at version %d, and this program knows the migrations up to %d: use the program that migrated it, or a newer one", e.Version, e.Latest)
}

// BusyError says that another migrator held the lock for as long as this one was ready to wait.
type BusyError struct {
	Database   string
	Connection int64 // that holds the lock, on the server; 0 when it is not known
	Waited     time.Duration
}

func (e *BusyError) Error() string {
	text := fmt.Sprintf("another migrator has been at work on database %s for %v: wait until it has ended, and try again", e.Database, e.Waited)
	if e.Connection != 0 {
		text += fmt.Sprintf(" (if it hangs, `KILL %d` on the server ends its connection, and leaves the database dirty if a step runs)", e.Connection)
	}
	return text
}

// Error numbers that are asked for by name.
const noSuchTable = 1146

func isNoSuchTable(err error) bool {
	refused, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && refused.Number == noSuchTable
}

// cause returns what the server or the driver said, which golang-migrate's errors hide. Their text
// would repeat the whole migration.
func cause(err error) error {
	if e, ok := errors.AsType[*database.Error](err); ok {
		return e.OrigErr
	}
	if e, ok := errors.AsType[database.Error](err); ok {
		return e.OrigErr
	}
	return err
}

// explain says what err means and what to do about it, by the numbers of the server's errors and
// by the types of the others, never by their text. doing names the operation, as a gerund. What
// has a name already, and what needs no other words than its own, is only wrapped.
func (m *Migrator) explain(ctx context.Context, doing string, err error) error {
	return explain(ctx, m.at, doing, err)
}

func explain(ctx context.Context, at address, doing string, err error) error {
	err = cause(err)
	if errors.Is(context.Cause(ctx), ErrLockLost) {
		return fmt.Errorf("%s: %w", doing, ErrLockLost)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	}
	if refused, ok := errors.AsType[*mysql.MySQLError](err); ok {
		message, transient := meaning(at, refused)
		if message == "" {
			return fmt.Errorf("%s: %w", doing, err)
		}
		return &ServerError{Transient: transient, Number: refused.Number, Message: doing + ": " + message, cause: err}
	}
	for _, login := range []error{
		mysql.ErrNoTLS, mysql.ErrCleartextPassword, mysql.ErrNativePassword, mysql.ErrOldPassword,
		mysql.ErrUnknownPlugin, mysql.ErrOldProtocol,
	} {
		if errors.Is(err, login) {
			return &ServerError{Message: fmt.Sprintf("%s: the server at %s does not agree on how to log in: %v; MYSQL_TLS=preferred fits most servers", doing, at.hostPort(), err), cause: err}
		}
	}
	if _, network := errors.AsType[net.Error](err); network ||
		errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) {
		why := err
		if ctx.Err() != nil {
			why = context.Cause(ctx) // says what took too long
		}
		return &ServerError{Transient: true, cause: err, Message: fmt.Sprintf(
			"%s: the MySQL server at %s cannot be reached, or the connection was lost (%v): is it running, and are host and port right? "+
				"From within a container the host is the service's name, mysql; from outside it is localhost with the published port", doing, at.hostPort(), why)}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// meaning puts an answer of the server into words, and says whether it may pass; "" leaves it as
// it is.
func meaning(at address, refused *mysql.MySQLError) (message string, transient bool) {
	switch refused.Number {
	case 1045, 1698, 1130, 1251, 1820, 1862, 3118, 4151: // password, host, plugin, expired or locked account
		return fmt.Sprintf("the MySQL server at %s refused the login of %s (error %d): check MYSQL_USER and MYSQL_PASSWORD, or DATABASE_URL. "+
			"If the user is new, or may not come from this host, an administrator runs: CREATE USER %s IDENTIFIED BY '<password>'; %s",
			at.hostPort(), at.user, refused.Number, at.account(), at.grant()), false
	case 1044: // the database as a whole
		return fmt.Sprintf("user %s has no right to use database %s, or there is none (error 1044). An administrator runs: CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb4; %s",
			at.user, at.database, quoteName(at.database), at.grant()), false
	case 1142, 1143, 1227, 1370: // tables, columns, and privileges by name
		return fmt.Sprintf("user %s lacks a right that the migrations need (error %d: %s). An administrator runs: %s",
			at.user, refused.Number, refused.Message, at.grant()), false
	case 1049:
		return fmt.Sprintf("the MySQL server at %s has no database %s (error 1049): check MYSQL_DATABASE, or DATABASE_URL. An administrator creates it by: CREATE DATABASE %s CHARACTER SET utf8mb4; %s",
			at.hostPort(), at.database, quoteName(at.database), at.grant()), false
	}
	if slices.Contains([]uint16{
		1040, 1129, 1203, 1226, // too many connections, host blocked, limits of the account
		1021, 1037, 1041, 1114, 1135, // disk, memory, temporary table and threads used up
		1053, 1077, 1079, 3168, // shutting down, not available yet
		1152, 1153, 1158, 1159, 1160, 1161, 1184, 4031, // connection aborted
		1317, 1927, 3169, // query or session killed
		1205, 1213, // locks
	}, refused.Number) {
		return fmt.Sprintf("the MySQL server at %s is not able to serve, or ended the statement (error %d: %s)", at.hostPort(), refused.Number, refused.Message), true
	}
	return "", false
}

// account is the user as SQL names it.
func (a address) account() string {
	return "'" + strings.ReplaceAll(a.user, "'", "''") + "'@'%'"
}

// grant is the statement that gives the user the rights that the migrations need.
func (a address) grant() string {
	return fmt.Sprintf("GRANT ALL PRIVILEGES ON %s.* TO %s;", quoteName(a.database), a.account())
}

// plainName needs no quotes.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// quoteName quotes a name for SQL where it has to be.
func quoteName(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}
