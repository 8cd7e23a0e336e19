package main

import (
	"context"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// tinyJobs is how many jobs a round runs, one after the other.
const tinyJobs = 200

// tinyExport measures how long a client waits for a job that exports next to nothing: what the system
// itself takes. The gateway tells of the end at once, so that no polling is in the figures.
func tinyExport(name string, d dataset) subject {
	return subject{
		name: name, data: []dataset{d}, works: []ingest.Database{d.Database},
		measure: func(ctx context.Context, b *bench) (measurement, error) {
			began := time.Now()
			var took []float64
			for range tinyJobs {
				_, wall, err := b.gateway.ingest(ctx, d)
				if err != nil {
					return measurement{}, err
				}
				took = append(took, milliseconds(wall))
			}
			return ofRequests(took, time.Since(began)), b.lake.clear(ctx)
		},
	}
}

// ofRequests returns the measurement of many requests, each of which took so many milliseconds, and all
// of them so long.
func ofRequests(took []float64, all time.Duration) measurement {
	return measurement{Rate: float64(len(took)) / all.Seconds(), P50: median(took), P99: percentile(took, 99)}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
