package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// export is the subject of the system itself: one dataset, from the request to the object in S3.
func export(name string, d dataset) subject {
	return subject{
		name: name, data: []dataset{d}, works: []ingest.Database{d.Database},
		measure: func(ctx context.Context, b *bench) (measurement, error) { return b.export(ctx, name, d) },
	}
}

func (b *bench) export(ctx context.Context, name string, d dataset) (measurement, error) {
	observed, err := b.observe(ctx, name, b.workers[d.Database].pid())
	if err != nil {
		return measurement{}, err
	}
	var m measurement
	job, wall, err := b.gateway.ingest(ctx, d)
	if err := errors.Join(err, observed.end(&m)); err != nil {
		return measurement{}, err
	}
	result := job.Results.Of(d.Name)
	m.Seconds, m.Wall = job.FinishedAt.Sub(job.StartedAt).Seconds(), wall.Seconds()
	m.Rows, m.Bytes = d.Rows, result.Bytes
	size, err := b.lake.size(ctx, result.Key)
	switch {
	case err != nil:
		return measurement{}, err
	case size != result.Bytes || size == 0:
		return measurement{}, fmt.Errorf("the object %s has %d bytes, and the job says %d", result.Key, size, result.Bytes)
	}
	return m, b.lake.clear(ctx)
}
