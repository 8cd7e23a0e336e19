package encode

import (
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

const (
	// flushAt is how many bytes gather before they are passed to the sink.
	flushAt = 64 << 10
	// keepAt is the largest buffer that is kept: one giant record must not hold its memory for
	// the rest of the extraction.
	keepAt = 1 << 20
)

// Writer writes records field by field. Each record is a call per field, in order, and EndRow.
// The methods of fields keep nothing of their arguments and cannot fail; the error of the sink
// comes out of EndRow and Flush, unchanged, and stays.
//
// A Writer is for one goroutine.
type Writer struct {
	sink   io.Writer
	buf    []byte // whole records, then the beginning of the current one
	start  int    // where the current record begins in buf
	field  int    // where the field written last begins in buf
	fields int    // of the current record, so far
	rows   int64  // whole records
	blank  int64  // records that are an empty line
	json   compactor
	plain  []byte // scratch of Mask: a field without its quotes
	masked []byte // scratch of Mask: what was made of it
	err    error  // of the sink
}

// NewWriter returns a Writer that passes whole records to sink, about 64 KiB at a time.
func NewWriter(sink io.Writer) *Writer {
	return &Writer{sink: sink, buf: make([]byte, 0, flushAt+flushAt/4)}
}

// Null writes a NULL.
func (w *Writer) Null() { w.separate() }

// Text writes text, quoted where the dialect says so. Empty text is not NULL.
func (w *Writer) Text(p []byte) {
	w.separate()
	w.buf = appendText(w.buf, p)
}

// String writes text like Text.
func (w *Writer) String(s string) {
	w.separate()
	w.buf = appendText(w.buf, s)
}

// Raw writes p as it stands. The caller knows that it needs no quotes, or has them: a number's
// digits, a field taken out of another CSV of this dialect. Empty p is a NULL.
func (w *Writer) Raw(p []byte) {
	w.separate()
	w.buf = append(w.buf, p...)
}

// Int writes a whole number.
func (w *Writer) Int(n int64) {
	w.separate()
	w.buf = strconv.AppendInt(w.buf, n, 10)
}

// Uint writes a whole number.
func (w *Writer) Uint(n uint64) {
	w.separate()
	w.buf = strconv.AppendUint(w.buf, n, 10)
}

// Float writes a double.
func (w *Writer) Float(f float64) {
	w.separate()
	w.buf = appendFloat(w.buf, f, 64)
}

// Float32 writes a float of single precision: the shortest decimal that reads back as the same
// 32 bits, which has fewer digits than the same value as a double.
func (w *Writer) Float32(f float32) {
	w.separate()
	w.buf = appendFloat(w.buf, float64(f), 32)
}

// Bool writes true or false.
func (w *Writer) Bool(b bool) {
	w.separate()
	w.buf = strconv.AppendBool(w.buf, b)
}

// JSON writes a JSON document without the space outside its strings. Neither keys nor numbers are
// touched. What is not valid JSON is written as Text would.
func (w *Writer) JSON(p []byte) {
	w.separate()
	start := len(w.buf)
	var ok bool
	if w.buf, ok = w.json.appendField(w.buf, p); !ok {
		w.buf = appendText(w.buf[:start], p)
	}
}

// Time writes an instant, in UTC. Digits beyond the microsecond are dropped.
func (w *Writer) Time(t time.Time) {
	w.separate()
	w.buf = appendTime(w.buf, t)
}

// WallTime writes a date and time that no time zone is known of, from its spelling by a server:
// YYYY-MM-DD HH:MM:SS with or without a fraction, whose trailing zeros are dropped.
func (w *Writer) WallTime(p []byte) {
	w.separate()
	w.buf = append(w.buf, trimFraction(p)...)
}

// UTCTime writes an instant from its spelling in UTC by a server, see WallTime.
func (w *Writer) UTCTime(p []byte) {
	w.separate()
	w.buf = append(w.buf, trimFraction(p)...)
	w.buf = append(w.buf, "+00"...)
}

// Hex writes binary data.
func (w *Writer) Hex(p []byte) {
	w.separate()
	w.buf = append(w.buf, `\x`...)
	w.buf = hex.AppendEncode(w.buf, p)
}

// UUID writes the 16 bytes of a UUID in their canonical form.
func (w *Writer) UUID(id [16]byte) {
	w.separate()
	for i, n := range [...]int{4, 2, 2, 2, 6} {
		if i > 0 {
			w.buf = append(w.buf, '-')
		}
		at := [...]int{0, 4, 6, 8, 10}[i]
		w.buf = hex.AppendEncode(w.buf, id[at:at+n])
	}
}

// Mask is what hides a field's text. Append appends what it makes of the text, and keeps nothing
// of it.
type Mask interface {
	Append(dst, text []byte) []byte
}

// Mask replaces the field written last, of the current record, by what m makes of its text. A NULL
// stays.
func (w *Writer) Mask(m Mask) {
	field := w.buf[w.field:]
	if len(field) == 0 {
		return
	}
	w.plain = appendPlain(w.plain[:0], field)
	w.masked = m.Append(w.masked[:0], w.plain)
	w.buf = appendText(w.buf[:w.field], w.masked)
	if cap(w.plain) > keepAt {
		w.plain, w.masked = nil, nil
	}
}

// EndRow ends the record. Now and then it passes the records so far to the sink; its error is the
// sink's, unchanged. After an error the Writer drops what it is given.
func (w *Writer) EndRow() error {
	if w.fields == 1 {
		switch string(w.buf[w.start:]) {
		case `\.`:
			// Alone on a line it would be the end of data to PostgreSQL's COPY FROM.
			w.buf = append(w.buf[:w.start], `"\."`...)
		case "":
			w.blank++
		}
	}
	w.buf = append(w.buf, '\n')
	w.start, w.field, w.fields = len(w.buf), len(w.buf), 0
	w.rows++
	if len(w.buf) >= flushAt {
		return w.Flush()
	}
	return w.err
}

// Flush passes the records that were ended to the sink. Its error is the sink's, unchanged. Fields
// of a record that was not ended stay.
func (w *Writer) Flush() error {
	if w.err == nil && w.start > 0 {
		if n, err := w.sink.Write(w.buf[:w.start]); err != nil {
			w.err = err
		} else if n < w.start {
			w.err = fmt.Errorf("writing CSV: %w", io.ErrShortWrite)
		}
	}
	rest := w.buf[w.start:]
	if cap(w.buf) > keepAt {
		w.buf = make([]byte, 0, flushAt+flushAt/4)
	}
	w.buf = append(w.buf[:0], rest...)
	w.field -= w.start
	w.start = 0
	return w.err
}

// Rows returns how many records were ended.
func (w *Writer) Rows() int64 { return w.rows }

// Warnings returns what a reader of the file must know of its records.
func (w *Writer) Warnings() []string { return WarnBlank(w.blank) }

// WarnBlank returns the warning that a file has n records of one NULL field, none for n = 0.
func WarnBlank(n int64) []string {
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d records are a single NULL: an empty line, which some readers skip", n)}
}

// separate begins the next field.
func (w *Writer) separate() {
	if w.fields > 0 {
		w.buf = append(w.buf, ',')
	}
	w.fields++
	w.field = len(w.buf)
}

// AppendHeader appends the header record of the columns to dst.
func AppendHeader(dst []byte, columns []ingest.Column) []byte {
	if len(columns) == 1 && columns[0].Name == `\.` {
		return append(dst, `"\."`+"\n"...)
	}
	for i, c := range columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, c.Name)
	}
	return append(dst, '\n')
}
