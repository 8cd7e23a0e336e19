package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-migrate/migrate/v4/database"

	"github.com/pharmavida/ingesta/migrations/migrationstest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestExclusive(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m, other := p.migrator(t), p.migrator(t)
	other.lockTimeout = 0
	mine := errors.New("mine")
	err := m.Exclusive(t.Context(), func(ctx context.Context) error {
		if _, err := m.Up(ctx); err != nil {
			t.Errorf("up within: %v", err)
		}
		if err := m.Exclusive(ctx, func(context.Context) error { return nil }); err != nil {
			t.Errorf("once more within: %v", err)
		}
		if status, err := m.Status(ctx); err != nil || status.Busy || status.Version != 2 {
			t.Errorf("status within: got %+v, %v, want version 2 and nobody else at work", status, err)
		}
		if status, err := other.Status(ctx); err != nil || !status.Busy {
			t.Errorf("another's status: got %+v, %v, want it busy", status, err)
		}
		_, err := other.Up(ctx)
		busy, ok := errors.AsType[*BusyError](err)
		if !ok || busy.Connection != m.session.id || busy.Database != p.cfg.Database {
			t.Errorf("another's up: got %v, want a *BusyError that names connection %d", err, m.session.id)
		}
		return mine
	})
	if !errors.Is(err, mine) || errors.Is(err, ErrLockLost) {
		t.Errorf("got %v, want the function's own error", err)
	}
	if err := other.Exclusive(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Errorf("the lock was not given back: %v", err)
	}
}

// A panic gives the lock back too.
func TestExclusivePanics(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	func() {
		defer func() { _ = recover() }()
		_ = m.Exclusive(t.Context(), func(context.Context) error { panic("mine") })
	}()
	m.lockTimeout = 0
	if _, err := m.Up(t.Context()); err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

// golang-migrate's command holds a lock of its own while it works, which is waited for too, and is
// kept out in turn.
func TestStandardCommandIsAtWork(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	theirs := p.standard(t)
	m.lockTimeout = 0
	if err := theirs.Lock(); err != nil {
		t.Fatal(err)
	}
	steps, err := m.Up(t.Context())
	if busy, ok := errors.AsType[*BusyError](err); !ok || busy.Connection == 0 || len(steps) > 0 {
		t.Errorf("got %q, %v, want nothing done and a *BusyError with the other's connection", spelled(steps), err)
	}
	if err := theirs.Unlock(); err != nil {
		t.Fatal(err)
	}
	err = m.Exclusive(t.Context(), func(ctx context.Context) error {
		if _, err := m.Up(ctx); err != nil {
			t.Errorf("once it has ended: %v", err)
		}
		id, err := database.GenerateAdvisoryLockId(p.cfg.Database + ":" + versionTable)
		if err != nil {
			return err
		}
		if holder := m.holder(ctx, id); holder != m.session.id {
			t.Errorf("golang-migrate's lock is held by %d, want by the session, %d, also after a change", holder, m.session.id)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Databases of one server do not wait for each other.
func TestLockIsOfOneDatabase(t *testing.T) {
	t.Parallel()
	one, two := newPlace(t).migrator(t), newPlace(t).migrator(t)
	two.lockTimeout = 0
	err := one.Exclusive(t.Context(), func(ctx context.Context) error {
		_, err := two.Up(ctx)
		return err
	})
	if err != nil {
		t.Errorf("the other database: %v", err)
	}
	names := map[string]bool{}
	for _, name := range []string{"a", strings.Repeat("a", 64), strings.Repeat("a", 63) + "b", strings.Repeat("ñ", 64)} {
		lock := (&Migrator{at: address{database: name}}).lockName()
		if len(lock) > 64 || names[lock] {
			t.Errorf("database %s has the lock %s, want one of its own within 64 bytes", name, lock)
		}
		names[lock] = true
	}
}

// The end of the time to wait does not hide what was waited for, nor whose time it was.
func TestDeadlineWhileWaiting(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	holder, waiting := p.migrator(t), p.migrator(t)
	err := holder.Exclusive(t.Context(), func(context.Context) error {
		mine := errors.New("my time is up")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, mine)
		defer cancel()
		_, err := waiting.Up(ctx)
		busy, ok := errors.AsType[*BusyError](err)
		if !ok || busy.Connection != holder.session.id || !errors.Is(err, mine) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want a *BusyError that names connection %d, and wraps the deadline with its cause", err, holder.session.id)
		}
		for _, want := range []string{"my time is up", fmt.Sprintf("KILL %d", holder.session.id)} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got %v\nwant in it %q", err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCancelledWhileWaiting(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	holder := p.migrator(t)
	var log lines
	waiting, err := open(t.Context(), p.cfg, log.logger(), embedded)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = waiting.Close() }()
	err = holder.Exclusive(t.Context(), func(context.Context) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := startUp(ctx, waiting)
		stacktest.Eventually(t, "it waits", func() bool { return strings.Contains(log.String(), "another migrator is at work") })
		cancel()
		select {
		case r := <-done:
			if !errors.Is(r.err, context.Canceled) {
				t.Errorf("got %v, want the cancellation", r.err)
			}
		case <-time.After(lockRound / 2):
			t.Error("a cancelled migrator goes on waiting for the lock")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// What works under the lock over other connections is told when the lock's connection ends.
func TestLockLost(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	m.watchEvery = 20 * time.Millisecond
	err := m.Exclusive(t.Context(), func(ctx context.Context) error {
		migrationstest.Exec(t, p.admin, fmt.Sprintf("KILL %d", m.session.id))
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
			t.Error("the context outlives the lock")
		}
		if !errors.Is(context.Cause(ctx), ErrLockLost) {
			t.Errorf("got the cause %v, want ErrLockLost", context.Cause(ctx))
		}
		if _, err := m.Up(ctx); !errors.Is(err, ErrLockLost) {
			t.Errorf("up without the lock: got %v, want ErrLockLost", err)
		}
		return nil
	})
	if !errors.Is(err, ErrLockLost) {
		t.Errorf("got %v, want ErrLockLost even though the function was content", err)
	}
	if len(p.rows(t, "SHOW TABLES")) > 0 {
		t.Error("something was changed without the lock")
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Errorf("with a new lock: %v", err)
	}
}

// A migration that gives all locks back gives this one back too.
func TestLockGivenAway(t *testing.T) {
	t.Parallel()
	m := newPlace(t).migrator(t)
	err := m.Exclusive(t.Context(), func(ctx context.Context) error {
		_, err := m.session.conn.ExecContext(ctx, "DO RELEASE_LOCK(?)", m.lockName())
		return err
	})
	if !errors.Is(err, ErrLockLost) {
		t.Errorf("got %v, want ErrLockLost", err)
	}
}

// Nothing of a session outlives it: the connection is closed, and not used for something else.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	name := p.cfg.Database + ".other"
	err := m.Exclusive(t.Context(), func(ctx context.Context) error {
		_, err := m.session.conn.ExecContext(ctx, "DO GET_LOCK(?, 0)", name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	stacktest.Eventually(t, "the session's other lock is free", func() bool {
		return p.rows(t, "SELECT IS_USED_LOCK('"+name+"') AS holder")[0]["HOLDER"] == "NULL"
	})
}

// Between two looks at the lock, a step cannot be taken without it either: it is taken over the
// lock's connection.
func TestNoStepWithoutTheLock(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	err := m.Exclusive(t.Context(), func(ctx context.Context) error {
		migrationstest.Exec(t, p.admin, fmt.Sprintf("KILL %d", m.session.id))
		steps, err := m.Up(ctx)
		if err == nil || len(steps) > 0 || !Transient(err) {
			t.Errorf("got %q, %v, want no step, and an error that passes", spelled(steps), err)
		}
		return err
	})
	if !errors.Is(err, ErrLockLost) {
		t.Errorf("got %v, want ErrLockLost", err)
	}
	if len(p.rows(t, "SHOW TABLES")) > 0 {
		t.Error("something was changed without the lock")
	}
}
