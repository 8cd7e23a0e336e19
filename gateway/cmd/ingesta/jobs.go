package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// defaultJobs is how many jobs a list has where nobody says.
const defaultJobs = 20

func (t *tool) jobsCommand() *cobra.Command {
	database, state, limit, all := "", "", defaultJobs, false
	cmd := &cobra.Command{
		Use:     "jobs",
		Short:   "List jobs, the newest first",
		Example: "  ingesta jobs --database mysql --status error",
		Args:    unexpected(cobra.NoArgs),
		RunE: t.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			if limit < 1 {
				return usageError{fmt.Errorf("--limit %d is not positive: --all lists every job", limit)}
			}
			q := client.Query{Database: ingest.Database(database), Status: ingest.Status(state), Limit: min(limit, client.MaxPage)}
			if all {
				q.Limit = client.MaxPage
			}
			jobs, more := []ingest.Job{}, false
			for job, err := range c.AllJobs(ctx, q) {
				if err != nil {
					return err
				}
				if more = !all && len(jobs) == limit; more {
					break
				}
				jobs = append(jobs, job)
			}
			return t.printJobs(jobs, more)
		}),
	}
	cmd.Flags().StringVar(&database, "database", "", "of this database")
	cmd.Flags().StringVar(&state, "status", "", "in this state: queued, running, success, partial, error or cancelled")
	cmd.Flags().IntVar(&limit, "limit", limit, "at most so many")
	cmd.Flags().BoolVar(&all, "all", false, "every job, however many")
	var states []string
	for _, s := range ingest.Statuses() {
		states = append(states, string(s))
	}
	complete(cmd, "status", states...)
	t.completeFlag(cmd, "database", func(ctx context.Context, c *client.Client, _ []string) []string { return databaseNames(ctx, c) })
	return cmd
}

func (t *tool) printJobs(jobs []ingest.Job, more bool) error {
	if t.asJSON() {
		return t.printJSON(map[string]any{"jobs": jobs})
	}
	if len(jobs) == 0 {
		t.note("there is no such job")
		return nil
	}
	list := newTable("JOB", "DATABASE", "STATUS", "ROWS", "SIZE", "CREATED", "TIME", "BY")
	for _, job := range jobs {
		list.add(text(job.ID), text(string(job.Database)), status(string(job.Status)), count(job.Progress.Rows), number(size(job.Progress.Bytes)),
			text(t.at(job.CreatedAt)), number(t.took(job.StartedAt, job.FinishedAt)), text(job.RequestedBy))
	}
	if err := t.print(list); err != nil {
		return err
	}
	if more {
		t.note("there are more: --limit or --all lists them")
	}
	return nil
}

func (t *tool) jobCommand() *cobra.Command {
	watch := false
	cmd := &cobra.Command{
		Use:   "job ID",
		Short: "Show a job; with --watch until its end",
		Long: "Shows a job. With --watch it shows how far the job is until its end, and exits as run --wait does; as JSON it\n" +
			"prints each change on a line.",
		Args:              unexpected(cobra.ExactArgs(1)),
		ValidArgsFunction: t.completeJobs(),
		Annotations:       map[string]string{patient: "watch"},
		RunE: t.asking(func(ctx context.Context, c *client.Client, args []string) error {
			job, err := c.Job(ctx, args[0])
			if err != nil {
				return err
			}
			if !watch {
				return t.printJob(job)
			}
			var tell func(ingest.Job) error
			if t.asJSON() {
				tell = func(job ingest.Job) error { return t.printLine(job) }
			}
			jobs, err := t.follow(ctx, c, []ingest.Job{job}, tell)
			if err != nil {
				return err
			}
			if !t.asJSON() {
				if err := t.printJob(jobs[0]); err != nil {
					return err
				}
			}
			return exitOfJobs(jobs)
		}),
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "follow it until its end")
	return cmd
}

func (t *tool) printJob(job ingest.Job) error {
	if t.asJSON() {
		return t.printJSON(job)
	}
	facts := newFacts()
	facts.fact("job", text(job.ID))
	facts.fact("database", text(string(job.Database)))
	state := status(string(job.Status))
	state.text = describe(job)
	facts.fact("status", state)
	if job.Error != "" {
		facts.fact("error", complaint(string(job.Code)+": "+job.Error))
	}
	facts.fact("requested by", text(job.RequestedBy))
	facts.fact("retry of", text(job.RetryOf))
	facts.fact("created", text(t.at(job.CreatedAt)))
	facts.fact("started", text(t.at(job.StartedAt)))
	facts.fact("finished", text(t.at(job.FinishedAt)))
	if !job.Status.Terminal() {
		facts.fact("next attempt", text(t.at(job.NextAttemptAt)))
	}
	if job.Status != ingest.Queued {
		facts.fact("rows", text(grouped(job.Progress.Rows)+" in "+size(job.Progress.Bytes)))
	}
	if err := t.print(facts); err != nil {
		return err
	}

	fmt.Fprintln(t.process.Stdout)
	results := newTable("DATASET", "STATE", "ROWS", "SIZE", "TIME", "OBJECT")
	for _, r := range job.Results {
		results.add(t.resultCells(r)...)
	}
	if err := t.print(results); err != nil {
		return err
	}
	for _, r := range job.Results {
		for _, warning := range r.Warnings {
			fmt.Fprintf(t.process.Stdout, "%s: %s\n", clean(r.Dataset), clean(warning))
		}
	}
	if len(job.Attempts) < 2 {
		return nil
	}
	fmt.Fprintln(t.process.Stdout)
	attempts := newTable("ATTEMPT", "OUTCOME", "CODE", "STARTED", "TIME", "WORKER")
	for _, a := range job.Attempts {
		attempts.add(number(fmt.Sprint(a.Number)), status(a.Outcome), text(string(a.Code)), text(t.at(a.StartedAt)), number(t.took(a.StartedAt, a.EndedAt)), text(a.Worker))
	}
	return t.print(attempts)
}

func (t *tool) cancelCommand() *cobra.Command {
	wait := false
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "End a job; its objects are removed",
		Long: "Ends a job. One that is queued is over at once; one that runs ends a little later, and its objects are removed\n" +
			"from S3. One that is over stays as it is. With --wait it exits with 0 once the job is cancelled, and as\n" +
			"run --wait does when it ended otherwise before.",
		Args:              unexpected(cobra.ExactArgs(1)),
		ValidArgsFunction: t.completeJobs(ingest.Queued, ingest.Running),
		Annotations:       map[string]string{patient: "wait"},
		RunE: t.asking(func(ctx context.Context, c *client.Client, args []string) error {
			job, err := c.Cancel(ctx, args[0])
			if err != nil {
				return err
			}
			if wait && !job.Status.Terminal() {
				jobs, err := t.follow(ctx, c, []ingest.Job{job}, nil)
				if err != nil {
					return err
				}
				job = jobs[0]
			}
			if t.asJSON() {
				err = t.printJSON(job)
			} else {
				list := newTable("JOB", "DATABASE", "STATUS")
				list.add(text(job.ID), text(string(job.Database)), cell{text: describe(job), colour: colourOf(string(job.Status))})
				err = t.print(list)
			}
			if err != nil || !wait || job.Status == ingest.Cancelled {
				return err
			}
			return exitOfJobs([]ingest.Job{job})
		}),
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for its end")
	return cmd
}

func (t *tool) retryCommand() *cobra.Command {
	wait, key := false, ""
	cmd := &cobra.Command{
		Use:               "retry ID",
		Short:             "Order a new job that does what an ended one left undone",
		Args:              unexpected(cobra.ExactArgs(1)),
		ValidArgsFunction: t.completeJobs(ingest.Failed, ingest.Partial, ingest.Cancelled),
		Annotations:       map[string]string{patient: "wait"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.order(cmd.Context(), false, wait, func(ctx context.Context, c *client.Client) ([]client.Accepted, error) {
				job, err := c.Retry(ctx, strings.TrimSpace(args[0]), key)
				return []client.Accepted{job}, err
			})
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the end, and show how far it is")
	cmd.Flags().StringVar(&key, "idempotency-key", "", "the same order however often it is sent: its job is made once in 24 hours")
	return cmd
}
