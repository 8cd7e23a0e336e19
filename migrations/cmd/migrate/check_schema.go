package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/pharmavida/ingesta/migrations"
	"github.com/pharmavida/ingesta/migrations/check"
)

// checkSchema looks at Flowlite's database: is it reachable, at which version, are all tables and
// columns there.
func (t *tool) checkSchema() check.Check {
	var cfg migrations.Config
	return check.Check{Service: check.MySQL, Title: "Flowlite", Run: t.configured(&cfg, func(ctx context.Context) []check.Finding {
		var m *migrations.Migrator
		defer func() {
			if m != nil {
				m.Close()
			}
		}()
		var status migrations.Status
		return check.Walk(ctx,
			check.Step{Title: "Flowlite", Gate: true, Run: func(ctx context.Context) (outcome check.Outcome) {
				var err error
				if m, err = migrations.Open(ctx, cfg, slog.New(slog.DiscardHandler)); err != nil {
					return databaseFailure(err)
				}
				if status, err = m.Status(ctx); err != nil {
					return databaseFailure(err)
				}
				return check.OK(status.Address, "server "+status.ServerVersion)
			}},
			check.Step{Title: "schema version", Run: func(context.Context) check.Outcome { return judgeVersion(status) }},
			check.Step{Title: "tables and columns", Run: func(ctx context.Context) check.Outcome {
				if status.Busy || status.Version == 0 || status.Refusal != nil && !mismatch(status) {
					return check.Skip("not while the schema version is in doubt")
				}
				return judgeTables(ctx, m)
			}},
		)
	})}
}

func judgeVersion(s migrations.Status) check.Outcome {
	switch {
	case s.Busy:
		return check.Skip("another migrator is at work")
	case s.Refusal != nil && !mismatch(s): // what is missing, the look at the tables tells
		return refused(s.Refusal)
	case s.State == migrations.StateAlembic:
		return check.Fail(errors.New("made by Alembic, and not adopted yet"), "adopt it, with all its rows: migrate init, or migrate up")
	case s.Version == 0:
		return check.Fail(errors.New("no migration is applied"), "apply them: migrate init, or migrate up")
	case s.Pending > 0:
		return check.Fail(fmt.Errorf("version %d of %d", s.Version, s.Latest), "apply what is pending: migrate up")
	}
	detail := fmt.Sprintf("%d %s", s.Version, s.Name)
	if s.Adopted {
		detail += ", begun by Alembic"
	}
	return check.OK(detail)
}

// mismatch reports whether changes are refused only because tables or columns of the version are
// missing.
func mismatch(s migrations.Status) bool {
	_, ok := errors.AsType[*migrations.MismatchError](s.Refusal)
	return ok
}

// refused is the outcome where nothing may be changed before somebody has looked. The whole
// explanation takes several lines.
func refused(refusal error) check.Outcome {
	cause := refusal
	if e, ok := errors.AsType[*migrations.DirtyError](refusal); ok {
		cause = fmt.Errorf("dirty: migration %v stopped half-way", e.Migration)
	} else if e, ok := errors.AsType[*migrations.AdoptionError](refusal); ok {
		cause = errors.New("part of the schema is there: " + strings.Join(e.Problems, "; "))
	}
	return check.Fail(cause, "migrate status tells the ways out", strings.Split(refusal.Error(), "\n")...)
}

func judgeTables(ctx context.Context, m *migrations.Migrator) check.Outcome {
	problems, err := m.Verify(ctx)
	if err != nil {
		return databaseFailure(err)
	}
	if len(problems) > 0 {
		return check.Fail(errors.New(strings.Join(problems, "; ")), "restore a backup (make restore), or make by hand what is missing")
	}
	counts, err := m.RowCounts(ctx)
	if err != nil {
		return databaseFailure(err)
	}
	var lines []string
	for _, c := range counts {
		lines = append(lines, fmt.Sprintf("%-20s %8d rows", c.Table, c.Rows))
	}
	return check.OK(fmt.Sprintf("all are there, in %d tables", len(counts)), lines...)
}

// databaseFailure is the outcome of a failure of Flowlite's server. Where the server has given a
// reason, the message says what to do.
func databaseFailure(err error) check.Outcome {
	step := ""
	if migrations.Transient(err) {
		step = startIt("mysql")
	}
	return check.Fail(err, step)
}
