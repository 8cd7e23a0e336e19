package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/gateway/client"
)

func (t *tool) healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Show whether everything works: Redis, RabbitMQ, each database's workers, sources and S3",
		Long:  "Shows the state of everything that the system needs. Exits with 7 when a part of it is down.",
		Args:  unexpected(cobra.NoArgs),
		RunE: t.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			health, err := c.Health(ctx)
			if err != nil {
				return err
			}
			if t.asJSON() {
				err = t.printJSON(health)
			} else {
				err = t.printHealth(health)
			}
			if err == nil && health.Status != client.Up {
				return ended{exitUnavailable}
			}
			return err
		}),
	}
}

func (t *tool) printHealth(health client.Health) error {
	list := newTable("PART", "STATUS", "LATENCY", "DETAILS")
	for _, name := range slices.Sorted(maps.Keys(health.Dependencies)) {
		list.add(dependencyCells(name, health.Dependencies[name])...)
	}
	for _, name := range slices.Sorted(maps.Keys(health.Databases)) {
		db := health.Databases[name]
		details := text(fmt.Sprintf("%d workers", len(db.Workers)))
		if len(db.Workers) == 1 {
			details.text = "1 worker"
		}
		if db.Queue != nil {
			details.text += fmt.Sprintf(", %s queued", grouped(int64(db.Queue.Messages)))
		}
		if db.Error != "" {
			details = complaint(db.Error)
		}
		list.add(text(string(name)), status(db.Status), cell{}, details)
		for _, w := range db.Workers {
			said := fmt.Sprintf("version %s, %d of %d slots busy", w.Version, w.Busy, w.Slots)
			if !w.SameCatalog {
				said += ", another catalog than the gateway's"
			}
			list.add(text("  "+w.Name), cell{}, cell{}, text(said))
			list.add(dependencyCells("    source", w.Source)...)
			list.add(dependencyCells("    s3", w.Storage)...)
		}
	}
	if n := health.DeadLetters; n != nil {
		letters := status(client.Up)
		letters.text = grouped(int64(*n))
		if *n > 0 {
			letters.colour = yellow
		}
		list.add(text("dead letters"), letters, cell{}, cell{})
	}
	return t.print(list)
}

func dependencyCells(name string, d client.Dependency) []cell {
	return []cell{text(name), status(cmp.Or(d.Status, "unknown")), number(fmt.Sprintf("%.1f ms", d.LatencyMS)), complaint(d.Error)}
}
