package migrations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/golang-migrate/migrate/v4/database/mysql"
	"github.com/golang-migrate/migrate/v4/source/iofs"
)

// recordTimeout bounds writing a step down once it is taken, whatever has become of its context.
const recordTimeout = 10 * time.Second

// Up applies all pending migrations, one after the other. It returns the steps that were taken,
// also beside an error; none when there was nothing to do.
//
// It fails with a *BusyError, *AdoptionError, *MismatchError, *DirtyError, *UnknownVersionError or
// *ForeignTableError as the package comment says, and with a *ServerError when the server cannot be used. Down, DownAll and Goto do
// the same.
func (m *Migrator) Up(ctx context.Context) ([]Step, error) {
	return m.change(ctx, func(uint) uint { return uint(len(m.known)) })
}

// Down takes back the last n applied migrations, or all when there are fewer: see DownAll. What
// Alembic made is adopted first, and then taken back like everything else. While a foreign key of
// another table refers to a table that would go, it fails with a *ReferencedError before the first
// step; DownAll and Goto do the same.
func (m *Migrator) Down(ctx context.Context, n int) ([]Step, error) {
	if n < 1 {
		return nil, fmt.Errorf("taking back migrations: %d is no number of migrations", n)
	}
	return m.change(ctx, func(current uint) uint { return current - min(uint(n), current) })
}

// DownAll takes back every migration. Nothing of the schema and its rows is left; of the tables,
// only schema_migrations, empty, and schema_history stay.
func (m *Migrator) DownAll(ctx context.Context) ([]Step, error) {
	return m.change(ctx, func(uint) uint { return 0 })
}

// Goto goes up or down to a version, 0 for none.
func (m *Migrator) Goto(ctx context.Context, version uint) ([]Step, error) {
	if err := m.exists(version); err != nil {
		return nil, err
	}
	return m.change(ctx, func(uint) uint { return version })
}

// Force records that the database is at a version, 0 for none, and not dirty. Nothing else is
// changed, and nothing of the schema compared. It fails with a *ForeignTableError where the version
// or the history would be written into a table of another program.
func (m *Migrator) Force(ctx context.Context, version uint) error {
	if err := m.exists(version); err != nil {
		return err
	}
	return m.Exclusive(ctx, func(ctx context.Context) error {
		started := time.Now()
		found, err := m.survey(ctx)
		if err != nil {
			return err
		}
		if len(found.foreign) > 0 {
			return found.foreign[0]
		}
		if err := m.prepare(ctx); err != nil {
			return err
		}
		if err := m.session.driver.SetVersion(recorded(version), false); err != nil {
			return m.explain(ctx, "recording the version", err)
		}
		m.log.Warn("the version was set by hand", "version", version)
		return m.record(ctx, Step{Action: ActionForce, Version: version, Name: m.name(version), Duration: time.Since(started)}, nil)
	})
}

// exists refuses a version that there is no migration for.
func (m *Migrator) exists(version uint) error {
	if version > uint(len(m.known)) {
		return fmt.Errorf("there is no migration %d: the newest is %d", version, len(m.known))
	}
	return nil
}

// name returns the name of the migration of the version, "" for none.
func (m *Migrator) name(version uint) string {
	if version < 1 || version > uint(len(m.known)) {
		return ""
	}
	return m.known[version-1].Name
}

// change goes, step by step, to the version that target chooses when it is told the current one.
func (m *Migrator) change(ctx context.Context, target func(current uint) uint) (steps []Step, err error) {
	err = m.Exclusive(ctx, func(ctx context.Context) error {
		found, err := m.survey(ctx)
		if err != nil {
			return err
		}
		if err := m.refusal(found); err != nil {
			return err
		}
		current := found.version
		state, _ := found.state()
		if state == StateAlembic {
			current = 1
		}
		end := target(current)
		if err := m.unreferenced(ctx, found, current, end); err != nil {
			return err
		}
		if state == StateAlembic {
			if err := m.adopt(ctx, &steps); err != nil {
				return err
			}
		}
		for current != end {
			if ctx.Err() != nil {
				return fmt.Errorf("stopping at version %d: %w", current, context.Cause(ctx))
			}
			step := Step{Action: ActionUp, Version: current + 1}
			if end < current {
				step = Step{Action: ActionDown, Version: current}
			}
			step.Name = m.name(step.Version)
			if err := m.take(ctx, step, &steps); err != nil {
				return err
			}
			current = step.after()
		}
		return nil
	})
	return steps, err
}

// adopt records that migration 1 is what Alembic has made.
func (m *Migrator) adopt(ctx context.Context, steps *[]Step) error {
	started := time.Now()
	if err := m.prepare(ctx); err != nil {
		return err
	}
	if err := m.session.driver.SetVersion(recorded(1), false); err != nil {
		return m.explain(ctx, "adopting what Alembic made", err)
	}
	m.log.Info("adopted the database that Alembic made", "version", 1)
	return m.record(ctx, Step{Action: ActionAdopt, Version: 1, Name: m.name(1), Duration: time.Since(started)}, steps)
}

// take takes one step. It is not interrupted by the end of ctx.
func (m *Migrator) take(ctx context.Context, step Step, steps *[]Step) error {
	if err := m.prepare(ctx); err != nil {
		return err
	}
	log := m.log.With("version", step.Version, "name", step.Name, "action", string(step.Action))
	log.Info("taking a step")
	started := time.Now()
	if err := m.session.run(step); err != nil {
		return m.stopped(ctx, step, err)
	}
	step.Duration = time.Since(started)
	log.Info("the step is taken", "duration", step.Duration.Round(time.Millisecond).String())
	return m.record(ctx, step, steps)
}

// prepare makes the tables of golang-migrate and of the history where they are missing, and
// readies the session to take steps.
func (m *Migrator) prepare(ctx context.Context) error {
	if m.session.driver != nil {
		return nil
	}
	driver, err := mysql.WithConnection(ctx, m.session.conn, &mysql.Config{
		DatabaseName: m.at.database, MigrationsTable: versionTable,
		NoLock: true, // the session holds its lock already
	})
	if err != nil {
		return m.explain(ctx, "preparing "+versionTable, err)
	}
	if err := makeHistory(ctx, m.session.conn); err != nil {
		return m.explain(ctx, "preparing "+historyTable, err)
	}
	files, err := iofs.New(m.files, folder)
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	m.session.driver, m.session.files = driver, files
	return nil
}

// run takes a step in the same order as golang-migrate's command: the version it leads to stands
// in schema_migrations as dirty, from before its first statement until after its last.
func (s *session) run(step Step) error {
	open := s.files.ReadUp
	if step.Action == ActionDown {
		open = s.files.ReadDown
	}
	statements, _, err := open(step.Version)
	if err != nil {
		return err
	}
	defer statements.Close()
	if err := s.driver.SetVersion(recorded(step.after()), true); err != nil {
		return err
	}
	if err := s.driver.Run(statements); err != nil {
		return err
	}
	return s.driver.SetVersion(recorded(step.after()), false)
}

// recorded is a version as golang-migrate has it.
func recorded(version uint) int {
	if version == 0 {
		return database.NilVersion
	}
	return int(version)
}

// record adds a step that was taken to the history, and to steps unless that is nil.
func (m *Migrator) record(ctx context.Context, step Step, steps *[]Step) error {
	step.At, step.Duration = time.Now().UTC().Truncate(time.Millisecond), step.Duration.Truncate(time.Millisecond)
	if steps != nil {
		*steps = append(*steps, step)
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), recordTimeout, errors.New("adding to the history timed out"))
	defer cancel()
	if err := addHistory(ctx, m.session.conn, step); err != nil {
		return m.explain(ctx, fmt.Sprintf("adding to %s that the step was taken (%s of migration %d, which is complete)", historyTable, step.Action, step.Version), err)
	}
	return nil
}

// stopped says how a step failed: with the database left dirty, or before it began.
func (m *Migrator) stopped(ctx context.Context, step Step, failure error) error {
	ctx = context.WithoutCancel(ctx)
	doing := "applying migration " + Migration{step.Version, step.Name}.String()
	if step.Action == ActionDown {
		doing = "taking back migration " + Migration{step.Version, step.Name}.String()
	}
	explained := m.explain(ctx, doing, failure)
	found, err := m.survey(ctx)
	if err != nil {
		return fmt.Errorf("%w; whether it stopped half-way cannot be asked now (%w): look at the status once the server answers", explained, err)
	}
	if !found.dirty {
		return explained
	}
	e := dirty(found, m.known)
	e.Migration, e.Action, e.Cause = Migration{step.Version, step.Name}, step.Action, explained
	return e
}
