package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// atNoon is a screen of bars that nobody redraws.
func atNoon(w *bytes.Buffer, width, height int, jobs ...ingest.Job) *bars {
	return &bars{w: w, size: func() (int, int) { return width, height }, now: func() time.Time { return noon }, jobs: jobs}
}

func TestBars(t *testing.T) {
	jobs := []ingest.Job{running(), queued(), partial()}
	for _, width := range []int{120, 80, 60, 40, 20} {
		b := atNoon(nil, width, 50, jobs...)
		picture := b.picture(width, 50)
		golden(t, fmt.Sprintf("bars_%d.txt", width), strings.Join(picture, "\n")+"\n")
		for _, line := range picture {
			if n := utf8.RuneCountInString(line); n >= width {
				t.Errorf("a line of %d columns on a terminal of %d: %q", n, width, line)
			}
		}
	}
	for width := range 20 { // too narrow for anything useful, and still no reason to fail
		atNoon(nil, width, 1, jobs...).picture(width, 1)
	}
	if got := len(atNoon(nil, 80, 5, jobs...).picture(80, 5)); got != 4 {
		t.Errorf("%d lines on a terminal of 5", got)
	}
	b := atNoon(nil, 80, 24, running())
	b.colours = true
	if got := uncoloured(strings.Join(b.picture(80, 24), "\n")); got != strings.Join(atNoon(nil, 80, 24, running()).picture(80, 24), "\n") {
		t.Errorf("colours change the picture:\n%s", got)
	}
}

// Each picture takes the last one's place, notes stay above, and in the end the terminal is as it was.
func TestBarsAreDrawnOver(t *testing.T) {
	for _, keep := range []bool{false, true} {
		var out bytes.Buffer
		first, second := queued(), queued()
		second.Status, second.Results[0].State = ingest.Running, ingest.Exporting
		b := newBars(&out, func() (int, int) { return 60, 24 }, false, keep, func() time.Time { return noon }, []ingest.Job{first})
		b.show(second)
		b.note("the connection was lost")
		b.show(second)
		b.close()
		screen := played(out.String())
		if !strings.Contains(screen, "the connection was lost\n") || strings.Count(screen, "recetas") != map[bool]int{true: 1}[keep] {
			t.Errorf("keep %t: in the end the terminal shows\n%s", keep, screen)
		}
	}
}

// played returns what a terminal shows that was sent the text: it knows what bars use.
func played(text string) string {
	lines, row := []string{""}, 0
	for len(text) > 0 {
		switch {
		case strings.HasPrefix(text, "\x1b["):
			end := strings.IndexFunc(text[2:], func(r rune) bool { return r >= '@' }) + 2
			switch text[end] {
			case 'A':
				n := 0
				_, _ = fmt.Sscanf(text[2:end], "%d", &n) // our own number
				row -= n
			case 'J':
				lines = append(lines[:row], "")
			}
			text = text[end+1:]
		case text[0] == '\r':
			text = text[1:]
		case text[0] == '\n':
			row++
			if row == len(lines) {
				lines = append(lines, "")
			}
			text = text[1:]
		default:
			_, n := utf8.DecodeRuneInString(text)
			lines[row] += text[:n]
			text = text[n:]
		}
	}
	return strings.Join(lines, "\n")
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	now := noon
	l := &lines{w: &out, now: func() time.Time { return now }, seen: map[string]string{}}
	job := running()
	show := func(rows int64, after time.Duration) {
		now = now.Add(after)
		job.Results[0].Rows = rows
		l.show(job)
	}
	waiting := running()
	waiting.Status, waiting.Attempt, waiting.Results = ingest.Queued, 0, ingest.Results{{Dataset: "productos", State: ingest.Pending}}
	l.show(waiting)
	show(620_000, time.Second)
	show(630_000, time.Second)   // not worth a line
	show(750_000, 9*time.Second) // is
	job.Results[0].State, job.Results[0].URL, job.Results[0].FinishedAt = ingest.Done, "s3://bucket/postgresql/productos.csv", now
	show(1_000_000, time.Second)
	job.Status = ingest.Success
	show(1_000_000, time.Second)
	l.note("a note")
	golden(t, "lines.txt", out.String())
}
