package web

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

// format writes numbers, sizes, times and durations as the readers of one locale do.
type format struct {
	printer *message.Printer
	months  []string
}

func newFormat(tag string, t texts) format {
	return format{printer: message.NewPrinter(language.MustParse(tag)), months: strings.Fields(t["format.months"])}
}

// space keeps a number and its unit on one line.
const space = "\u00a0"

// whole writes a number without decimals.
func (f format) whole(n any) string {
	return f.printer.Sprint(number.Decimal(n, number.MaxFractionDigits(0)))
}

// decimal writes a number to one decimal, which whole numbers go without.
func (f format) decimal(n float64) string {
	return f.printer.Sprint(number.Decimal(n, number.MaxFractionDigits(1)))
}

// bytes writes a size in the units of the SI.
func (f format) bytes(n int64) string {
	const step = 1000
	if n < step {
		return f.whole(n) + space + "B"
	}
	size, unit := float64(n)/step, 0
	for units := "kMGTP"; size >= step-0.05 && unit < len(units)-1; unit++ {
		size /= step
	}
	return f.decimal(size) + space + "kMGTP"[unit:unit+1] + "B"
}

// duration writes a span of time with its two largest units.
func (f format) duration(d time.Duration) string {
	switch {
	case d < 0:
		return f.duration(0)
	case d < time.Second:
		return f.whole(d.Milliseconds()) + space + "ms"
	case d < time.Minute-50*time.Millisecond:
		return f.decimal(d.Seconds()) + space + "s"
	}
	const day = 24 * time.Hour
	pair := func(large, small time.Duration, largeUnit, smallUnit string) string {
		d = d.Round(small)
		return f.whole(int64(d/large)) + space + largeUnit + space + fmt.Sprintf("%02d", d%large/small) + space + smallUnit
	}
	switch {
	case d.Round(time.Second) < time.Hour:
		return pair(time.Minute, time.Second, "min", "s")
	case d.Round(time.Minute) < day:
		return pair(time.Hour, time.Minute, "h", "min")
	default:
		return pair(day, time.Hour, "d", "h")
	}
}

// latency writes a time that is given in milliseconds.
func (f format) latency(ms float64) string { return f.decimal(ms) + space + "ms" }

// stamp writes a moment in UTC to the second.
func (f format) stamp(t time.Time) string {
	return f.day(t) + t.UTC().Format(", 15:04:05") + space + "UTC"
}

// minute writes a moment in UTC to the minute.
func (f format) minute(t time.Time) string { return f.day(t) + t.UTC().Format(", 15:04") }

func (f format) day(t time.Time) string {
	t = t.UTC()
	month := t.Month().String()[:3]
	if at := int(t.Month()) - 1; at < len(f.months) {
		month = f.months[at]
	}
	return fmt.Sprintf("%d%s%s%s%d", t.Day(), space, month, space, t.Year())
}

// percent writes a share of a hundred.
func (f format) percent(n int) string { return f.whole(n) + space + "%" }

// machine writes a moment as programs read it.
func machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }
