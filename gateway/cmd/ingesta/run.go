package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// every is what stands for all databases.
const every = "all"

func (t *tool) runCommand() *cobra.Command {
	var o client.Options
	conflict, wait := "", false
	cmd := &cobra.Command{
		Use:   "run DATABASE|all",
		Short: "Order an ingestion: of one database, or of all",
		Long: "Orders an ingestion of a database, or of all of them: each dataset becomes one object in S3.\n" +
			"Without --wait it prints the accepted job and ends; the job goes on by itself.",
		Example: "  ingesta run mysql --wait\n" +
			"  ingesta run mysql --dataset users --on-conflict join\n" +
			"  ingesta run all --wait --timeout 30m --output json",
		Args:              unexpected(cobra.ExactArgs(1)),
		ValidArgsFunction: t.completeDatabases(every),
		Annotations:       map[string]string{patient: "wait"},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch o.OnConflict = client.Conflict(conflict); o.OnConflict {
			case client.Queue, client.Join, client.Reject:
			default:
				return usageError{fmt.Errorf("--on-conflict is %q: use queue, join or reject", conflict)}
			}
			if args[0] == every && len(o.Datasets) > 0 {
				return usageError{errors.New("--dataset chooses from one database: name it instead of all")}
			}
			return t.order(cmd.Context(), args[0] == every, wait, func(ctx context.Context, c *client.Client) ([]client.Accepted, error) {
				if args[0] == every {
					return c.RunAll(ctx, o)
				}
				job, err := c.Run(ctx, ingest.Database(args[0]), o)
				return []client.Accepted{job}, err
			})
		},
	}
	cmd.Flags().StringSliceVar(&o.Datasets, "dataset", nil, "export this one only; may be given several times")
	cmd.Flags().StringVar(&conflict, "on-conflict", string(client.Queue), "when the same work is queued or running: queue another job, join that one, or reject the order")
	cmd.Flags().StringVar(&o.Key, "idempotency-key", "", "the same order however often it is sent: its jobs are made once in 24 hours")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the end, and show how far it is")
	complete(cmd, "on-conflict", string(client.Queue), string(client.Join), string(client.Reject))
	t.completeFlag(cmd, "dataset", func(ctx context.Context, c *client.Client, args []string) []string {
		if len(args) == 0 {
			return nil
		}
		return datasetNames(ctx, c, args[0])
	})
	return cmd
}

// order has jobs made, prints them, and waits for their end first where that is wanted. As JSON several
// jobs are a list, even of one.
func (t *tool) order(ctx context.Context, several, wait bool, send func(context.Context, *client.Client) ([]client.Accepted, error)) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	accepted, err := send(ctx, c)
	if errors.Is(err, errOutOfTime) {
		t.note("whether the gateway has taken the order is not known: `ingesta jobs` shows it")
	}
	if err != nil {
		return err
	}
	for _, a := range accepted {
		if a.Deduplicated {
			t.note("%s: joined job %s, which does the same work", a.Database, a.ID)
		}
	}
	if wait {
		jobs, err := t.follow(ctx, c, jobsOf(accepted), nil)
		if err != nil {
			return err
		}
		for i := range accepted {
			accepted[i].Job = jobs[i]
		}
	}
	if t.asJSON() {
		if several {
			err = t.printJSON(map[string]any{"jobs": accepted})
		} else {
			err = t.printJSON(accepted[0])
		}
		if err != nil || !wait {
			return err
		}
		return exitOfJobs(jobsOf(accepted))
	}
	if wait {
		if err := t.printResults(jobsOf(accepted)); err != nil {
			return err
		}
		return exitOfJobs(jobsOf(accepted))
	}
	list := newTable("JOB", "DATABASE", "STATUS", "DATASETS")
	for _, a := range accepted {
		list.add(text(a.ID), text(string(a.Database)), status(string(a.Status)), joined(namesOf(a.Results)))
	}
	if err := t.print(list); err != nil {
		return err
	}
	for _, a := range accepted {
		t.note("follow it with: ingesta job %s --watch", a.ID)
	}
	return nil
}

func jobsOf(accepted []client.Accepted) (jobs []ingest.Job) {
	for _, a := range accepted {
		jobs = append(jobs, a.Job)
	}
	return jobs
}

// namesOf returns the datasets of a job.
func namesOf(results ingest.Results) (names []string) {
	for _, r := range results {
		names = append(names, r.Dataset)
	}
	return names
}

// printResults prints what became of each dataset.
func (t *tool) printResults(jobs []ingest.Job) error {
	list := newTable("DATABASE", "DATASET", "STATE", "ROWS", "SIZE", "TIME", "OBJECT")
	for _, job := range jobs {
		for _, r := range job.Results {
			list.add(append([]cell{text(string(job.Database))}, t.resultCells(r)...)...)
		}
	}
	return t.print(list)
}

// resultCells are dataset, state, rows, size, time, and the object or what went wrong.
func (t *tool) resultCells(r ingest.Result) []cell {
	cells := []cell{text(r.Dataset), status(string(r.State)), {}, {}, number(t.took(r.StartedAt, r.FinishedAt)), text(r.URL)}
	if r.State == ingest.Done || r.State == ingest.Exporting {
		cells[2], cells[3] = count(r.Rows), number(size(r.Bytes))
	}
	if r.State != ingest.Exporting && r.FinishedAt.IsZero() {
		cells[4] = cell{}
	}
	if r.Error != "" {
		cells[5] = complaint(string(r.Code) + ": " + r.Error)
	}
	return cells
}

// ending says how a job ended, and what to do next.
func (t *tool) ending(job ingest.Job) string {
	said := fmt.Sprintf("%s: %s after %s, job %s", job.Database, job.Status, t.took(job.CreatedAt, job.FinishedAt), job.ID)
	if job.Error != "" {
		said += fmt.Sprintf("\n  %s: %s", job.Code, job.Error)
	}
	if job.Status != ingest.Success {
		said += "\n  do what it left undone: ingesta retry " + job.ID + " --wait"
	}
	return strings.TrimSpace(said)
}
