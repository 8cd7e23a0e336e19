package migrations

import (
	"errors"
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
