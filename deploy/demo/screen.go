package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// barWidth is the width of a progress bar in characters.
const barWidth = 24

// lineWidth bounds what is shown of a line of an object.
const lineWidth = 110

// screen shows the demo. On a terminal the line of a running job is drawn over; elsewhere only
// changes of its status are written.
type screen struct {
	w        io.Writer
	terminal bool
	shown    string // the last state that was written, when not on a terminal
}

func newScreen(f *os.File) *screen {
	info, err := f.Stat()
	return &screen{w: f, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (s *screen) title(text string) { fmt.Fprintf(s.w, "\n── %s\n", text) }

func (s *screen) linef(format string, args ...any) { fmt.Fprintf(s.w, "   "+format+"\n", args...) }

// progress shows how far a job is.
func (s *screen) progress(job ingest.Job) {
	state := fmt.Sprintf("%s %s", job.ID, job.Status)
	if !s.terminal && state == s.shown {
		return
	}
	s.shown = state
	done := 0
	if job.Status == ingest.Success {
		done = barWidth
	} else if job.Progress.EstimatedRows > 0 {
		done = int(min(job.Progress.Rows*barWidth/job.Progress.EstimatedRows, barWidth))
	}
	if s.terminal {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
	fmt.Fprintf(s.w, "   %-11s %s%s %-9s %9d rows %9s", job.Database,
		strings.Repeat("█", done), strings.Repeat("░", barWidth-done), job.Status, job.Progress.Rows, size(job.Progress.Bytes))
	if !s.terminal || job.Status.Terminal() {
		fmt.Fprintln(s.w)
	}
}

// object shows one object beside what its source counts, where that is known.
func (s *screen) object(r ingest.Result, o object, source int64, counted, agrees bool) {
	compared := "not compared with the source: the demo knows no count for this dataset"
	if counted {
		compared = fmt.Sprintf("%d in the source", source)
	}
	mark := "✓"
	if !agrees {
		mark = "✗"
	}
	s.linef("%s %s", mark, r.URL)
	s.linef("    %d rows, %s; %s; sha256 %.16s…", o.rows, compared, size(o.bytes), o.sha256)
	for _, line := range o.lines {
		if cut := []rune(line); len(cut) > lineWidth {
			line = string(cut[:lineWidth-1]) + "…"
		}
		s.linef("    │ %s", line)
	}
}

// size writes a number of bytes for people, in the units of the SI, as the dashboard does.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	default:
		return fmt.Sprintf("%d B", n)
	}
}
