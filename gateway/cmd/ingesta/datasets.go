package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// longestList is how much a cell shows of a list among many.
const longestList = 48

func (t *tool) datasetsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "datasets [DATABASE]",
		Short:             "Show what each database would export",
		Args:              unexpected(cobra.MaximumNArgs(1)),
		ValidArgsFunction: t.completeDatabases(),
		RunE: t.asking(func(ctx context.Context, c *client.Client, args []string) error {
			list, err := c.Datasets(ctx)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				all := list.Databases
				list.Databases = slices.DeleteFunc(slices.Clone(all), func(db client.Database) bool { return string(db.Name) != args[0] })
				if len(list.Databases) == 0 {
					return missing{fmt.Errorf("there is no database %q: `ingesta datasets` lists what there is", args[0])}
				}
			}
			if t.asJSON() {
				return t.printJSON(list)
			}
			return t.printDatasets(list, len(args) == 0)
		}),
	}
	cmd.AddCommand(t.ddlCommand())
	return cmd
}

// printDatasets prints what is exported, and cuts long lists where it is to be an overview.
func (t *tool) printDatasets(list client.Catalog, overview bool) error {
	shown := func(names []string) cell {
		c := joined(names)
		if overview {
			c.text = cut(c.text, longestList)
		}
		return c
	}
	rows := newTable("DATABASE", "DATASET", "KIND", "READS", "COLUMNS", "LEFT OUT", "MASKED")
	for _, db := range list.Databases {
		for _, d := range db.Datasets {
			var masks []string
			for _, column := range slices.Sorted(maps.Keys(d.Masks)) {
				masks = append(masks, column+" by "+d.Masks[column])
			}
			rows.add(text(string(db.Name)), text(d.Name), text(d.Kind), shown(d.Sources), shown(d.Columns).or("all that may be exported"), shown(d.Exclude), shown(masks))
		}
	}
	return t.print(rows)
}

func (t *tool) ddlCommand() *cobra.Command {
	dialect := ""
	cmd := &cobra.Command{
		Use:   "ddl DATABASE NAME",
		Short: "Print the statements that make a table of a dataset's files",
		Long: "Prints the statements that make a table of a dataset's files, for Athena or DuckDB. The columns have the types\n" +
			"of the latest export: there has to be one.",
		Example:           "  ingesta datasets ddl mysql users --dialect duckdb",
		Args:              unexpected(cobra.ExactArgs(2)),
		ValidArgsFunction: t.completeDatasets(),
		RunE: t.asking(func(ctx context.Context, c *client.Client, args []string) error {
			statements, err := c.DDL(ctx, ingest.Database(args[0]), args[1], dialect)
			if err != nil {
				return err
			}
			if t.asJSON() {
				return t.printJSON(map[string]string{"database": args[0], "dataset": args[1], "dialect": dialect, "statements": statements})
			}
			if t.isTerminal(t.process.Stdout) {
				statements = cleanLines(statements)
			}
			_, err = fmt.Fprint(t.process.Stdout, statements)
			return err
		}),
	}
	cmd.Flags().StringVar(&dialect, "dialect", "athena", "athena or duckdb")
	complete(cmd, "dialect", "athena", "duckdb")
	return cmd
}
