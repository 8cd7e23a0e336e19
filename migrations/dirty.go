package migrations

import (
	"fmt"
	"strings"
)

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
