package engine

import (
	"context"
	"fmt"
	"log/slog"
	"math"
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

// message returns what to tell of a failure. A run has no way to number its keys as accepted jobs do.
func message(e *ingest.Error) string {
	if e.Code == ingest.ObjectConflict {
		return e.Message + "; another export has this second's name: run it again"
	}
	return e.Message
}

// RunOnce exports the datasets of the database under keys made from the template and the present
// second. It neither retries nor writes a manifest: it is for looking at one database by hand.
// What happens to a dataset stands in the report.
func RunOnce(ctx context.Context, database ingest.Database, datasets []catalog.Dataset, template ingest.KeyTemplate, source Source, lake *upload.Store, log *slog.Logger) Report {
	now := time.Now()
	results := make(ingest.Results, len(datasets))
	for i, d := range datasets {
		key := ingest.ResolveKey(template.Key(database, d.Object), now, 1)
		results[i] = ingest.Result{Dataset: d.Name, Key: key, State: ingest.Pending}
	}
	b := newBoard(results)
	x := &exporter{
		source: source, lake: lake, board: b,
		owner:   upload.Owner{JobID: fmt.Sprintf("once-%d", now.UnixNano()), Fence: now.UnixMilli()},
		guard:   func(ctx context.Context) error { return ctx.Err() },
		silence: math.MaxInt64, // whoever started it decides how long to wait
	}
	for i, d := range datasets {
		done, err := x.export(ctx, i, d)
		if err != nil && ctx.Err() != nil {
			done = broken(results[i], ingest.Shutdown, "stopped before it was exported")
		} else if err != nil {
			e := ingest.AsError(err)
			log.Error("a dataset failed", "dataset", d.Name, "code", e.Code, "error", err)
			done = broken(results[i], e.Code, message(e))
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
	return Report{Status: ingest.Conclude(final), Database: database, Results: final}
}
