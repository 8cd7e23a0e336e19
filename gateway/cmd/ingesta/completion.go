package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
)

const (
	completionTimeout = 2 * time.Second // people wait for it at every key
	completedJobs     = 50
)

// completion is what a shell's completion calls.
type completion = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// suggest returns a completion by what the gateway says. Without one there are no suggestions.
func (t *tool) suggest(f func(ctx context.Context, c *client.Client, args []string) []string) completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if err := t.resolve(); err != nil { // the flags are known only now
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := client.New(client.Config{URL: t.settings.url.value, Token: config.Secret(t.settings.token.value), Timeout: completionTimeout})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		return f(ctx, c, args), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// only suggests for the first argument.
func only(f func(ctx context.Context, c *client.Client) []string) func(context.Context, *client.Client, []string) []string {
	return func(ctx context.Context, c *client.Client, args []string) []string {
		if len(args) > 0 {
			return nil
		}
		return f(ctx, c)
	}
}

func (t *tool) completeDatabases(more ...string) completion {
	return t.suggest(only(func(ctx context.Context, c *client.Client) []string { return append(databaseNames(ctx, c), more...) }))
}

// completeDatasets suggests a database, then its datasets.
func (t *tool) completeDatasets() completion {
	return t.suggest(func(ctx context.Context, c *client.Client, args []string) []string {
		switch len(args) {
		case 0:
			return databaseNames(ctx, c)
		case 1:
			return datasetNames(ctx, c, args[0])
		default:
			return nil
		}
	})
}

// completeJobs suggests the newest jobs in one of the states, of every state when none is named.
func (t *tool) completeJobs(states ...ingest.Status) completion {
	return t.suggest(only(func(ctx context.Context, c *client.Client) []string { return jobNames(ctx, c, states...) }))
}

// completeResults suggests a job, then the datasets that it has exported.
func (t *tool) completeResults() completion {
	return t.suggest(func(ctx context.Context, c *client.Client, args []string) (names []string) {
		switch len(args) {
		case 0:
			return jobNames(ctx, c, ingest.Success, ingest.Partial)
		case 1:
			job, err := c.Job(ctx, args[0])
			if err != nil {
				return nil
			}
			for _, r := range job.Results {
				if r.State == ingest.Done {
					names = append(names, r.Dataset)
				}
			}
		}
		return names
	})
}

func (t *tool) completeLetters() completion {
	return t.suggest(only(func(ctx context.Context, c *client.Client) (names []string) {
		letters, err := c.DeadLetters(ctx, completedJobs)
		if err != nil {
			return nil
		}
		for _, l := range letters.Letters {
			names = append(names, l.ID+"\t"+l.Database+" "+l.Code)
		}
		return names
	}))
}

// completeFlag suggests values of a flag by what the gateway says.
func (t *tool) completeFlag(cmd *cobra.Command, flag string, f func(ctx context.Context, c *client.Client, args []string) []string) {
	mustRegister(cmd.RegisterFlagCompletionFunc(flag, t.suggest(f)))
}

// complete suggests values of a flag.
func complete(cmd *cobra.Command, flag string, values ...string) {
	mustRegister(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// mustRegister panics over a completion of a flag that does not exist: a defect that any run shows.
func mustRegister(err error) {
	if err != nil {
		panic(err)
	}
}

func databaseNames(ctx context.Context, c *client.Client) (names []string) {
	list, err := c.Datasets(ctx)
	if err != nil {
		return nil
	}
	for _, db := range list.Databases {
		names = append(names, string(db.Name))
	}
	return names
}

func datasetNames(ctx context.Context, c *client.Client, database string) (names []string) {
	list, err := c.Datasets(ctx)
	if err != nil {
		return nil
	}
	for _, db := range list.Databases {
		for _, d := range db.Datasets {
			if string(db.Name) == database {
				names = append(names, d.Name)
			}
		}
	}
	return names
}

func jobNames(ctx context.Context, c *client.Client, states ...ingest.Status) (names []string) {
	page, err := c.Jobs(ctx, client.Query{Limit: completedJobs})
	if err != nil {
		return nil
	}
	for _, job := range page.Jobs {
		if len(states) == 0 || slices.Contains(states, job.Status) {
			names = append(names, job.ID+"\t"+string(job.Database)+" "+string(job.Status))
		}
	}
	return names
}
