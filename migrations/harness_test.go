package migrations

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/golang-migrate/migrate/v4/database/mysql"
	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/migrations/migrationstest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// place is a database of a test's own.
type place struct {
	cfg   Config
	admin *sql.DB // in it
}

func newPlace(t *testing.T) place {
	t.Helper()
	var p place
	stacktest.Load(t, &p.cfg, migrationstest.Database(t)...)
	p.admin = migrationstest.Admin(t, p.cfg.Database)
	return p
}

// migrator opens a migrator of the database, which is closed when the test ends.
func (p place) migrator(t *testing.T) *Migrator { return p.open(t, embedded) }

// migratorOf opens a migrator for a script, which does not make the tables of the schema.
func (p place) migratorOf(t *testing.T, files fs.FS) *Migrator {
	t.Helper()
	m := p.open(t, files)
	m.expected = func(uint) []table { return nil }
	return m
}

func (p place) open(t *testing.T, files fs.FS) *Migrator {
	t.Helper()
	m, err := open(t.Context(), p.cfg, slog.New(slog.DiscardHandler), files)
	if err != nil {
		t.Fatalf("opening the migrator: %v", err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// standard opens the database as golang-migrate's command does, which makes its table.
func (p place) standard(t *testing.T) database.Driver {
	t.Helper()
	a, err := p.cfg.address()
	if err != nil {
		t.Fatal(err)
	}
	driver, err := (&mysql.Mysql{}).Open(fmt.Sprintf("mysql://%s:%s@tcp(%s)/%s", a.user, a.password, a.hostPort(), a.database))
	if err != nil {
		t.Fatalf("opening the database as golang-migrate does: %v", err)
	}
	t.Cleanup(func() { _ = driver.Close() })
	return driver
}

// script makes migrations out of the texts of their ups and downs: up 1, down 1, up 2 and so on.
func script(texts ...string) fs.FS {
	files := fstest.MapFS{}
	for i, text := range texts {
		direction := []string{"up", "down"}[i%2]
		files[fmt.Sprintf("%s/%06d_step.%s.sql", folder, i/2+1, direction)] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

// volatile are columns of information_schema that tell of rows and time instead of the schema.
var volatile = []string{
	"TABLE_ROWS", "AVG_ROW_LENGTH", "DATA_LENGTH", "MAX_DATA_LENGTH", "INDEX_LENGTH", "MAX_INDEX_LENGTH", "DATA_FREE",
	"AUTO_INCREMENT", "CREATE_TIME", "UPDATE_TIME", "CHECK_TIME", "CHECKSUM", "CARDINALITY",
}

// bookkeeping are the migrator's own tables.
var bookkeeping = []string{versionTable, historyTable}

// schema returns all that information_schema says about the database's schema, but for the tables
// in without.
func (p place) schema(t *testing.T, without ...string) string {
	t.Helper()
	var all strings.Builder
	for view, column := range map[string]string{
		"TABLES": "TABLE_SCHEMA", "COLUMNS": "TABLE_SCHEMA", "STATISTICS": "TABLE_SCHEMA", "KEY_COLUMN_USAGE": "TABLE_SCHEMA",
		"REFERENTIAL_CONSTRAINTS": "CONSTRAINT_SCHEMA", "TABLE_CONSTRAINTS": "TABLE_SCHEMA", "CHECK_CONSTRAINTS": "CONSTRAINT_SCHEMA",
	} {
		for _, row := range p.rows(t, "SELECT * FROM information_schema."+view+" WHERE "+column+" = DATABASE()") {
			if !slices.Contains(without, row["TABLE_NAME"]) {
				fmt.Fprintln(&all, view, spell(row))
			}
		}
	}
	return sorted(all.String())
}

// content returns all rows of the tables of the schema.
func (p place) content(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, table := range expected(1) {
		for _, row := range p.rows(t, "SELECT * FROM `"+table.name+"`") {
			fmt.Fprintln(&all, table.name, spell(row))
		}
	}
	return sorted(all.String())
}

func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func spell(row map[string]string) string {
	var cells []string
	for name, value := range row {
		if !slices.Contains(volatile, name) {
			cells = append(cells, fmt.Sprintf("%s=%q", name, value))
		}
	}
	slices.Sort(cells)
	return strings.Join(cells, " ")
}

// rows returns what a query of the administrator's returns: each value under its column's name.
func (p place) rows(t *testing.T, query string) (all []map[string]string) {
	t.Helper()
	rows, err := p.admin.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	for rows.Next() {
		values, targets := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		row := map[string]string{}
		for i, name := range names {
			row[strings.ToUpper(name)] = values[i].String
			if !values[i].Valid {
				row[strings.ToUpper(name)] = "NULL"
			}
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return all
}

// same fails the test when two texts of lines differ, and shows the lines that do.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	was, is := strings.Split(want, "\n"), strings.Split(got, "\n")
	var differ strings.Builder
	for _, line := range was {
		if !slices.Contains(is, line) {
			fmt.Fprintln(&differ, "-", line)
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			fmt.Fprintln(&differ, "+", line)
		}
	}
	t.Errorf("%s differs:\n%s", what, differ.String())
}

// spelled returns steps as "up 1, up 2".
func spelled(steps []Step) string {
	var words []string
	for _, step := range steps {
		words = append(words, fmt.Sprintf("%s %d", step.Action, step.Version))
	}
	return strings.Join(words, ", ")
}

// log returns what schema_history holds, as spelled does.
func (p place) log(t *testing.T) string {
	t.Helper()
	var words []string
	for _, row := range p.rows(t, "SELECT action, version FROM schema_history ORDER BY id") {
		words = append(words, row["ACTION"]+" "+row["VERSION"])
	}
	return strings.Join(words, ", ")
}

// running returns the connections that run a statement which holds text.
func (p place) running(t *testing.T, text string) (ids []string) {
	t.Helper()
	for _, row := range p.rows(t, "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND INFO LIKE '%"+text+"%' AND ID <> CONNECTION_ID()") {
		ids = append(ids, row["ID"])
	}
	return ids
}

// gate is a lock that a migration of a test stops at while the test holds it.
type gate struct {
	conn *sql.Conn
	name string
}

func (p place) closeGate(t *testing.T) gate {
	t.Helper()
	conn, err := p.admin.Conn(t.Context())
	if err != nil {
		t.Fatalf("closing the gate: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	g := gate{conn: conn, name: p.cfg.Database + ".gate"}
	if _, err := conn.ExecContext(t.Context(), "DO GET_LOCK(?, 0)", g.name); err != nil {
		t.Fatalf("closing the gate: %v", err)
	}
	return g
}

// pass is the statement of a migration that waits at the gate.
func (g gate) pass() string { return "DO GET_LOCK('" + g.name + "', 60)" }

func (g gate) open(t *testing.T) {
	t.Helper()
	if _, err := g.conn.ExecContext(t.Context(), "DO RELEASE_LOCK(?)", g.name); err != nil {
		t.Fatalf("opening the gate: %v", err)
	}
}

// lines collects a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// result is what Up returned in another goroutine.
type result struct {
	steps []Step
	err   error
}

func startUp(ctx context.Context, m *Migrator) <-chan result {
	done := make(chan result, 1)
	go func() {
		steps, err := m.Up(ctx)
		done <- result{steps, err}
	}()
	return done
}
