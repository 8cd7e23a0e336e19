package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// surveyTimeout bounds taking a survey. The server answers at once, unless somebody alters a table.
const surveyTimeout = 30 * time.Second

// versionTable is golang-migrate's.
const versionTable = "schema_migrations"

// survey is what a database holds, as far as it matters here.
type survey struct {
	database  string
	server    string                       // its version, as it spells it
	foldNames bool                         // the server does not tell upper from lower case in names of tables
	tables    map[string]map[string]string // the type (see normal) of each column, its name in lower case, of each table
	odd       map[string]string            // in words, of each table that is none, or not InnoDB's
	revisions []string                     // Alembic's
	log       []Step                       // oldest first
	foreign   []*ForeignTableError         // tables of others under the names of kept
	holder    int64                        // connection that holds the lock of the migrations; 0 for none
	moving    bool                         // the version changed during the look: not all of this is of one moment
	mark
}

// mark is what golang-migrate's table says.
type mark struct {
	recorded bool // it names a version, or is dirty
	version  uint // that it names; 0 for none
	dirty    bool
}

// maxLooks bounds how often a database is looked at that another migrator changes meanwhile.
const maxLooks = 5

// survey looks at the database. It changes nothing, and needs no lock: what another migrator does
// meanwhile may be in it or not, but not one half of a step.
func (m *Migrator) survey(ctx context.Context) (survey, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, surveyTimeout, errors.New("looking at the database took too long"))
	defer cancel()
	for looks := 1; ; looks++ {
		s, err := m.look(ctx)
		if err != nil || !s.moving || looks == maxLooks {
			return s, err
		}
	}
}

// look looks once. The version is read before and after everything else, since each step changes
// it; and the lock's holder before the last time, so that what is dirty with nobody at work is so
// for good.
func (m *Migrator) look(ctx context.Context) (survey, error) {
	s := survey{tables: map[string]map[string]string{}, odd: map[string]string{}}
	var folding int
	err := m.db.QueryRowContext(ctx, "SELECT DATABASE(), VERSION(), @@lower_case_table_names").Scan(&s.database, &s.server, &folding)
	if err != nil {
		return survey{}, m.explain(ctx, "asking for the server's version", err)
	}
	s.foldNames = folding != 0
	before, _ := readVersion(ctx, m.db) // an error comes again below, where it is known whether there is a table
	if err := s.readColumns(ctx, m.db); err != nil {
		return survey{}, m.explain(ctx, "listing the columns", err)
	}
	if err := s.readEngines(ctx, m.db); err != nil {
		return survey{}, m.explain(ctx, "listing the tables", err)
	}
	if err := s.readRevisions(ctx, m.db); err != nil {
		return survey{}, m.explain(ctx, "reading "+alembicTable.name, err)
	}
	for _, t := range kept {
		columns, ok := s.columns(t.name)
		if !ok {
			continue
		}
		if problems := t.compare(columns); len(problems) > 0 { // golang-migrate leaves the engine to the server
			s.foreign = append(s.foreign, &ForeignTableError{Database: s.database, Table: t.name, Problems: problems})
		}
	}
	if s.ours(historyTable) {
		if s.log, err = readHistory(ctx, m.db); err != nil && !isNoSuchTable(err) {
			return survey{}, m.explain(ctx, "reading "+historyTable, err)
		}
	}
	var holder sql.NullInt64
	if err := m.db.QueryRowContext(ctx, "SELECT IS_USED_LOCK(?)", m.lockName()).Scan(&holder); err != nil {
		return survey{}, m.explain(ctx, "asking who holds the lock", err)
	}
	s.holder = holder.Int64
	if _, ok := s.columns(versionTable); ok && !s.ours(versionTable) {
		return s, nil
	}
	s.mark, err = readVersion(ctx, m.db)
	if s.ours(versionTable) && err != nil && !isNoSuchTable(err) {
		return survey{}, m.explain(ctx, "reading "+versionTable, err)
	}
	s.moving = s.mark != before
	return s, nil
}

func (s *survey) readColumns(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name, column, kind string
		if err := rows.Scan(&name, &column, &kind); err != nil {
			return err
		}
		key := s.key(name)
		if s.tables[key] == nil {
			s.tables[key] = map[string]string{}
		}
		s.tables[key][strings.ToLower(column)] = normal(kind)
	}
	return rows.Err()
}

func (s *survey) readEngines(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name, kind string
		var engine sql.NullString
		if err := rows.Scan(&name, &kind, &engine); err != nil {
			return err
		}
		switch {
		case kind == "VIEW":
			s.odd[s.key(name)] = "is a view, and is to be a table"
		case !engine.Valid:
			s.odd[s.key(name)] = "cannot be opened by the server"
		case !strings.EqualFold(engine.String, "InnoDB"):
			s.odd[s.key(name)] = "is stored by the engine " + engine.String + ", and is to be by InnoDB: others have no transactions and no foreign keys"
		}
	}
	return rows.Err()
}

func (s *survey) readRevisions(ctx context.Context, db *sql.DB) error {
	if columns, ok := s.columns(alembicTable.name); !ok || columns[alembicTable.columns[0].name] == "" {
		return nil
	}
	rows, err := db.QueryContext(ctx, "SELECT version_num FROM alembic_version ORDER BY version_num LIMIT 10")
	if isNoSuchTable(err) { // dropped since
		return nil
	}
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var revision sql.NullString
		if err := rows.Scan(&revision); err != nil {
			return err
		}
		s.revisions = append(s.revisions, revision.String)
	}
	return rows.Err()
}

// isNoSuchTable reports whether the server says that there is no such table.
func isNoSuchTable(err error) bool {
	const noSuchTable = 1146
	refused, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && refused.Number == noSuchTable
}

// readVersion reads golang-migrate's table, which there may be none of.
func readVersion(ctx context.Context, db *sql.DB) (mark, error) {
	var version int64
	var dirty bool
	err := db.QueryRowContext(ctx, "SELECT version, dirty FROM schema_migrations LIMIT 1").Scan(&version, &dirty)
	if errors.Is(err, sql.ErrNoRows) {
		return mark{}, nil
	}
	if err != nil {
		return mark{}, err
	}
	at := uint(max(version, 0)) // on the way down to none, golang-migrate writes -1
	return mark{recorded: at > 0 || dirty, version: at, dirty: dirty}, nil
}

// key is under which the table of the name stands in tables.
func (s survey) key(name string) string {
	if s.foldNames {
		return strings.ToLower(name)
	}
	return name
}

// columns returns the columns of a table, and whether it is there.
func (s survey) columns(name string) (map[string]string, bool) {
	columns, ok := s.tables[s.key(name)]
	return columns, ok
}

// ours reports whether a table of kept is there and the migrator's.
func (s survey) ours(name string) bool {
	_, ok := s.columns(name)
	return ok && !slices.ContainsFunc(s.foreign, func(e *ForeignTableError) bool { return e.Table == name })
}

// otherCase returns a table that is there under the name in another case, or "".
func (s survey) otherCase(name string) string {
	for other := range s.tables {
		if strings.EqualFold(other, name) {
			return other
		}
	}
	return ""
}

// state says who made what is there, and, when it is neither nothing nor whole, what is wrong.
func (s survey) state() (State, []string) {
	if s.recorded {
		return StateManaged, nil
	}
	if slices.ContainsFunc(schema, func(t table) bool { _, ok := s.columns(t.name); return ok }) {
		if problems := append(compare(expected(1), s), compareRevision(s)...); len(problems) > 0 {
			return StateHalfMade, problems
		}
		if at := s.told(); at > 0 { // schema_migrations was lost, and not all of this is Alembic's
			return StateHalfMade, []string{fmt.Sprintf("table %s says that the database is at version %d, and %s records none: "+
				"if it is right, record that (`migrate force %d`)", historyTable, at, versionTable, at)}
		}
		return StateAlembic, nil
	}
	if _, ok := s.columns(alembicTable.name); !ok {
		return StateEmpty, nil
	}
	problems := compare([]table{alembicTable}, s)
	if len(s.revisions) > 0 {
		problems = append(problems, fmt.Sprintf("table %s holds %s, and none of the schema's tables is there: it belongs to another application, "+
			"or Alembic claims what is not there (if so, `DELETE FROM %[1]s`)", alembicTable.name, strings.Join(s.revisions, ", ")))
	}
	if len(problems) == 0 { // what `alembic downgrade base` leaves
		return StateEmpty, nil
	}
	return StateHalfMade, problems
}

// refusal returns why the database must not be changed, nil when it may be.
func (m *Migrator) refusal(found survey) error {
	if len(found.foreign) > 0 {
		return found.foreign[0]
	}
	switch state, problems := found.state(); {
	case state == StateHalfMade:
		return &AdoptionError{Database: found.database, Problems: problems, hidden: m.at.hidden()}
	case found.version > uint(len(m.known)):
		return &UnknownVersionError{Version: found.version, Latest: uint(len(m.known))}
	case found.dirty:
		return dirty(found, m.known)
	}
	// That a version is recorded proves nothing: another application may use golang-migrate too.
	if problems := compare(m.expected(found.version), found); len(problems) > 0 {
		return &MismatchError{Database: found.database, Version: found.version, Problems: problems, hidden: m.at.hidden()}
	}
	return nil
}

// told returns the version that the database is at by its history.
func (s survey) told() uint {
	if len(s.log) == 0 {
		return 0
	}
	return s.log[len(s.log)-1].after()
}

// adopted reports whether Alembic made what migration 1 makes, as the history tells.
func (s survey) adopted() bool {
	adopted := false
	for _, step := range s.log {
		if step.Version == 1 && step.Action != ActionForce {
			adopted = step.Action == ActionAdopt
		}
	}
	return adopted
}
