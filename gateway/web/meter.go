package web

import (
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// meter tells how far a job, or one of its datasets, has come.
type meter struct {
	ID        string // of the bar's element
	Label     string // what comes on
	Rows      int64
	Estimated int64         // 0: nobody knows
	Percent   int           // 0 to 99 while it is under way; meaningless without an estimate
	Rate      float64       // rows a second; 0: not known yet
	Left      time.Duration // until the end; 0: nobody knows
}

// newMeter makes a meter of counts. An estimate that is exceeded tells nothing any more.
func newMeter(id, label string, rows, estimated int64, rate float64) meter {
	m := meter{ID: id, Label: label, Rows: rows, Rate: rate}
	if estimated <= rows {
		return m
	}
	m.Estimated, m.Percent = estimated, int(100*rows/estimated)
	if rate > 0 {
		m.Left = max(time.Duration(float64(estimated-rows)/rate*float64(time.Second)), time.Second).Round(time.Second)
	}
	return m
}

// jobMeter is the meter of a running job. The guesses of datasets that have yet to begin are not made,
// so that the bar of a job can fall back when the next one begins.
func jobMeter(id string, j ingest.Job) meter {
	var rate float64
	for _, r := range j.Results {
		if r.State == ingest.Exporting {
			rate += r.RowsPerSecond
		}
	}
	return newMeter(id, string(j.Database), j.Progress.Rows, j.Progress.EstimatedRows, rate)
}

// took returns how long the job has run, over all its attempts and the pauses between them.
func took(j ingest.Job, now time.Time) time.Duration {
	switch {
	case j.StartedAt.IsZero():
		return 0
	case j.FinishedAt.IsZero():
		return now.Sub(j.StartedAt)
	default:
		return j.FinishedAt.Sub(j.StartedAt)
	}
}
