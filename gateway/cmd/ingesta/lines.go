package main

import (
	"fmt"
	"io"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// linePause is how long a dataset that is being exported is not told of again.
const linePause = 10 * time.Second

// lines is a screen for what is no terminal: a line for each change of state, and one now and then for
// what takes long.
type lines struct {
	w    io.Writer
	now  func() time.Time
	seen map[string]string    // the last state told, by job and dataset
	told map[string]time.Time // when
}

func (l *lines) show(job ingest.Job) {
	if !job.Status.Terminal() { // the end is told in any case
		l.tell(job.ID, describe(job), fmt.Sprintf("%s: %s", job.Database, describe(job)), false)
	}
	for _, r := range job.Results {
		said := fmt.Sprintf("%s %s: ", job.Database, r.Dataset)
		switch r.State {
		case ingest.Exporting:
			said += fmt.Sprintf("%s rows%s, %s", grouped(r.Rows), ofEstimated(r), size(r.Bytes))
		case ingest.Done:
			said += fmt.Sprintf("done, %s rows, %s, %s", grouped(r.Rows), size(r.Bytes), r.URL)
		case ingest.Broken:
			said += fmt.Sprintf("failed, %s: %s", r.Code, r.Error)
		default:
			continue
		}
		l.tell(job.ID+" "+r.Dataset, string(r.State), said, r.State == ingest.Exporting)
	}
}

// tell writes a line when the state is another than before, or has gone on for long.
func (l *lines) tell(what, state, said string, goesOn bool) {
	if l.told == nil {
		l.told = map[string]time.Time{}
	}
	now := l.now()
	if l.seen[what] == state && (!goesOn || now.Sub(l.told[what]) < linePause) {
		return
	}
	l.seen[what], l.told[what] = state, now
	fmt.Fprintln(l.w, clean(said))
}

func (l *lines) note(text string) { fmt.Fprintln(l.w, clean(text)) }

func (l *lines) close() {}

// ofEstimated says of how many rows, as far as the server guesses.
func ofEstimated(r ingest.Result) string {
	if r.EstimatedRows <= r.Rows {
		return ""
	}
	return " of about " + grouped(r.EstimatedRows)
}
