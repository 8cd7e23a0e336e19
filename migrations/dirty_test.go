package migrations

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/migrations/migrationstest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestDirtyIsExplained(t *testing.T) {
	t.Parallel()
	good := []string{"CREATE TABLE one (id INT)", "DROP TABLE one", "CREATE TABLE two (id INT)", "DROP TABLE two"}
	const bad = "CREATE TABLE half (id INT); CREATE TABLE one (again INT); CREATE TABLE never (id INT)"
	tests := []struct {
		name    string
		texts   []string
		before  func(*Migrator) ([]Step, error)
		change  func(*Migrator) ([]Step, error)
		version uint
		action  Action
		of      Migration
		want    []string
	}{
		{
			"first up", []string{"CREATE TABLE half (id INT); BREAK", "DROP TABLE half"}, nil,
			func(m *Migrator) ([]Step, error) { return m.Up(context.Background()) },
			1, ActionUp, Migration{1, "step"}, []string{"000001_step", "while it was applied", "force 1", "force 0"},
		},
		{
			"up", append(good[:2:2], bad, "DROP TABLE half"), nil,
			func(m *Migrator) ([]Step, error) { return m.Up(context.Background()) },
			2, ActionUp, Migration{2, "step"}, []string{"000002_step", "while it was applied", "'one' already exists", "force 2", "force 1", "restore a backup", "no transactions for DDL"},
		},
		{
			"up in the middle", []string{good[0], good[1], bad, "DROP TABLE half", good[2], good[3]}, nil,
			func(m *Migrator) ([]Step, error) { return m.Up(context.Background()) },
			2, ActionUp, Migration{2, "step"}, []string{"000002_step", "force 2", "force 1"},
		},
		{
			"down", append(good[:3:3], bad),
			func(m *Migrator) ([]Step, error) { return m.Up(context.Background()) },
			func(m *Migrator) ([]Step, error) { return m.Down(context.Background(), 2) },
			1, ActionDown, Migration{2, "step"}, []string{"000002_step", "while it was taken back", "force 2", "force 1"},
		},
		{
			"last down", []string{good[0], bad},
			func(m *Migrator) ([]Step, error) { return m.Up(context.Background()) },
			func(m *Migrator) ([]Step, error) { return m.DownAll(context.Background()) },
			0, ActionDown, Migration{1, "step"}, []string{"000001_step", "while it was taken back", "force 1", "force 0"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			m := p.migratorOf(t, script(tt.texts...))
			if tt.before != nil {
				if _, err := tt.before(m); err != nil {
					t.Fatal(err)
				}
			}
			_, err := tt.change(m)
			failed, ok := errors.AsType[*DirtyError](err)
			if !ok || failed.Cause == nil {
				t.Fatalf("got %v, want a *DirtyError with its cause", err)
			}
			_, err = m.Up(t.Context())
			again, ok := errors.AsType[*DirtyError](err)
			if !ok || again.Cause != nil {
				t.Fatalf("the next run: got %v, want a *DirtyError without a cause", err)
			}
			for _, e := range []*DirtyError{failed, again} {
				if e.Version != tt.version || e.Action != tt.action || e.Migration != tt.of || e.Database != p.cfg.Database {
					t.Errorf("got %+v, want version %d, %s of %v", e, tt.version, tt.action, tt.of)
				}
			}
			for _, want := range tt.want {
				if !strings.Contains(failed.Error(), want) {
					t.Errorf("got %v\nwant in it %q", failed, want)
				}
			}
			if strings.Contains(failed.Error(), "CREATE TABLE never") {
				t.Errorf("got %v\nwant it without the whole migration", failed)
			}
			for name, change := range map[string]func() ([]Step, error){
				"down": func() ([]Step, error) { return m.Down(t.Context(), 1) }, "goto": func() ([]Step, error) { return m.Goto(t.Context(), 0) },
			} {
				if _, err := change(); !errors.As(err, new(*DirtyError)) {
					t.Errorf("%s: got %v, want it refused too", name, err)
				}
			}
			status, err := m.Status(t.Context())
			if err != nil || !status.Dirty || status.Version != tt.version || !errors.As(status.Refusal, new(*DirtyError)) {
				t.Errorf("got %+v, %v, want a dirty version %d, explained", status, err, tt.version)
			}
			entries, err := m.History(t.Context())
			if err != nil || !entries[tt.of.Version-1].Dirty || entries[tt.of.Version-1].Applied {
				t.Errorf("got %+v, %v, want migration %d neither applied nor pending", entries, err, tt.of.Version)
			}
			if problems, err := m.Verify(t.Context()); err != nil || len(problems) == 0 || !strings.Contains(problems[0], "dirty") {
				t.Errorf("verify: got %q, %v, want to hear that it is dirty", problems, err)
			}
		})
	}
}

// A step does not wait for ever for a table that a transaction holds which somebody left open.
func TestTableHeldByOthers(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	migrationstest.Exec(t, p.admin, "CREATE TABLE one (id INT)")
	held, err := p.admin.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Rollback() }()
	if _, err := held.ExecContext(t.Context(), "INSERT INTO one VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	m := p.migratorOf(t, script("ALTER TABLE one ADD COLUMN more INT", "ALTER TABLE one DROP COLUMN more"))
	m.tableTimeout = time.Second
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case r := <-startUp(ctx, m):
		if !errors.As(r.err, new(*DirtyError)) || Transient(r.err) {
			t.Errorf("got %v, want the step to have stopped", r.err)
		}
		for _, want := range []string{"other sessions hold a table", "error 1205", "SHOW FULL PROCESSLIST", "KILL <id>", "force 0"} {
			if r.err == nil || !strings.Contains(r.err.Error(), want) {
				t.Errorf("got %v\nwant in it %q", r.err, want)
			}
		}
	case <-ctx.Done():
		t.Fatal("the step waits on, want it to have given up after a second")
	}
	if got := p.migrator(t); got.tableTimeout != 5*time.Minute {
		t.Errorf("a step waits for %v by default, want as long as the package comment says", got.tableTimeout)
	}
}

// That the context ended meanwhile does not hide how the step failed.
func TestFailureAfterCancel(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	g := p.closeGate(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := startUp(ctx, p.migratorOf(t, script("CREATE TABLE one (id INT); "+g.pass()+"; BREAK", "DROP TABLE one")))
	stacktest.Eventually(t, "migration 1 waits at the gate", func() bool { return len(p.running(t, ".gate")) == 1 })
	cancel()
	g.open(t)
	if r := <-done; !errors.As(r.err, new(*DirtyError)) || !strings.Contains(r.err.Error(), "BREAK") {
		t.Errorf("got %v, want a *DirtyError with what the server said", r.err)
	}
}

// The way out that the error tells works.
func TestWayOutOfDirty(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migratorOf(t, script("CREATE TABLE one (id INT)", "DROP TABLE one", "CREATE TABLE two (id INT); BREAK", "DROP TABLE two"))
	if _, err := m.Up(t.Context()); !errors.As(err, new(*DirtyError)) {
		t.Fatalf("got %v, want a *DirtyError", err)
	}
	migrationstest.Exec(t, p.admin, "DROP TABLE two")
	if err := m.Force(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	mended := p.migratorOf(t, script("CREATE TABLE one (id INT)", "DROP TABLE one", "CREATE TABLE two (id INT)", "DROP TABLE two"))
	if steps, err := mended.Up(t.Context()); err != nil || spelled(steps) != "up 2" {
		t.Errorf("got %q, %v, want up 2", spelled(steps), err)
	}
	if got, want := p.log(t), "up 1, force 1, up 2"; got != want {
		t.Errorf("schema_history holds %q, want %q", got, want)
	}
}

// That a version was forced upon half of the first migration does not let anything go on from there.
func TestForcedUponHalf(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	migrationstest.Exec(t, p.admin, "CREATE TABLE `User` (id_user CHAR(36) PRIMARY KEY); CREATE TABLE `Bank` (id_bank CHAR(36))")
	m := p.migrator(t)
	if err := m.Force(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	before := p.schema(t)
	if steps, err := m.Up(t.Context()); !errors.As(err, new(*MismatchError)) || len(steps) > 0 {
		t.Errorf("up: got %q, %v, want it refused", spelled(steps), err)
	}
	if steps, err := m.Down(t.Context(), 1); !errors.As(err, new(*MismatchError)) || len(steps) > 0 {
		t.Errorf("down: got %q, %v, want it refused", spelled(steps), err)
	}
	same(t, "the schema", p.schema(t), before)
	migrationstest.Exec(t, p.admin, "DROP TABLE `User`, `Bank`")
	if err := m.Force(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if steps, err := m.Up(t.Context()); err != nil || spelled(steps) != "up 1, up 2" {
		t.Errorf("cleared away, and forced to none: got %q, %v, want up 1, up 2", spelled(steps), err)
	}
}

// The history cannot tell what golang-migrate's own command was about.
func TestDirtyWithoutHistory(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	migrationstest.Exec(t, p.admin, "CREATE TABLE schema_migrations (version bigint not null primary key, dirty boolean not null); INSERT INTO schema_migrations VALUES (1, 1)")
	_, err := p.migrator(t).Up(t.Context())
	if e, ok := errors.AsType[*DirtyError](err); !ok || e.Action != "" || e.Migration.Version != 1 || !strings.Contains(err.Error(), "or the one after it while it was taken back") {
		t.Errorf("got %v, want both that it may have been", err)
	}
}

// A connection that is killed within a step takes the lock along with the step: the other migrator
// comes to the lock, and finds the database dirty instead of going on.
func TestKilledWithinAStep(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	g := p.closeGate(t)
	files := script(
		"CREATE TABLE one (id INT)", "DROP TABLE one",
		"CREATE TABLE two (id INT); "+g.pass()+"; CREATE TABLE never (id INT)", "DROP TABLE two",
	)
	first := startUp(t.Context(), p.migratorOf(t, files))
	stacktest.Eventually(t, "migration 2 waits at the gate", func() bool { return len(p.running(t, ".gate")) == 1 })

	var log lines
	waiting, err := open(t.Context(), p.cfg, log.logger(), files)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = waiting.Close() }()
	second := startUp(t.Context(), waiting)
	stacktest.Eventually(t, "the second migrator tells that it waits", func() bool { return strings.Contains(log.String(), "another migrator is at work") })
	if status, err := waiting.Status(t.Context()); err != nil || !status.Busy || !status.Dirty || status.Refusal != nil {
		t.Errorf("in the middle of a step: got %+v, %v, want busy, and nobody alarmed", status, err)
	}

	migrationstest.Exec(t, p.admin, "KILL "+p.running(t, ".gate")[0])
	one, two := <-first, <-second
	if e, ok := errors.AsType[*DirtyError](one.err); !ok || e.Cause == nil || e.Migration.Version != 2 || spelled(one.steps) != "up 1" {
		t.Errorf("the killed migrator: got %q, %v, want up 1, and migration 2 dirty", spelled(one.steps), one.err)
	}
	if Transient(one.err) {
		t.Error("the killed migrator's error claims to pass by itself")
	}
	if e, ok := errors.AsType[*DirtyError](two.err); !ok || e.Migration.Version != 2 || len(two.steps) > 0 {
		t.Errorf("the other migrator: got %q, %v, want nothing done, and migration 2 dirty", spelled(two.steps), two.err)
	}
	if len(p.rows(t, "SHOW TABLES LIKE 'never'")) > 0 {
		t.Error("the killed migration went on")
	}
	if status, err := waiting.Status(t.Context()); err != nil || status.Busy || status.Refusal == nil {
		t.Errorf("at the end: got %+v, %v, want nobody at work, and dirty", status, err)
	}
}
