package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/gateway/client"
)

const (
	shownLetter = 12 // digits of a letter's ID in a list
	letterID    = 32 // digits of a whole one
)

func (t *tool) deadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "Look at dead letters, the commands that nobody could carry out, and replay them",
		Args:  unexpected(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.deadListCommand(), t.deadShowCommand(), t.deadReplayCommand())
	return cmd
}

func (t *tool) deadListCommand() *cobra.Command {
	limit := 50
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, the oldest first; none is taken away",
		Args:  unexpected(cobra.NoArgs),
		RunE: t.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			letters, err := c.DeadLetters(ctx, limit)
			if err != nil {
				return err
			}
			if t.asJSON() {
				return t.printJSON(letters)
			}
			return t.printLetters(letters)
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", limit, "at most so many")
	return cmd
}

func (t *tool) printLetters(letters client.DeadLetters) error {
	if letters.Total == 0 {
		t.note("there are no dead letters")
		return nil
	}
	list := newTable("ID", "DATABASE", "JOB", "CODE", "BURIED", "REPLAYABLE", "WHY")
	for _, l := range letters.Letters {
		why := cut(l.Reason, longestList)
		if l.WhyNot != nil {
			why = l.WhyNot.Code
		}
		list.add(text(l.ID[:min(len(l.ID), shownLetter)]), text(l.Database), text(l.JobID), text(l.Code), text(t.at(l.BuriedAt)), yesOrNo(l.Replayable), text(why))
	}
	if err := t.print(list); err != nil {
		return err
	}
	if n := len(letters.Letters); n < letters.Total {
		t.note("%d of %d are shown: --limit shows more", n, letters.Total)
	}
	return nil
}

func (t *tool) deadShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show ID",
		Short:             "Show a dead letter; the beginning of its ID is enough",
		Args:              unexpected(cobra.ExactArgs(1)),
		ValidArgsFunction: t.completeLetters(),
		RunE: t.asking(func(ctx context.Context, c *client.Client, args []string) error {
			l, err := findLetter(ctx, c, args[0])
			if err != nil {
				return err
			}
			if t.asJSON() {
				return t.printJSON(l)
			}
			return t.printLetter(l)
		}),
	}
}

func (t *tool) printLetter(l client.DeadLetter) error {
	facts := newFacts()
	facts.fact("letter", text(l.ID))
	facts.fact("database", text(l.Database))
	facts.fact("job", text(l.JobID))
	facts.fact("code", text(l.Code))
	facts.fact("reason", complaint(l.Reason))
	facts.fact("buried", text(t.at(l.BuriedAt)))
	facts.fact("message", text(l.MessageID))
	facts.fact("size", text(size(int64(l.Size))))
	if l.Command != nil {
		var names []string
		for _, target := range l.Command.Targets {
			names = append(names, target.Dataset)
		}
		facts.fact("datasets", joined(names))
		facts.fact("requested by", text(l.Command.RequestedBy))
	}
	facts.fact("replayable", yesOrNo(l.Replayable))
	if l.WhyNot != nil {
		facts.fact("why not", complaint(l.WhyNot.Code+": "+l.WhyNot.Detail))
	}
	return t.print(facts)
}

func (t *tool) deadReplayCommand() *cobra.Command {
	wait := false
	cmd := &cobra.Command{
		Use:   "replay ID",
		Short: "Make a new job of a dead letter; the beginning of its ID is enough",
		Long: "Makes a new job of a dead letter, which is removed then. A letter makes one job, however often it is replayed.\n" +
			"Mend first what the letter died of: the code and the reason say it.",
		Args:              unexpected(cobra.ExactArgs(1)),
		ValidArgsFunction: t.completeLetters(),
		Annotations:       map[string]string{patient: "wait"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.order(cmd.Context(), false, wait, func(ctx context.Context, c *client.Client) ([]client.Accepted, error) {
				id := args[0]
				if len(id) < letterID {
					l, err := findLetter(ctx, c, id)
					if err != nil {
						return nil, err
					}
					id = l.ID
				}
				job, err := c.Replay(ctx, id)
				return []client.Accepted{job}, err
			})
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the end of the job, and show how far it is")
	return cmd
}

// findLetter returns the letter whose name begins so.
func findLetter(ctx context.Context, c *client.Client, prefix string) (client.DeadLetter, error) {
	letters, err := c.DeadLetters(ctx, client.MaxDeadLetters)
	if err != nil {
		return client.DeadLetter{}, err
	}
	var found []client.DeadLetter
	for _, l := range letters.Letters {
		if strings.HasPrefix(l.ID, prefix) {
			found = append(found, l)
		}
	}
	switch len(found) {
	case 0:
		return client.DeadLetter{}, missing{fmt.Errorf("there is no dead letter %.70q among the oldest %d: `ingesta dead list` lists them", prefix, len(letters.Letters))}
	case 1:
		return found[0], nil
	default:
		return client.DeadLetter{}, usageError{fmt.Errorf("%d dead letters begin with %q: give more of the ID", len(found), prefix)}
	}
}

func yesOrNo(yes bool) cell {
	if yes {
		return status("yes")
	}
	return status("no")
}
