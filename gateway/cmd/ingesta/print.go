package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// printJSON writes one value for people and programs to standard output.
func (t *tool) printJSON(v any) error {
	return t.encode(v, "  ")
}

// printLine writes one value on one line to standard output.
func (t *tool) printLine(v any) error {
	return t.encode(v, "")
}

func (t *tool) encode(v any, indent string) error {
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetIndent("", indent)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := t.process.Stdout.Write(escapeMisleading(encoded.Bytes()))
	return err
}

// colour is a colour that terminals know by number.
type colour int

const (
	plain  colour = 0
	dim    colour = 2
	red    colour = 31
	green  colour = 32
	yellow colour = 33
	cyan   colour = 36
)

// paint returns the text in the colour.
func (c colour) paint(text string) string {
	if c == plain || text == "" {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", int(c), text)
}

// cell is one field of a table.
type cell struct {
	text   string
	colour colour
	right  bool // a number: its end stands under the others' ends
}

func text(s string) cell      { return cell{text: clean(s)} }
func number(s string) cell    { return cell{text: s, right: true} }
func status(s string) cell    { return cell{text: clean(s), colour: colourOf(s)} }
func count(n int64) cell      { return number(grouped(n)) }
func faint(s string) cell     { return cell{text: clean(s), colour: dim} }
func complaint(s string) cell { return cell{text: clean(s), colour: red} }
func joined(s []string) cell  { return text(strings.Join(s, ", ")) }
func (c cell) or(s string) cell { // another text where there is none
	if c.text == "" {
		c.text = s
	}
	return c
}

// clean keeps what others have written from moving the cursor, and from being read in another order than
// it stands in.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if misleads(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// cleanLines is clean for a text of several lines.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = clean(line)
	}
	return strings.Join(lines, "\n")
}

// misleads reports whether a terminal takes the character for a command.
func misleads(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// escapeMisleading writes such characters in JSON as it allows to write any: encoding/json leaves some
// of them as they are.
func escapeMisleading(encoded []byte) []byte {
	if !bytes.ContainsFunc(encoded, func(r rune) bool { return r != '\n' && misleads(r) }) {
		return encoded
	}
	var out bytes.Buffer
	for _, r := range string(encoded) {
		if r != '\n' && misleads(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.Bytes()
}

// colourOf returns the colour of a status of whatever kind.
func colourOf(s string) colour {
	switch s {
	case string(ingest.Success), string(ingest.Done), "up", "yes":
		return green
	case string(ingest.Failed), string(ingest.Broken), "down", "no":
		return red
	case string(ingest.Partial), string(ingest.Cancelled):
		return yellow
	case string(ingest.Running), string(ingest.Exporting):
		return cyan
	default:
		return plain
	}
}

// table is what is printed in columns. A column without any text is left out.
type table struct {
	header []string
	rows   [][]cell
}

func newTable(header ...string) *table { return &table{header: header} }

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// fact adds what is known of one thing, if it is, to a table of two columns without a header.
func (t *table) fact(name string, value cell) {
	if value.text != "" {
		t.add(faint(name), value)
	}
}

func newFacts() *table { return newTable("", "") }

// write prints the table. No line ends with spaces.
func (t *table) write(w io.Writer, colours bool) error {
	width := make([]int, len(t.header))
	right := make([]bool, len(t.header))
	for _, row := range t.rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c.text))
			right[i] = right[i] || c.right
		}
	}
	var out strings.Builder
	line := func(cells []cell) {
		var told strings.Builder
		gap := 0 // spaces that are owed
		for i, c := range cells {
			if width[i] == 0 {
				continue
			}
			column := max(width[i], utf8.RuneCountInString(t.header[i]))
			fill := column - utf8.RuneCountInString(c.text)
			if right[i] {
				gap, fill = gap+fill, 0
			}
			if c.text != "" {
				told.WriteString(strings.Repeat(" ", gap))
				gap = 0
				if colours {
					told.WriteString(c.colour.paint(c.text))
				} else {
					told.WriteString(c.text)
				}
			}
			gap += fill + 2
		}
		out.WriteString(told.String() + "\n")
	}
	var heads []cell
	for _, name := range t.header {
		heads = append(heads, faint(name))
	}
	if strings.Join(t.header, "") != "" {
		line(heads)
	}
	for _, row := range t.rows {
		line(row)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// print writes the table to standard output.
func (t *tool) print(table *table) error {
	return table.write(t.process.Stdout, t.colours(t.process.Stdout))
}

// grouped writes a number for people.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// size writes a number of bytes for people, in the units of the SI, as the dashboard does.
func size(n int64) string {
	const step = 1000
	if n < step {
		return fmt.Sprintf("%d B", n)
	}
	value, prefix := float64(n)/step, 0
	for ; value >= step-0.05 && prefix < 4; prefix++ {
		value /= step
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTP"[prefix])
}

// span writes a duration for people.
func span(d time.Duration) string {
	switch {
	case d <= 0:
		return "0s"
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

// at writes a time for people, nothing for one that is not known.
func (t *tool) at(when time.Time) string {
	if when.IsZero() {
		return ""
	}
	return when.In(t.zone).Format("2006-01-02 15:04:05")
}

// took writes how long something took, or has taken so far.
func (t *tool) took(begin, end time.Time) string {
	if begin.IsZero() {
		return ""
	}
	if end.IsZero() {
		end = t.now()
	}
	return span(end.Sub(begin))
}

// cut shortens a text to so many characters.
func cut(text string, most int) string {
	if most <= 0 {
		return ""
	}
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
