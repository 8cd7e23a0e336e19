package engine

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/upload"
)

// Report is the outcome of a run without broker and job store, in the form that the original's
// scripts answered with.
type Report struct {
	Status   ingest.Status   `json:"status"`
	Database ingest.Database `json:"database"`
	Results  ingest.Results  `json:"result"`
}

// RunOnce exports the named datasets of the database, or all of them when none is named, under
// keys made from the template and the present second. It neither retries nor writes a manifest:
// it is for looking at one database by hand. The error tells of names the catalog does not have;
// what happens to a dataset stands in the report.
func RunOnce(ctx context.Context, db catalog.Database, names []string, template string, source Source, lake *upload.Store, log *slog.Logger) (Report, error) {
	var datasets []catalog.Dataset
	for _, d := range db.Datasets {
		if len(names) == 0 || slices.Contains(names, d.Name) {
			datasets = append(datasets, d)
		}
	}
	for _, name := range names {
		if _, ok := db.Dataset(name); !ok {
			return Report{}, fmt.Errorf("database %s has no dataset %q: choose from %s", db.Name, name, strings.Join(db.Names(), ", "))
		}
	}

	now := time.Now()
	results := make(ingest.Results, len(datasets))
	for i, d := range datasets {
		key := ingest.ResolveKey(ingest.KeyTemplate(template, db.Name, d.Object), now, 1)
		results[i] = ingest.Result{Dataset: d.Name, Key: key, State: ingest.Pending}
	}
	b := newBoard(results)
	x := &exporter{
		source: source, lake: lake, board: b,
		owner: upload.Owner{JobID: fmt.Sprintf("once-%d", now.UnixNano()), Fence: now.UnixMilli()},
		guard: func(ctx context.Context) error { return ctx.Err() },
	}
	for i, d := range datasets {
		done, err := x.export(ctx, i, d)
		if err != nil {
			e := ingest.AsError(err)
			log.Error("a dataset failed", "dataset", d.Name, "code", e.Code, "error", err)
			done = broken(results[i], e.Code, e.Message)
			if e.Code == ingest.SourceUnavailable {
				_ = x.reset(ctx) // the session is what broke: the next dataset opens another
			}
		}
		b.set(i, done)
	}
	if err := x.reset(ctx); err != nil {
		log.Debug("closing the session failed", "error", err)
	}
	final := b.snapshot()
	return Report{Status: ingest.Conclude(final), Database: db.Name, Results: final}, ctx.Err()
}
