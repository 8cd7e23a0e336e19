package migrations

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/migrations/migrationstest"
)

// standardTable is golang-migrate's table as it makes it.
const standardTable = "CREATE TABLE schema_migrations (version bigint not null primary key, dirty boolean not null);"

// Another application that uses golang-migrate, and has tables of our names, keeps all it has.
func TestVersionOfAnotherApplication(t *testing.T) {
	t.Parallel()
	const theirs = "CREATE TABLE `User` (id INT PRIMARY KEY); CREATE TABLE `Role` (id INT); INSERT INTO `User` VALUES (1);"
	for name, tt := range map[string]struct {
		recorded string
		version  uint
	}{
		"version 1":      {"INSERT INTO schema_migrations VALUES (1, 0)", 1},
		"our newest one": {"INSERT INTO schema_migrations VALUES (2, 0)", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			migrationstest.Exec(t, p.admin, theirs+standardTable+tt.recorded)
			before := p.schema(t)
			m := p.migrator(t)
			for name, change := range map[string]func() ([]Step, error){
				"up": func() ([]Step, error) { return m.Up(t.Context()) }, "down": func() ([]Step, error) { return m.Down(t.Context(), 1) },
				"down all": func() ([]Step, error) { return m.DownAll(t.Context()) }, "goto": func() ([]Step, error) { return m.Goto(t.Context(), 1) },
			} {
				steps, err := change()
				e, ok := errors.AsType[*MismatchError](err)
				if !ok || len(steps) > 0 || e.Version != tt.version || e.Database != p.cfg.Database {
					t.Fatalf("%s: got %q, %v, want it refused for what version %d does not have here", name, spelled(steps), err, tt.version)
				}
				for _, want := range []string{"another application", "table Bank is missing", "column User.id_user is missing", "migrate force N", "nothing was changed"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s: got %v\nwant in it %q", name, err, want)
					}
				}
			}
			same(t, "their schema", p.schema(t), before)
			status, err := m.Status(t.Context())
			if err != nil || status.Dirty || !errors.As(status.Refusal, new(*MismatchError)) {
				t.Errorf("got %+v, %v, want a status that says why changes are refused", status, err)
			}
			e, _ := errors.AsType[*MismatchError](status.Refusal)
			if problems, err := m.Verify(t.Context()); err != nil || e == nil || !slices.Equal(problems, e.Problems) {
				t.Errorf("verify: got %q, %v, want the same problems", problems, err)
			}
		})
	}
}

// golang-migrate's table is of the server's own engine, whichever that is.
func TestVersionsOfAnotherEngine(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	migrationstest.Exec(t, p.admin, standardTable+"ALTER TABLE schema_migrations ENGINE = MyISAM")
	if steps, err := p.migrator(t).Up(t.Context()); err != nil || spelled(steps) != "up 1, up 2" {
		t.Errorf("got %q, %v, want up 1, up 2", spelled(steps), err)
	}
}

// Version 0 is none, as `migrate force 0` of golang-migrate's command writes it: the tables decide.
func TestVersionZero(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	migrationstest.Exec(t, p.admin, "CREATE TABLE `User` (id INT);"+standardTable+"INSERT INTO schema_migrations VALUES (0, 0)")
	m := p.migrator(t)
	if _, err := m.Up(t.Context()); !errors.As(err, new(*AdoptionError)) {
		t.Errorf("with a table in the way: got %v, want it refused", err)
	}
	migrationstest.Exec(t, p.admin, "DROP TABLE `User`")
	if steps, err := m.Up(t.Context()); err != nil || spelled(steps) != "up 1, up 2" {
		t.Errorf("without: got %q, %v, want up 1, up 2", spelled(steps), err)
	}
}

// Tables of other programs under the names of the migrator's are told by their columns, and refused.
func TestTablesOfOtherPrograms(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ statements, table, want string }{
		"Rails's versions": {"CREATE TABLE schema_migrations (version VARCHAR(255) PRIMARY KEY); INSERT INTO schema_migrations VALUES ('20240102030405')",
			versionTable, "column schema_migrations.dirty is missing"},
		"another's versions": {"CREATE TABLE schema_migrations (version VARCHAR(20), dirty BOOLEAN); INSERT INTO schema_migrations VALUES ('v1', 0)",
			versionTable, "column schema_migrations.version is varchar(20), and is to be bigint"},
		"another's history": {"CREATE TABLE schema_history (id INT PRIMARY KEY, what TEXT); INSERT INTO schema_history VALUES (1, 'x')",
			historyTable, "column schema_history.action is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			migrationstest.Exec(t, p.admin, tt.statements)
			before, rows := p.schema(t), p.rows(t, "SELECT * FROM "+tt.table)
			m := p.migrator(t)
			refused := func(what string, err error) {
				t.Helper()
				e, ok := errors.AsType[*ForeignTableError](err)
				if !ok || e.Table != tt.table || e.Database != p.cfg.Database {
					t.Errorf("%s: got %v, want %s named as another program's", what, err, tt.table)
					return
				}
				for _, want := range []string{tt.want, "belongs to another program", "nothing was changed"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s: got %v\nwant in it %q", what, err, want)
					}
				}
			}
			_, err := m.Up(t.Context())
			refused("up", err)
			_, err = m.DownAll(t.Context())
			refused("down all", err)
			refused("force", m.Force(t.Context(), 1))
			status, err := m.Status(t.Context())
			if err != nil || status.Version != 0 {
				t.Errorf("status: got %+v, %v, want no version read from another's table", status, err)
			}
			refused("status", status.Refusal)
			if problems, err := m.Verify(t.Context()); err != nil || len(problems) != 1 || !strings.Contains(problems[0], "belongs to another program") {
				t.Errorf("verify: got %q, %v, want to hear whose table it is", problems, err)
			}
			if _, err := m.History(t.Context()); err != nil {
				t.Errorf("history: %v", err)
			}
			same(t, "their schema", p.schema(t), before)
			if now := p.rows(t, "SELECT * FROM "+tt.table); !slices.EqualFunc(now, rows, maps.Equal) {
				t.Errorf("%s holds %v, want what it held: %v", tt.table, now, rows)
			}
		})
	}
}
