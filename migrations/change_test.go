package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/source/iofs"

	"github.com/pharmavida/ingesta/migrations/migrationstest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// Every down takes back exactly what its up made, and every up makes it again.
func TestUpDownUp(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	latest := uint(len(m.known))
	without := func() string { return p.schema(t, bookkeeping...) }

	at := []string{without()} // the schema at each version
	for version := uint(1); version <= latest; version++ {
		steps, err := m.Goto(t.Context(), version)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := spelled(steps), fmt.Sprintf("up %d", version); got != want {
			t.Errorf("going to %d took the steps %q, want %q", version, got, want)
		}
		at = append(at, without())
		if at[version] == at[version-1] {
			t.Errorf("migration %d changed nothing", version)
		}
		if problems, err := m.Verify(t.Context()); err != nil || len(problems) > 0 {
			t.Errorf("at version %d: got the problems %q, %v, want none", version, problems, err)
		}
	}
	whole := p.schema(t)
	for version := latest; version > 0; version-- {
		steps, err := m.Down(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := spelled(steps), fmt.Sprintf("down %d", version); got != want {
			t.Errorf("down took the steps %q, want %q", got, want)
		}
		same(t, fmt.Sprintf("the schema after the down of migration %d", version), without(), at[version-1])
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, "the schema after up, down and up", p.schema(t), whole)

	if steps, err := m.DownAll(t.Context()); err != nil || len(steps) != int(latest) {
		t.Errorf("down of all: got %q, %v, want a step for each migration", spelled(steps), err)
	}
	same(t, "the schema after the down of all", without(), at[0])
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, "the schema after up, down of all and up", p.schema(t), whole)
}

func TestNothingToDo(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	empty := p.schema(t)
	for name, change := range map[string]func(context.Context) ([]Step, error){
		"down":      func(ctx context.Context) ([]Step, error) { return m.Down(ctx, 3) },
		"down all":  m.DownAll,
		"goto none": func(ctx context.Context) ([]Step, error) { return m.Goto(ctx, 0) },
	} {
		if steps, err := change(t.Context()); err != nil || len(steps) > 0 {
			t.Errorf("%s of an empty database: got %q, %v, want nothing done", name, spelled(steps), err)
		}
	}
	same(t, "the empty database", p.schema(t), empty)

	if steps, err := m.Up(t.Context()); err != nil || spelled(steps) != "up 1, up 2" {
		t.Errorf("first up: got %q, %v, want up 1, up 2", spelled(steps), err)
	}
	if steps, err := m.Up(t.Context()); err != nil || len(steps) > 0 {
		t.Errorf("second up: got %q, %v, want nothing done", spelled(steps), err)
	}
	if steps, err := m.Down(t.Context(), 100); err != nil || spelled(steps) != "down 2, down 1" {
		t.Errorf("down of more than there are: got %q, %v, want down 2, down 1", spelled(steps), err)
	}
	if _, err := m.Down(t.Context(), 0); err == nil {
		t.Error("down of no migration was accepted")
	}
	for name, err := range map[string]error{
		"goto": func() error { _, err := m.Goto(t.Context(), 99); return err }(), "force": m.Force(t.Context(), 99),
	} {
		if err == nil || !strings.Contains(err.Error(), "there is no migration 99") {
			t.Errorf("%s 99: got %v, want it refused", name, err)
		}
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Down(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	entries, err := m.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 || !entries[0].Applied || entries[0].Name != "initial_schema" || entries[1].Applied || entries[1].Name != "lookup_indexes" {
		t.Fatalf("got %+v, want 1 applied and 2 pending", entries)
	}
	if age := time.Since(entries[0].AppliedAt); age < 0 || age > time.Minute || entries[0].AppliedAt.Location() != time.UTC || entries[0].Duration <= 0 {
		t.Errorf("migration 1 was applied at %v within %v, want just now, in UTC, with its duration", entries[0].AppliedAt, entries[0].Duration)
	}
	if !entries[1].AppliedAt.IsZero() || entries[1].Duration != 0 {
		t.Errorf("migration 2 was applied at %v within %v, want neither for one that is pending", entries[1].AppliedAt, entries[1].Duration)
	}
	if err := m.Force(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	entries, err = m.History(t.Context())
	if err != nil || !entries[1].Applied || !entries[1].AppliedAt.IsZero() {
		t.Errorf("got %+v, %v, want 2 applied since nobody knows when", entries[1], err)
	}
	if got, want := p.log(t), "up 1, up 2, down 2, force 2"; got != want {
		t.Errorf("schema_history holds %q, want every step: %q", got, want)
	}
}

// What stands in the server's clock, or in the session's, does not matter for the history.
func TestHistoryIsInUTC(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	if _, err := m.Goto(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	rows := p.rows(t, "SELECT ABS(TIMESTAMPDIFF(SECOND, at, UTC_TIMESTAMP())) AS age FROM schema_history")
	if len(rows) != 1 || len(rows[0]["AGE"]) > 2 {
		t.Errorf("got %v, want one step, some seconds ago by the server's UTC", rows)
	}
}

// The migrator dies between a step and its line in the history.
func TestStepWithoutHistory(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	migrationstest.Exec(t, p.admin, "DELETE FROM schema_history WHERE version = 2")
	status, err := m.Status(t.Context())
	if err != nil || status.Version != 2 || status.Refusal != nil || status.Pending != 0 {
		t.Errorf("got %+v, %v, want version 2, clean", status, err)
	}
	entries, err := m.History(t.Context())
	if err != nil || !entries[1].Applied || !entries[1].AppliedAt.IsZero() {
		t.Errorf("got %+v, %v, want 2 applied at an unknown time", entries, err)
	}
	if steps, err := m.Up(t.Context()); err != nil || len(steps) > 0 {
		t.Errorf("got %q, %v, want nothing to do", spelled(steps), err)
	}
}

func TestTwoMigratorsAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var running []<-chan result
	for range 4 {
		running = append(running, startUp(t.Context(), p.migrator(t)))
	}
	taken := 0
	for _, done := range running {
		r := <-done
		if r.err != nil {
			t.Errorf("a migrator failed: %v", r.err)
		}
		taken += len(r.steps)
	}
	if taken != 2 {
		t.Errorf("the migrators took %d steps together, want 2: one did everything, and the others nothing", taken)
	}
	if got, want := p.log(t), "up 1, up 2"; got != want {
		t.Errorf("schema_history holds %q, want each step once: %q", got, want)
	}
}

func TestCancelStopsBetweenSteps(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	g := p.closeGate(t)
	m := p.migratorOf(t, script(
		"CREATE TABLE one (id INT)", "DROP TABLE one",
		"CREATE TABLE two (id INT); "+g.pass()+"; CREATE TABLE rest_of_two (id INT)", "DROP TABLE two, rest_of_two",
		"CREATE TABLE three (id INT)", "DROP TABLE three",
	))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := startUp(ctx, m)
	stacktest.Eventually(t, "migration 2 waits at the gate", func() bool { return len(p.running(t, ".gate")) == 1 })
	cancel()
	g.open(t)
	r := <-done
	if !errors.Is(r.err, context.Canceled) || spelled(r.steps) != "up 1, up 2" {
		t.Errorf("got %q, %v, want step 2 completed, no step 3, and the cancellation told", spelled(r.steps), r.err)
	}
	status, err := m.Status(t.Context())
	if err != nil || status.Version != 2 || status.Dirty || status.Pending != 1 {
		t.Errorf("got %+v, %v, want version 2, clean, one pending", status, err)
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Errorf("going on: %v", err)
	}
	if got, want := p.log(t), "up 1, up 2, up 3"; got != want {
		t.Errorf("schema_history holds %q, want %q", got, want)
	}
}

// golang-migrate by itself, as its command uses it, goes on where the migrator stopped, and the
// other way round.
func TestStandardMigrate(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := iofs.New(embedded, folder)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := migrate.NewWithInstance("files", files, "mysql", p.standard(t))
	if err != nil {
		t.Fatal(err)
	}
	if version, dirty, err := theirs.Version(); err != nil || version != 2 || dirty {
		t.Errorf("golang-migrate reads version %d, dirty %t, %v, want 2, clean", version, dirty, err)
	}
	if err := theirs.Steps(-1); err != nil {
		t.Errorf("golang-migrate goes down: %v", err)
	}
	if status, err := m.Status(t.Context()); err != nil || status.Version != 1 || status.State != StateManaged {
		t.Errorf("got %+v, %v, want the version that golang-migrate left", status, err)
	}
	if err := theirs.Down(); err != nil {
		t.Errorf("golang-migrate goes all the way down: %v", err)
	}
	if err := theirs.Steps(1); err != nil {
		t.Errorf("golang-migrate goes up: %v", err)
	}
	if steps, err := m.Up(t.Context()); err != nil || spelled(steps) != "up 2" {
		t.Errorf("got %q, %v, want up 2", spelled(steps), err)
	}
}

// A database that golang-migrate's command made has no history of ours.
func TestDatabaseOfTheStandardCommand(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	if _, err := m.Goto(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	migrationstest.Exec(t, p.admin, "DROP TABLE schema_history")
	if entries, err := m.History(t.Context()); err != nil || !entries[0].Applied || !entries[0].AppliedAt.IsZero() {
		t.Errorf("got %+v, %v, want 1 applied at an unknown time", entries, err)
	}
	if steps, err := m.Up(t.Context()); err != nil || spelled(steps) != "up 2" || p.log(t) != "up 2" {
		t.Errorf("got %q, %v, want up 2, and it alone in the history", spelled(steps), err)
	}
}

func TestNewerDatabase(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	migrationstest.Exec(t, p.admin, "UPDATE schema_migrations SET version = 7")
	_, err := m.Up(t.Context())
	if newer, ok := errors.AsType[*UnknownVersionError](err); !ok || newer.Version != 7 || newer.Latest != 2 {
		t.Errorf("got %v, want version 7 refused by a program that knows 2", err)
	}
	if status, err := m.Status(t.Context()); err != nil || status.Version != 7 || status.Pending != 0 || status.Refusal == nil {
		t.Errorf("got %+v, %v, want version 7 and why it is refused", status, err)
	}
	if problems, err := m.Verify(t.Context()); err != nil || len(problems) != 1 {
		t.Errorf("got %q, %v, want that the version is not known", problems, err)
	}
}
