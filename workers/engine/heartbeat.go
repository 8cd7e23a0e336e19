package engine

import (
	"context"
	"errors"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/telemetry"
)

// A worker tells every beatEvery how it is, and is believed for beatTTL. A probe of its source or
// of the lake is given up after probeTimeout.
const (
	beatEvery    = 10 * time.Second
	beatTTL      = 30 * time.Second
	probeTimeout = 5 * time.Second
)

// beat writes heartbeats until ctx ends. They are how the gateway, which links no database driver,
// knows whether a source and the lake can be reached.
func (e *Engine) beat(ctx context.Context) {
	beat := jobstore.Heartbeat{
		Worker: e.Worker, Database: e.database.Name, Version: telemetry.Version(),
		CatalogDigest: e.Catalog.Digest(), StartedAt: time.Now().UTC(), Slots: e.cfg.Concurrency,
	}
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		beat.Busy = len(e.slots)
		beat.SourceOK, beat.SourceError, beat.SourceLatency = probe(ctx, "asking the source", e.Source.Ping)
		beat.StorageOK, beat.StorageError, beat.StorageLatency = probe(ctx, "asking S3", e.Lake.Ping)
		if err := e.Jobs.Heartbeat(ctx, beat, beatTTL); err != nil && ctx.Err() == nil {
			e.Log.Warn("the heartbeat was not recorded", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// probe reports whether ping succeeds, what people may know of its failure, and how long it took.
func probe(ctx context.Context, doing string, ping func(context.Context) error) (ok bool, message string, took time.Duration) {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, errors.New(doing+" timed out"))
	defer cancel()
	begun := time.Now()
	err := ping(ctx)
	took = time.Since(begun)
	if err != nil {
		return false, ingest.AsError(err).Message, took
	}
	return true, "", took
}
