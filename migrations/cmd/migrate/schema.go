package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/migrations"
)

// schemaFolder is where the migrations are in a clone.
const schemaFolder = "migrations/sql"

// withMigrator connects, calls f and closes the connections.
func (t *tool) withMigrator(ctx context.Context, f func(*migrations.Migrator) error) error {
	var cfg migrations.Config
	if err := t.load(&cfg); err != nil {
		return err
	}
	log, err := t.logger()
	if err != nil {
		return err
	}
	m, err := migrations.Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer m.Close()
	return f(m)
}

func (t *tool) upCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Apply all pending migrations",
		Args:  unexpected(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withMigrator(cmd.Context(), func(m *migrations.Migrator) error {
				steps, err := m.Up(cmd.Context())
				return t.told(steps, err)
			})
		},
	}
}

func (t *tool) downCommand() *cobra.Command {
	all, yes := false, false
	cmd := &cobra.Command{
		Use:   "down [N]",
		Short: "Take back the last N migrations (1)",
		Long: "Takes back the last N migrations, one when no number is given. Tables that go take their rows with them:\n" +
			"it asks before it takes back the first migration where there are rows, and always with --all.",
		Args: unexpected(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := 1
			if len(args) == 1 {
				var err error
				if n, err = strconv.Atoi(args[0]); err != nil || n < 1 {
					return usageError{fmt.Errorf("%q is not a number of migrations: use 1 or more, or --all", args[0])}
				}
				if all {
					return usageError{errors.New("a number and --all contradict each other: give one of them")}
				}
			}
			return t.withMigrator(cmd.Context(), func(m *migrations.Migrator) error {
				if !all {
					if err := t.mayLoseRows(cmd.Context(), m, func(version uint) bool { return uint(n) >= version }, yes); err != nil {
						return err
					}
					steps, err := m.Down(cmd.Context(), n)
					return t.told(steps, err)
				}
				if !yes {
					status, err := m.Status(cmd.Context())
					if err != nil {
						return err
					}
					if err := t.confirm(cmd.Context(), dropping(status)); err != nil {
						return err
					}
				}
				steps, err := m.DownAll(cmd.Context())
				return t.told(steps, err)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "take back every migration: drops all tables, with their rows")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (t *tool) gotoCommand() *cobra.Command {
	yes := false
	cmd := &cobra.Command{
		Use:   "goto VERSION",
		Short: "Go up or down to a version",
		Long:  "Goes up or down to VERSION, 0 for none, which drops all tables: it asks where there are rows.",
		Args:  unexpected(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			version, err := versionArgument(args[0])
			if err != nil {
				return err
			}
			return t.withMigrator(cmd.Context(), func(m *migrations.Migrator) error {
				if err := t.mayLoseRows(cmd.Context(), m, func(uint) bool { return version == 0 }, yes); err != nil {
					return err
				}
				steps, err := m.Goto(cmd.Context(), version)
				return t.told(steps, err)
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// mayLoseRows asks before a step that drops the tables, which toNone tells by the version that the
// database is at, takes rows with it.
func (t *tool) mayLoseRows(ctx context.Context, m *migrations.Migrator, toNone func(version uint) bool, yes bool) error {
	if yes {
		return nil
	}
	status, err := m.Status(ctx)
	if err != nil {
		return err
	}
	if status.Refusal != nil {
		return status.Refusal
	}
	version := status.Version
	if status.State == migrations.StateAlembic {
		version = 1 // it is adopted first
	}
	if version == 0 || !toNone(version) {
		return nil
	}
	counts, err := m.RowCounts(ctx)
	if err != nil {
		return err
	}
	for _, c := range counts {
		if c.Rows > 0 {
			return t.confirm(ctx, dropping(status))
		}
	}
	return nil
}

// dropping is the warning before all tables go.
func dropping(status migrations.Status) string {
	return "This drops every table of the schema in " + status.Address + ", with all rows."
}

func (t *tool) forceCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "force VERSION",
		Short: "Say which version the database is at, after mending it by hand",
		Long: "Records that the database is at VERSION (0: at none), and clean, and changes nothing else.\n" +
			"It ends the state \"dirty\", in which a migration that stopped half-way leaves a database.",
		Args: unexpected(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			version, err := versionArgument(args[0])
			if err != nil {
				return err
			}
			return t.withMigrator(cmd.Context(), func(m *migrations.Migrator) error {
				if err := m.Force(cmd.Context(), version); err != nil {
					return err
				}
				return t.printStatus(cmd.Context(), m)
			})
		},
	}
}

func (t *tool) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show which version the database is at",
		Args:  unexpected(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withMigrator(cmd.Context(), func(m *migrations.Migrator) error {
				return t.printStatus(cmd.Context(), m)
			})
		},
	}
}

func (t *tool) historyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "history",
		Short: "List all migrations, applied and pending, with times",
		Args:  unexpected(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withMigrator(cmd.Context(), func(m *migrations.Migrator) error {
				entries, err := m.History(cmd.Context())
				if err != nil {
					return err
				}
				table := tabwriter.NewWriter(t.process.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(table, "VERSION\tNAME\tSTATE\tSINCE (UTC)\tTOOK")
				for _, e := range entries {
					fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", e.Version, e.Name, entryState(e), since(e), took(e))
				}
				return table.Flush()
			})
		},
	}
}

func (t *tool) createCommand() *cobra.Command {
	folder := schemaFolder
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Write the next numbered pair of empty migration files",
		Long: "Writes the next numbered pair of migration files, NAME in their names, for you to fill. They become\n" +
			"part of the program when it is built again.",
		Args: unexpected(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			up, down, err := migrations.Create(folder, args[0])
			if err != nil {
				return err
			}
			t.say("%s\n%s", up, down)
			return nil
		},
	}
	cmd.Flags().StringVar(&folder, "dir", folder, "the folder of the migrations")
	return cmd
}

// told prints the steps that were taken, also when a later one failed.
func (t *tool) told(steps []migrations.Step, err error) error {
	for _, s := range steps {
		t.say("%-6s %d %s (%v)", s.Action, s.Version, s.Name, s.Duration.Round(time.Millisecond))
	}
	if err == nil && len(steps) == 0 {
		t.say("nothing to do")
	}
	return err
}

// printStatus prints where the database stands. A database that needs a hand is an error.
func (t *tool) printStatus(ctx context.Context, m *migrations.Migrator) error {
	s, err := m.Status(ctx)
	if err != nil {
		return err
	}
	t.say("database  %s (%s)", s.Address, s.ServerVersion)
	switch {
	case s.Version == 0:
		t.say("version   none (%s)", s.State)
	case s.Dirty:
		t.say("version   %d %s (dirty)", s.Version, s.Name)
	case s.Adopted:
		t.say("version   %d %s (adopted from Alembic)", s.Version, s.Name)
	default:
		t.say("version   %d %s", s.Version, s.Name)
	}
	switch {
	case s.Busy:
		t.say("state     another migrator is at work")
	case s.Refusal != nil:
		return s.Refusal
	case s.Pending == 0:
		t.say("state     up to date")
	default:
		t.say("state     %d pending (migrate up)", s.Pending)
	}
	return nil
}

// versionArgument reads a version, 0 for none.
func versionArgument(text string) (uint, error) {
	version, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, usageError{fmt.Errorf("%q is not a version: see migrate history, or 0 for none", text)}
	}
	return uint(version), nil
}

func entryState(e migrations.Entry) string {
	switch {
	case e.Dirty:
		return "dirty"
	case e.Adopted:
		return "adopted"
	case e.Applied:
		return "applied"
	default:
		return "pending"
	}
}

func since(e migrations.Entry) string {
	switch {
	case !e.Applied:
		return "-"
	case e.AppliedAt.IsZero():
		return "unknown"
	default:
		return e.AppliedAt.UTC().Format(time.DateTime)
	}
}

func took(e migrations.Entry) string {
	if e.Duration == 0 {
		return "-"
	}
	return e.Duration.Round(time.Millisecond).String()
}
