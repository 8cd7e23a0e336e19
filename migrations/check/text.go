package check

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
)

// The escape sequences of a terminal.
const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

// mark is how a line of the report begins.
type mark struct{ sign, colour string }

func (s Status) mark() mark {
	switch s {
	case StatusOK:
		return mark{"✓", green}
	case StatusSkipped:
		return mark{"–", yellow}
	default:
		return mark{"✗", red}
	}
}

// Write writes the report for people: a block for each service with a line for each finding, under
// a failure its next step, when verbose the further lines, and a last line that sums up. colour
// adds the escape sequences of a terminal.
func (r Report) Write(w io.Writer, verbose, colour bool) error {
	page := page{colour: colour}
	var services []Service
	for _, x := range r.Results {
		page.titles = max(page.titles, width(plain(x.Title)))
		page.times = max(page.times, width(duration(x.Elapsed)))
		if !slices.Contains(services, x.Service) {
			services = append(services, x.Service)
		}
	}
	for _, service := range services {
		page.line(page.paint(bold, string(service)))
		for _, x := range r.Results {
			if x.Service == service {
				page.finding(x.Finding, verbose)
			}
		}
		page.line("")
	}
	page.line(r.sum(page.paint))
	if _, err := io.WriteString(w, page.text.String()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// sum returns the last line.
func (r Report) sum(paint func(colour, text string) string) string {
	all, failed, skipped := len(r.Results), r.count(StatusFailed), r.count(StatusSkipped)
	after := ""
	if skipped > 0 {
		after = fmt.Sprintf(" (%d of %d skipped)", skipped, all)
	}
	switch {
	case failed > 0:
		return paint(red, fmt.Sprintf("%d of %d checks failed", failed, all)) + after
	case skipped == all:
		return paint(yellow, "Nothing was checked") + after
	default:
		return paint(green, "All of the infrastructure works") + after
	}
}

// page is the text form while it is written.
type page struct {
	text   strings.Builder
	colour bool
	titles int // width of the column of titles
	times  int // width of the column of times
}

// finding writes a finding and what belongs under it.
func (p *page) finding(f Finding, verbose bool) {
	under := f.Lines
	if !verbose {
		under = nil
	}
	texts := slices.DeleteFunc([]string{plain(f.Detail), plain(f.Cause)}, func(s string) bool { return s == "" })
	if f.NextStep != "" {
		texts = append(texts, "→ "+plain(f.NextStep))
	}
	if len(texts) == 0 {
		texts = []string{""}
	}
	m := f.Status.mark()
	title, took := plain(f.Title), duration(f.Elapsed)
	margin := strings.Repeat(" ", len("  m ")+p.titles+len("  ")+p.times+len("  "))
	p.line("  " + p.paint(m.colour, m.sign) + " " + title + gap(p.titles-width(title)) +
		"  " + gap(p.times-width(took)) + took + "  " + texts[0])
	for _, text := range texts[1:] {
		p.line(margin + text)
	}
	for _, line := range under {
		p.line(margin + p.paint(dim, "  "+plain(line)))
	}
}

func (p *page) line(text string) { p.text.WriteString(strings.TrimRight(text, " ") + "\n") }

func (p *page) paint(colour, text string) string {
	if !p.colour {
		return text
	}
	return colour + text + reset
}

func gap(n int) string { return strings.Repeat(" ", n) }

// duration writes how long a look took, empty when none was taken.
func duration(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < time.Millisecond:
		return "<1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	default:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
}

// plain returns the text in one line: control characters are spaces.
func plain(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text))
}

// width returns how many columns of a terminal the text takes: one for each character, none for an
// accent that combines with the one before it. The double width of East Asian scripts is not known here.
func width(text string) int {
	n := 0
	for _, r := range text {
		if !unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
			n++
		}
	}
	return n
}
