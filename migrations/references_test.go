package migrations

import (
	"errors"
	"slices"
	"testing"

	"github.com/pharmavida/ingesta/migrations/migrationstest"
)

// A foreign key of another table keeps every table where it is, from within the database or from
// another one, and names itself.
func TestReferencedTablesStay(t *testing.T) {
	t.Parallel()
	p, other := newPlace(t), newPlace(t)
	m := p.migrator(t)
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	here := p.cfg.Database
	key := "(id CHAR(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci, CONSTRAINT theirs_fk FOREIGN KEY (id) REFERENCES `" + here + "`.`User` (id_user))"
	migrationstest.Exec(t, p.admin, "CREATE TABLE theirs "+key+"; CREATE TABLE "+other.cfg.Database+".afar "+key)
	t.Cleanup(func() { migrationstest.Exec(t, p.admin, "DROP TABLE IF EXISTS "+other.cfg.Database+".afar") }) // or the database cannot go
	before := p.schema(t)
	want := []string{"theirs_fk of " + here + ".theirs refers to User", "theirs_fk of " + other.cfg.Database + ".afar refers to User"}
	slices.Sort(want)
	for name, change := range map[string]func() ([]Step, error){
		"down 2": func() ([]Step, error) { return m.Down(t.Context(), 2) }, "down all": func() ([]Step, error) { return m.DownAll(t.Context()) },
		"goto 0": func() ([]Step, error) { return m.Goto(t.Context(), 0) },
	} {
		steps, err := change()
		e, ok := errors.AsType[*ReferencedError](err)
		if !ok || len(steps) > 0 || e.Database != here || !slices.Equal(e.References, want) {
			t.Errorf("%s: got %q, %v\nwant nothing done for %q", name, spelled(steps), err, want)
		}
	}
	same(t, "the schema", p.schema(t), before)
	if status, err := m.Status(t.Context()); err != nil || status.Dirty || status.Version != 2 {
		t.Errorf("got %+v, %v, want version 2, clean", status, err)
	}
	if steps, err := m.Down(t.Context(), 1); err != nil || spelled(steps) != "down 2" {
		t.Errorf("what drops no table: got %q, %v, want down 2", spelled(steps), err)
	}
	migrationstest.Exec(t, p.admin, "DROP TABLE theirs, "+other.cfg.Database+".afar")
	if steps, err := m.Down(t.Context(), 1); err != nil || spelled(steps) != "down 1" {
		t.Errorf("without their keys: got %q, %v, want down 1", spelled(steps), err)
	}
}

// An adopted database is referred to as well, and is not even adopted when it is to go.
func TestReferencedTablesOfAlembicStay(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	migrationstest.Exec(t, p.admin, alembic+"CREATE TABLE theirs (id CHAR(36), FOREIGN KEY (id) REFERENCES `Bank` (id_bank))")
	before := p.schema(t)
	if steps, err := p.migrator(t).DownAll(t.Context()); !errors.As(err, new(*ReferencedError)) || len(steps) > 0 {
		t.Errorf("got %q, %v, want it refused", spelled(steps), err)
	}
	same(t, "the schema", p.schema(t), before)
}
