package migrations

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// State says who made what is in a database.
type State string

// The states.
const (
	StateEmpty    State = "empty"     // nothing of the schema is there: up makes it
	StateAlembic  State = "alembic"   // Alembic made it: the first change adopts it as version 1
	StateHalfMade State = "half-made" // part of the schema is there, or another one: changes are refused
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
	Pending       int   // how many migrations up would apply, adoption apart
	Adopted       bool  // Alembic made what migration 1 makes
	Busy          bool  // another migrator is at work, and what else is here may be about to change
	Refusal       error // why changes are refused: *DirtyError, *AdoptionError, *MismatchError, *UnknownVersionError or *ForeignTableError; nil when they are not
}

// Status tells where the database stands. It changes nothing.
func (m *Migrator) Status(ctx context.Context) (Status, error) {
	found, err := m.survey(ctx)
	if err != nil {
		return Status{}, err
	}
	state, _ := found.state()
	status := Status{
		Address: m.at.String(), Database: found.database, ServerVersion: found.server,
		State: state, Version: found.version, Name: m.name(found.version), Dirty: found.dirty,
		Latest: uint(len(m.known)), Adopted: found.adopted(),
		Busy: found.moving || found.holder != 0 && (m.session == nil || found.holder != m.session.id),
	}
	at := found.version
	if state == StateAlembic {
		at = 1
	}
	status.Pending = max(len(m.known)-int(at), 0)
	if !status.Busy || !found.dirty && !found.moving { // in the middle of a step all looks wrong
		status.Refusal = m.refusal(found)
	}
	return status, nil
}

// Entry is one migration in the history.
type Entry struct {
	Version   uint
	Name      string
	Applied   bool
	Adopted   bool          // by Alembic, before the database was adopted
	Dirty     bool          // it stopped half-way, on its way up or down
	AppliedAt time.Time     // UTC; zero when it is pending, and when it is not known
	Duration  time.Duration // of applying it; 0 when it is not known
}

// History tells of every migration, by version, whether it is applied, and since when. It changes
// nothing. When and how fast is known of what this package applied and was able to write down.
func (m *Migrator) History(ctx context.Context) ([]Entry, error) {
	found, err := m.survey(ctx)
	if err != nil {
		return nil, err
	}
	last := map[uint]Step{} // the last time a migration was applied or taken back
	for _, step := range found.log {
		if step.Action != ActionForce {
			last[step.Version] = step
		}
	}
	applied, stopped := found.version, uint(0)
	if found.dirty {
		stopped = dirty(found, m.known).Migration.Version
		applied = stopped - 1
	}
	var entries []Entry
	for _, migration := range m.known {
		entry := Entry{
			Version: migration.Version, Name: migration.Name,
			Applied: migration.Version <= applied, Dirty: migration.Version == stopped,
		}
		if step, ok := last[migration.Version]; ok && step.Action != ActionDown && entry.Applied {
			entry.AppliedAt, entry.Duration, entry.Adopted = step.At, step.Duration, step.Action == ActionAdopt
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// Verify compares the tables and columns that are there, the tables' engine and the columns' types,
// with those of the version that the database is at, and returns each thing that is wrong in words;
// none when all is well. A view is no table. It changes nothing. Further tables and columns are no fault.
func (m *Migrator) Verify(ctx context.Context) (problems []string, err error) {
	found, err := m.survey(ctx)
	if err != nil {
		return nil, err
	}
	if len(found.foreign) > 0 {
		for _, e := range found.foreign {
			problems = append(problems, e.Error())
		}
		return problems, nil
	}
	switch state, halfMade := found.state(); state {
	case StateEmpty:
		return []string{fmt.Sprintf("database %s is empty: no migration was applied yet, `migrate up` does", found.database)}, nil
	case StateHalfMade:
		return halfMade, nil
	case StateAlembic:
		return nil, nil
	}
	if err := m.refusal(found); err != nil && !errors.As(err, new(*MismatchError)) { // whose problems follow
		problems = append(problems, err.Error())
	}
	problems = append(problems, compare(m.expected(found.version), found)...)
	if found.version > 0 {
		problems = append(problems, compareRevision(found)...)
	}
	return problems, nil
}

// TableRows is the number of rows in a table.
type TableRows struct {
	Table string
	Rows  int64
}

// RowCounts counts the rows of each of the schema's tables that is there, in an order in which a
// table comes after those it refers to. The server reads every row for it.
func (m *Migrator) RowCounts(ctx context.Context) ([]TableRows, error) {
	found, err := m.survey(ctx)
	if err != nil {
		return nil, err
	}
	var counts []TableRows
	for _, t := range schema {
		if _, ok := found.columns(t.name); !ok {
			continue
		}
		count := TableRows{Table: t.name}
		if err := m.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM `"+t.name+"`").Scan(&count.Rows); err != nil {
			return nil, m.explain(ctx, "counting the rows of "+t.name, err)
		}
		counts = append(counts, count)
	}
	return counts, nil
}
