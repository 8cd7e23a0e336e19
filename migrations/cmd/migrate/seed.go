package main

import (
	"cmp"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/migrations"
	"github.com/pharmavida/ingesta/migrations/seeds"
	"github.com/pharmavida/ingesta/shared/config"
)

func (t *tool) seedCommand() *cobra.Command {
	clean, yes, force := false, false, false
	cmd := &cobra.Command{
		Use:   "seed",
		Short: "Put demonstration data into Flowlite's tables",
		Long: "Inserts what is missing of the demonstration data, and changes nothing that is there. With --clean it\n" +
			"empties all tables first, in the same transaction. The users' passwords are in the documentation: it\n" +
			"is refused in production.",
		Args: unexpected(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg struct {
				Mode     config.Mode `env:"INGESTA_ENV" envDefault:"development"`
				Database migrations.Config
			}
			if err := t.load(&cfg); err != nil {
				return err
			}
			if cfg.Mode == config.Production && !force {
				return errors.New("nothing was changed: INGESTA_ENV is production, and these users' passwords are known to everybody; --force does it all the same")
			}
			return t.withMigrator(cmd.Context(), func(m *migrations.Migrator) error {
				status, err := m.Status(cmd.Context())
				if err != nil {
					return err
				}
				if status.Refusal != nil {
					return status.Refusal
				}
				if status.Version == 0 && status.State != migrations.StateAlembic {
					return fmt.Errorf("there are no tables in %s yet: migrate up makes them", status.Address)
				}
				if clean && !yes {
					if err := t.confirm(cmd.Context(), "This deletes every row of Flowlite's tables in "+status.Address+" and puts demonstration data there."); err != nil {
						return err
					}
				}
				db, err := cfg.Database.Open()
				if err != nil {
					return err
				}
				defer db.Close()
				summary, err := seeds.Apply(cmd.Context(), db, seeds.Options{Clean: clean})
				if err != nil {
					return err
				}
				logins, err := seeds.Verify(cmd.Context(), db)
				if err != nil {
					return err
				}
				return t.printSeeds(summary, logins)
			})
		},
	}
	cmd.Flags().BoolVar(&clean, "clean", false, "delete every row first")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&force, "force", false, "in production too")
	return cmd
}

// printSeeds prints what was done with each table, and who can log in with the documented password.
func (t *tool) printSeeds(summary seeds.Summary, logins []seeds.Verification) error {
	table := tabwriter.NewWriter(t.process.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "TABLE\tDELETED\tINSERTED\tPRESENT\tSKIPPED\t")
	for _, s := range summary.Tables {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t\n", s.Table, s.Deleted, s.Inserted, s.Present, s.Skipped)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("printing the summary: %w", err)
	}
	t.say("")
	table = tabwriter.NewWriter(t.process.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LOGIN\tROLE\tACTIVE\tPASSWORD")
	for _, login := range logins {
		fmt.Fprintf(table, "%s\t%s\t%v\t%s\n", login.Email, login.Role, login.Active, cmp.Or(login.Problem, "as documented"))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("printing the logins: %w", err)
	}
	for _, email := range summary.Strangers {
		t.say("%s is there already, as another user: left alone, with all that would belong to it", email)
	}
	return nil
}
