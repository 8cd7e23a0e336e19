package encode

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

func TestFields(t *testing.T) {
	lima := time.FixedZone("Lima", -5*60*60)
	tests := []struct {
		name  string
		write func(w *Writer)
		want  string
	}{
		{"null", func(w *Writer) { w.Null(); w.Null() }, ","},
		{"one null", func(w *Writer) { w.Null() }, ""},
		{"empty text", func(w *Writer) { w.Text(nil); w.String("") }, `"",""`},
		{"plain text", func(w *Writer) { w.Text([]byte("Ñandú 5 mg")) }, "Ñandú 5 mg"},
		{"spaces", func(w *Writer) { w.String(" a ") }, " a "},
		{"comma", func(w *Writer) { w.String("a,b") }, `"a,b"`},
		{"quotes", func(w *Writer) { w.String(`"a""b"`) }, `"""a""""b"""`},
		{"one quote", func(w *Writer) { w.String(`"`) }, `""""`},
		{"newline", func(w *Writer) { w.String("a\nb") }, "\"a\nb\""},
		{"carriage return", func(w *Writer) { w.String("a\r") }, "\"a\r\""},
		{"both", func(w *Writer) { w.String("\r\n") }, "\"\r\n\""},
		{"4-byte UTF-8", func(w *Writer) { w.String("💊") }, "💊"},
		{"end of data alone", func(w *Writer) { w.String(`\.`) }, `"\."`},
		{"end of data, raw", func(w *Writer) { w.Raw([]byte(`\.`)) }, `"\."`},
		{"end of data beside others", func(w *Writer) { w.String(`\.`); w.Int(1) }, `\.,1`},
		{"begins like the end of data", func(w *Writer) { w.String(`\.x`) }, `\.x`},
		{"raw", func(w *Writer) { w.Raw([]byte("12.50")); w.Raw(nil) }, "12.50,"},

		{"integers", func(w *Writer) { w.Int(math.MinInt64); w.Uint(math.MaxUint64) }, "-9223372036854775808,18446744073709551615"},
		{"bool", func(w *Writer) { w.Bool(true); w.Bool(false) }, "true,false"},

		{"floats", func(w *Writer) { w.Float(3.5); w.Float(0.1); w.Float(-2); w.Float(0) }, "3.5,0.1,-2,0"},
		{"minus zero", func(w *Writer) { w.Float(math.Copysign(0, -1)) }, "-0"},
		{"large float", func(w *Writer) { w.Float(999999999999999.9); w.Float(1e15); w.Float(1e100) }, "999999999999999.9,1e+15,1e+100"},
		{"small float", func(w *Writer) { w.Float(0.0001); w.Float(0.00001); w.Float(-1.5e-7) }, "0.0001,1e-05,-1.5e-07"},
		{"not finite", func(w *Writer) { w.Float(math.NaN()); w.Float(math.Inf(1)); w.Float(math.Inf(-1)) }, "NaN,Infinity,-Infinity"},
		{"extreme floats", func(w *Writer) { w.Float(math.MaxFloat64); w.Float(math.SmallestNonzeroFloat64) }, "1.7976931348623157e+308,5e-324"},
		{"single precision", func(w *Writer) { w.Float32(0.1); w.Float32(999999); w.Float32(1e6); w.Float32(1e-4) }, "0.1,999999,1e+06,0.0001"},

		{"time", func(w *Writer) { w.Time(time.Date(2025, 1, 2, 15, 30, 45, 0, time.UTC)) }, "2025-01-02 15:30:45+00"},
		{"time elsewhere", func(w *Writer) { w.Time(time.Date(2025, 1, 2, 19, 0, 0, 0, lima)) }, "2025-01-03 00:00:00+00"},
		{"milliseconds", func(w *Writer) { w.Time(time.UnixMilli(1735831845120)) }, "2025-01-02 15:30:45.12+00"},
		{"microseconds", func(w *Writer) { w.Time(time.Date(2025, 1, 2, 0, 0, 0, 1999, time.UTC)) }, "2025-01-02 00:00:00.000001+00"},
		{"nanoseconds are dropped", func(w *Writer) { w.Time(time.Date(2025, 1, 2, 0, 0, 0, 999, time.UTC)) }, "2025-01-02 00:00:00+00"},
		{"before 1970", func(w *Writer) { w.Time(time.UnixMilli(-1)) }, "1969-12-31 23:59:59.999+00"},
		{"first year", func(w *Writer) { w.Time(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)) }, "0001-01-01 00:00:00+00"},
		{"before the first year", func(w *Writer) { w.Time(time.Date(-43, 3, 15, 0, 0, 0, 0, time.UTC)) }, "0044-03-15 00:00:00+00 BC"},
		{"the year 0", func(w *Writer) { w.Time(time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC)) }, "0001-12-31 00:00:00+00 BC"},
		{"after 9999", func(w *Writer) { w.Time(time.Date(12345, 6, 7, 8, 9, 10, 0, time.UTC)) }, "12345-06-07 08:09:10+00"},
		{"wall time", func(w *Writer) {
			w.WallTime([]byte("2025-01-02 00:00:00"))
			w.WallTime([]byte("2025-01-02 00:00:00.000000"))
			w.WallTime([]byte("2025-01-02 00:00:00.120000"))
		}, "2025-01-02 00:00:00,2025-01-02 00:00:00,2025-01-02 00:00:00.12"},
		{"instant as text", func(w *Writer) { w.UTCTime([]byte("2025-01-02 00:00:10.100")) }, "2025-01-02 00:00:10.1+00"},

		{"hex", func(w *Writer) { w.Hex([]byte{0, 0xde, 0xff}); w.Hex(nil) }, `\x00deff,\x`},
		{"uuid", func(w *Writer) {
			w.UUID([16]byte{0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0xff})
		}, "123e4567-e89b-12d3-a456-4266141740ff"},

		{"json", func(w *Writer) { w.JSON([]byte(` { "b" : 1.50, "a": [ 1 , 2 ], "b":"x  y" } `)) },
			`"{""b"":1.50,""a"":[1,2],""b"":""x  y""}"`},
		{"json numbers keep their digits", func(w *Writer) { w.JSON([]byte(`12345678901234567890.10E+5`)) }, "12345678901234567890.10E+5"},
		{"json escapes stay", func(w *Writer) { w.JSON([]byte(`"<\u00e9\n>"`)) }, `"""<\u00e9\n>"""`},
		{"json null is a document", func(w *Writer) { w.JSON([]byte(`null`)) }, "null"},
		{"json without need of quotes", func(w *Writer) { w.JSON([]byte(`[ ]`)) }, "[]"},
		{"broken json is text", func(w *Writer) { w.JSON([]byte(`{a, "b`)); w.JSON(nil) }, `"{a, ""b",""`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			w := NewWriter(&out)
			test.write(w)
			if err := w.EndRow(); err != nil {
				t.Fatalf("EndRow: %v", err)
			}
			if err := w.Flush(); err != nil {
				t.Fatalf("Flush: %v", err)
			}
			if got := out.String(); got != test.want+"\n" {
				t.Errorf("got %q, want %q and a newline", got, test.want)
			}
		})
	}
}

func TestAppendHeader(t *testing.T) {
	tests := []struct {
		columns []string
		want    string
	}{
		{[]string{"_id", "nombre"}, "_id,nombre\n"},
		{[]string{`a"b`, "c,d"}, `"a""b","c,d"` + "\n"},
		{[]string{`\.`}, `"\."` + "\n"},
	}
	for _, test := range tests {
		var columns []ingest.Column
		for _, name := range test.columns {
			columns = append(columns, ingest.Column{Name: name})
		}
		if got := string(AppendHeader([]byte("x"), columns)); got != "x"+test.want {
			t.Errorf("header of %q: got %q, want %q after what was there", test.columns, got, test.want)
		}
	}
}

func TestBlankLinesAreWarnedOf(t *testing.T) {
	w := NewWriter(io.Discard)
	w.String("")
	_ = w.EndRow()
	if got := w.Warnings(); len(got) != 0 {
		t.Errorf("an empty string gave the warnings %q, want none", got)
	}
	for range 3 {
		w.Null()
		_ = w.EndRow()
	}
	if got := w.Warnings(); len(got) != 1 || !strings.HasPrefix(got[0], "3 records") {
		t.Errorf("three records of one NULL gave the warnings %q, want one that counts them", got)
	}
}

// chunks remembers each Write on its own.
type chunks struct {
	got [][]byte
	err error
}

func (c *chunks) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	c.got = append(c.got, bytes.Clone(p))
	return len(p), nil
}

func TestSinkReceivesWholeRecords(t *testing.T) {
	var sink chunks
	w := NewWriter(&sink)
	for range 10_000 {
		w.String("Paracetamol 500 mg, caja por 100")
		w.Int(42)
		if err := w.EndRow(); err != nil {
			t.Fatal(err)
		}
	}
	w.String("not ended")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	for i, chunk := range sink.got {
		if !bytes.HasSuffix(chunk, []byte("42\n")) {
			t.Errorf("chunk %d of %d ends inside a record: …%q", i, len(sink.got), chunk[len(chunk)-8:])
		}
		if len(chunk) > 2*flushAt {
			t.Errorf("chunk %d has %d bytes, want about %d", i, len(chunk), flushAt)
		}
	}
	if got := bytes.Count(bytes.Join(sink.got, nil), []byte("\n")); got != 10_000 {
		t.Errorf("the sink received %d records, want 10000", got)
	}
	if w.Rows() != 10_000 {
		t.Errorf("Rows is %d, want 10000", w.Rows())
	}
}

func TestGiantRecordIsNotKept(t *testing.T) {
	var sink chunks
	w := NewWriter(&sink)
	giant := strings.Repeat("x,", 4<<20)
	w.String(giant)
	w.JSON([]byte(`"` + giant + `"`))
	if err := w.EndRow(); err != nil {
		t.Fatal(err)
	}
	if got, want := len(sink.got[0]), len(`"`+giant+`","""`+giant+`"""`+"\n"); got != want {
		t.Errorf("the sink received %d bytes, want %d", got, want)
	}
	if cap(w.buf) > keepAt {
		t.Errorf("the writer keeps a buffer of %d bytes after a giant record, want at most %d", cap(w.buf), keepAt)
	}
}

// marker is a mask that shows what it was given.
type marker struct{}

func (marker) Append(dst, text []byte) []byte {
	return append(append(append(dst, '<'), text...), '>')
}

func TestMask(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	w.Null()
	w.Mask(marker{})
	w.Int(5)
	w.Mask(marker{})
	w.Text([]byte(`a "b", c`))
	w.Mask(marker{})
	w.Text(nil)
	w.Mask(marker{})
	w.Text([]byte("plain"))
	if err := w.EndRow(); err != nil {
		t.Fatal(err)
	}
	w.JSON([]byte(`{"a": "\""}`))
	w.Mask(marker{})
	if err := w.EndRow(); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	const want = `,<5>,"<a ""b"", c>",<>,plain` + "\n" + `"<{""a"":""\""""}>"` + "\n"
	if out.String() != want {
		t.Errorf("got  %s\nwant %s", &out, want)
	}
}

// A mask finds its field wherever the buffer was emptied, and touches nothing where there is none.
func TestMaskBesideFlush(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	w.String("before")
	if err := w.EndRow(); err != nil {
		t.Fatal(err)
	}
	w.Mask(marker{})
	w.Int(1)
	w.String(`\.`)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	w.Mask(marker{})
	if err := errors.Join(w.EndRow(), w.Flush()); err != nil {
		t.Fatal(err)
	}
	w.Mask(marker{})
	// Alone in a record: a mask's outcome is guarded like any field, and a quoted one is unquoted first.
	for _, mask := range []Mask{unchanged{}, marker{}} {
		w.Raw([]byte(`"\."`))
		w.Mask(mask)
		if err := errors.Join(w.EndRow(), w.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	if want := "before\n1,<\\.>\n\"\\.\"\n<\\.>\n"; out.String() != want {
		t.Errorf("got  %s\nwant %s", &out, want)
	}
}

// unchanged is a mask that hides nothing.
type unchanged struct{}

func (unchanged) Append(dst, text []byte) []byte { return append(dst, text...) }

func TestErrorOfSinkStays(t *testing.T) {
	broken := errors.New("broken")
	w := NewWriter(&chunks{err: broken})
	w.String(strings.Repeat("x", flushAt))
	if err := w.EndRow(); err != broken { //nolint:errorlint // the very error, not one around it
		t.Errorf("EndRow returned %v, want the sink's own error", err)
	}
	w.Int(1)
	if err := w.EndRow(); err != broken { //nolint:errorlint // the very error, not one around it
		t.Errorf("the next EndRow returned %v, want the sink's own error again", err)
	}
	if err := w.Flush(); err != broken { //nolint:errorlint // the very error, not one around it
		t.Errorf("Flush returned %v, want the sink's own error", err)
	}
}

func TestRecordsAllocateNothing(t *testing.T) {
	w := NewWriter(io.Discard)
	text, document, stamp := []byte(`Jarabe "Ñ", 5 mg`), []byte(`{"a": [1, 2]}`), time.Date(2025, 1, 2, 3, 4, 5, 6000, time.UTC)
	record := func() {
		w.Int(-12345)
		w.Text(text)
		w.Float(12.5)
		w.Float32(0.1)
		w.Bool(true)
		w.JSON(document)
		w.Time(stamp)
		w.Hex(text)
		w.UUID([16]byte{1})
		w.Mask(marker{})
		w.Null()
		_ = w.EndRow()
	}
	for range 1000 {
		record()
	}
	if got := testing.AllocsPerRun(10_000, record); got != 0 {
		t.Errorf("a record costs %v allocations, want none", got)
	}
}
