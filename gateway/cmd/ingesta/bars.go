package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/pharmavida/ingesta/shared/ingest"
)

const (
	redrawPause   = 200 * time.Millisecond
	longestName   = 32
	widestBar     = 30
	narrowestBar  = 8
	assumedWidth  = 80
	assumedHeight = 24
)

// bars is a screen for a terminal: a bar for each dataset, drawn over and over again.
type bars struct {
	w       io.Writer
	size    func() (width, height int)
	colours bool
	keep    bool // leave the last picture on the terminal
	now     func() time.Time

	mu    sync.Mutex
	jobs  []ingest.Job
	drawn int // lines of the last picture

	stop    chan struct{}
	stopped chan struct{}
}

// newBars returns a screen of the jobs, which draws until it is closed.
func newBars(w io.Writer, size func() (int, int), colours, keep bool, now func() time.Time, jobs []ingest.Job) *bars {
	b := &bars{
		w: w, size: size, colours: colours, keep: keep, now: now, jobs: append([]ingest.Job(nil), jobs...),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	b.draw("")
	go b.run()
	return b
}

// run draws at times when nothing happens: seconds pass all the same.
func (b *bars) run() {
	defer close(b.stopped)
	ticker := time.NewTicker(redrawPause)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			b.draw("")
		case <-b.stop:
			return
		}
	}
}

func (b *bars) show(job ingest.Job) {
	b.mu.Lock()
	for i := range b.jobs {
		if b.jobs[i].ID == job.ID {
			b.jobs[i] = job
		}
	}
	b.mu.Unlock()
	b.draw("")
}

func (b *bars) note(text string) { b.draw(text) }

func (b *bars) close() {
	close(b.stop)
	<-b.stopped
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.keep {
		fmt.Fprint(b.w, b.erase())
	}
}

// draw replaces the picture; the note, if any, comes to stand above it for good.
func (b *bars) draw(note string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	width, height := b.size()
	if width <= 0 {
		width = assumedWidth
	}
	if height <= 0 {
		height = assumedHeight
	}
	picture := b.picture(width, height)
	var out strings.Builder
	out.WriteString(b.erase())
	if note != "" {
		out.WriteString(clean(note) + "\n")
	}
	for _, line := range picture {
		out.WriteString(line + "\n")
	}
	b.drawn = len(picture)
	fmt.Fprint(b.w, out.String()) // at once, so that nothing flickers
}

// erase returns what takes the last picture away.
func (b *bars) erase() string {
	if b.drawn == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", b.drawn)
}

// picture returns the lines that say how far the jobs are. None is wider than the terminal, or it would
// take two lines; there are fewer than the terminal has.
func (b *bars) picture(width, height int) (lines []string) {
	name := 0
	for _, job := range b.jobs {
		for _, r := range job.Results {
			name = max(name, utf8.RuneCountInString(r.Dataset))
		}
	}
	name = min(name, longestName, max(width/3, 4))
	room := width - 1 - name - len("    ")
	wide := widestBar // the same for all, so that they can be compared
	for _, job := range b.jobs {
		for _, r := range job.Results {
			if r.State == ingest.Exporting {
				_, left := facts(r, room)
				wide = min(wide, left)
			}
		}
	}
	for _, job := range b.jobs {
		head := fmt.Sprintf("%s: %s, %s", job.Database, describe(job), span(b.elapsed(job)))
		lines = append(lines, b.paint(colourOf(string(job.Status)), cut(clean(head), width-1)))
		for _, r := range job.Results {
			lines = append(lines, fmt.Sprintf("  %-*s  ", name, cut(clean(r.Dataset), name))+b.state(r, room, wide))
		}
	}
	if most := max(height-1, 2); len(lines) > most {
		hidden := len(lines) - most + 1
		lines = append(lines[:most-1], b.paint(dim, fmt.Sprintf("  … %d more", hidden)))
	}
	return lines
}

func (b *bars) elapsed(job ingest.Job) time.Duration {
	if !job.FinishedAt.IsZero() {
		return job.FinishedAt.Sub(job.CreatedAt)
	}
	return max(b.now().Sub(job.CreatedAt), 0).Truncate(time.Second) // fractions would only flicker
}

// state says what a dataset is at, within the room; with a bar where that has so many columns.
func (b *bars) state(r ingest.Result, room, wide int) string {
	switch r.State {
	case ingest.Done:
		said := fmt.Sprintf("✓ %s rows, %s, %s", grouped(r.Rows), size(r.Bytes), span(r.FinishedAt.Sub(r.StartedAt)))
		return b.paint(green, cut(said, room))
	case ingest.Broken:
		return b.paint(red, cut(clean(fmt.Sprintf("✗ %s: %s", r.Code, r.Error)), room))
	case ingest.Exporting:
	default:
		return b.paint(dim, cut("waiting", room))
	}
	share, known := shareOf(r)
	percent := ""
	if known {
		percent = fmt.Sprintf("%.0f%%", share*100)
	}
	said, _ := facts(r, room)
	if wide < narrowestBar {
		return cut(strings.TrimSpace(percent+" "+said), room)
	}
	filled := min(int(share*float64(wide)), wide)
	return b.paint(cyan, strings.Repeat("█", filled)) + b.paint(dim, strings.Repeat("░", wide-filled)) + fmt.Sprintf(" %4s  %s", percent, said)
}

// facts says how far a dataset is, and how many columns of the room are left for a bar. What is least
// needed goes first when the terminal is narrow.
func facts(r ingest.Result, room int) (said string, left int) {
	parts := []string{grouped(r.Rows) + " rows"}
	if r.RowsPerSecond >= 1 {
		parts = append(parts, grouped(int64(r.RowsPerSecond))+"/s")
		if _, known := shareOf(r); known && r.EstimatedRows >= r.Rows {
			missing := float64(r.EstimatedRows-r.Rows) / r.RowsPerSecond
			parts = append(parts, "~"+roughly(time.Duration(missing*float64(time.Second)))+" left")
		}
	}
	parts = append(parts, size(r.Bytes))
	const percent = len(" 100%  ")
	for {
		said = strings.Join(parts, "  ")
		left = room - utf8.RuneCountInString(said) - percent
		if left >= narrowestBar || len(parts) == 1 {
			return said, left
		}
		parts = parts[:len(parts)-1]
	}
}

// shareOf returns how much of a dataset is exported, from 0 to 0.99, as far as the server can guess
// how many rows there are.
func shareOf(r ingest.Result) (share float64, known bool) {
	if r.EstimatedRows <= 0 {
		return 0, false
	}
	return min(float64(r.Rows)/float64(r.EstimatedRows), 0.99), true // the rest is the object's completion
}

// roughly writes a duration that is a guess.
func roughly(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.0fs", max(d, time.Second).Seconds())
	}
	return span(d)
}

func (b *bars) paint(c colour, text string) string {
	if !b.colours {
		return text
	}
	return c.paint(text)
}
