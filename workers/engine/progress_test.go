package engine

import (
	"context"
	"fmt"
	"testing"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// Long before its lease is renewed, a running job shows how far it is, how fast, and how much there is.
func TestProgressIsReported(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	s := newSystem(t, exports{
		"users": func(ctx context.Context, _ int, sink Sink) (Tally, error) {
			for i := range 2 {
				if _, err := fmt.Fprintln(sink, i); err != nil {
					return Tally{}, err
				}
				sink.AddRows(1)
				began <- struct{}{}
				select {
				case <-goOn:
				case <-ctx.Done():
					return Tally{}, ctx.Err()
				}
			}
			return Tally{Rows: 2}, nil
		},
		"compras": rows(1),
	}, "INGESTA_LEASE_RENEW=1h", "INGESTA_LEASE_GIVE_UP=2h", "INGESTA_PROGRESS_INTERVAL=10ms")
	s.source.estimate = 40
	s.start()
	job := s.submit()
	shows := func(rows int64) ingest.Result {
		t.Helper()
		var r ingest.Result
		stacktest.Eventually(t, fmt.Sprintf("the job shows %d rows", rows), func() bool {
			got, err := s.jobs.Get(t.Context(), job.ID)
			if err != nil {
				t.Fatal(err)
			}
			r = *got.Results.Of("users")
			return r.Rows == rows
		})
		return r
	}
	<-began
	if r := shows(1); r.State != ingest.Exporting || r.EstimatedRows != 40 || r.Bytes == 0 || r.RowsPerSecond <= 0 {
		t.Errorf("a running dataset is shown as %+v; want its state, size, pace and estimate", r)
	}
	goOn <- struct{}{}
	<-began
	shows(2)
	goOn <- struct{}{}
	if ended := s.end(job.ID); ended.Status != ingest.Success {
		t.Errorf("the job ended as %s", ended.Status)
	}
}

// While nothing moves, nobody is told so.
func TestAdvanced(t *testing.T) {
	before := ingest.Results{
		{Dataset: "a", State: ingest.Done, Rows: 9}, {Dataset: "b", State: ingest.Exporting, Rows: 3, Bytes: 7}, {Dataset: "c", State: ingest.Pending},
	}
	for name, test := range map[string]struct {
		now  ingest.Result // of b
		news int
	}{
		"nothing":       {ingest.Result{State: ingest.Exporting, Rows: 3, Bytes: 7}, 0},
		"only the pace": {ingest.Result{State: ingest.Exporting, Rows: 3, Bytes: 7, RowsPerSecond: 1}, 0},
		"rows":          {ingest.Result{State: ingest.Exporting, Rows: 4, Bytes: 7}, 1},
		"bytes":         {ingest.Result{State: ingest.Exporting, Rows: 3, Bytes: 8}, 1},
		"failed":        {ingest.Result{State: ingest.Broken}, 1},
		"done":          {ingest.Result{State: ingest.Done, Rows: 4, Bytes: 8}, 0},
	} {
		if news := advanced(before, ingest.Results{before[0], test.now, before[2]}); len(news) != test.news {
			t.Errorf("%s: told is %+v, want %d", name, news, test.news)
		}
	}
}
