package encode_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/workers/encode"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// written returns what a Writer makes of the records that fill writes.
func written(t *testing.T, fill func(w *encode.Writer) error) []byte {
	t.Helper()
	var out bytes.Buffer
	w := encode.NewWriter(&out)
	if err := fill(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// single returns the one field that write writes, without the end of its record.
func single(t *testing.T, write func(w *encode.Writer)) string {
	t.Helper()
	csv := written(t, func(w *encode.Writer) error {
		write(w)
		return w.EndRow()
	})
	return string(bytes.TrimSuffix(csv, []byte("\n")))
}

// FuzzText writes two records of arbitrary fields and reads them back. The byte kinds says for
// each field whether it is NULL.
func FuzzText(f *testing.F) {
	f.Add("", "a,b", "\"\r\n", byte(0))
	f.Add(`\.`, "\n", "💊", byte(5))
	f.Add(`""`, ",", "\xff\x00", byte(7))
	f.Fuzz(func(t *testing.T, a, b, c string, nulls byte) {
		wide := []extracttest.Field{{Text: a}, {Text: b}, {Text: c}}
		for i := range wide {
			if nulls>>i&1 == 1 {
				wide[i] = extracttest.Field{Null: true}
			}
		}
		want := [][]extracttest.Field{wide, wide[:1]}

		csv := written(t, func(w *encode.Writer) error {
			for _, record := range want {
				for i, f := range record {
					switch {
					case f.Null:
						w.Null()
					case i%2 == 0:
						w.String(f.Text)
					default:
						w.Text([]byte(f.Text))
					}
				}
				if err := w.EndRow(); err != nil {
					return err
				}
			}
			return nil
		})
		got, err := extracttest.ReadCSV(csv)
		if err != nil {
			t.Fatalf("the reader refuses %q: %v", csv, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("wrote %v as %q, read back %v", want, csv, got)
		}
	})
}

// FuzzJSON checks that compacting a document changes nothing that it says.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a": [1, 2.50, null], "a": "x y"}`))
	f.Add([]byte(` "\u00e9" `))
	f.Add([]byte(`{broken`))
	f.Fuzz(func(t *testing.T, document []byte) {
		csv := written(t, func(w *encode.Writer) error {
			w.JSON(document)
			return w.EndRow()
		})
		records, err := extracttest.ReadCSV(csv)
		if err != nil || len(records) != 1 || len(records[0]) != 1 {
			t.Fatalf("wrote %q as %q, read back %v, %v", document, csv, records, err)
		}
		got := records[0][0].Text
		if !json.Valid(document) {
			if got != string(document) {
				t.Errorf("invalid JSON %q came out as %q, want it unchanged", document, got)
			}
			return
		}
		if !reflect.DeepEqual(tokens([]byte(got)), tokens(document)) {
			t.Errorf("%q came out as %q, which says something else", document, got)
		}
		if len(got) > len(document) {
			t.Errorf("%q grew to %q", document, got)
		}
	})
}

// FuzzCompact checks that documents come out as encoding/json compacts them, and that the two agree on
// what a document is.
func FuzzCompact(f *testing.F) {
	for _, document := range []string{
		``, ` `, `null`, ` true `, `false,`, `nul`, `0`, `-0`, `-`, `01`, `1.`, `1.5e`, `1.5E+07`, `.5`, `1 2`,
		`""`, `"a`, `"\u00e9\n\"\\"`, `"\u00g0"`, `"\x"`, "\"a\nb\"", "\"\x7f\xff\u2028<&>\"", `"\`, `"\u00`,
		`[]`, `[ ]`, `[1 , 2]`, `[1,]`, `[,1]`, `[1}`, `{]`, `{}`, ` { "a" : [ { } , "b" ] , "a" : null } `, `{"a"}`, `{"a":}`, `{"a":1,}`, `{1:2}`,
		`[[[[[]]]]]`, `]`, `}`, `{"a":1}{`, strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001), strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
	} {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		var compact bytes.Buffer
		if err := json.Compact(&compact, document); err != nil {
			compact.Reset()
			compact.Write(document)
		}
		got := single(t, func(w *encode.Writer) { w.String("a"); w.JSON(document); w.Null() })
		want := single(t, func(w *encode.Writer) { w.String("a"); w.Text(compact.Bytes()); w.Null() })
		if got != want {
			t.Errorf("%.200q came out as %.200q, want %.200q", document, got, want)
		}
	})
}

// tokens returns what a document says: its tokens in order, numbers as their digits.
func tokens(document []byte) []json.Token {
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	var all []json.Token
	for {
		token, err := dec.Token()
		if err != nil {
			return all
		}
		all = append(all, token)
	}
}

// FuzzFloat checks that floats read back as the same bits.
func FuzzFloat(f *testing.F) {
	for _, seed := range []float64{0, 0.1, 1e15, 1e-4, math.MaxFloat64, math.Pi} {
		f.Add(math.Float64bits(seed))
	}
	f.Fuzz(func(t *testing.T, bits uint64) {
		double := math.Float64frombits(bits)
		text := single(t, func(w *encode.Writer) { w.Float(double) })
		if back, err := strconv.ParseFloat(text, 64); err != nil || back != double && !(math.IsNaN(back) && math.IsNaN(double)) {
			t.Errorf("%x came out as %s, which reads back as %v, %v", bits, text, back, err)
		}
		short := math.Float32frombits(uint32(bits))
		text = single(t, func(w *encode.Writer) { w.Float32(short) })
		if back, err := strconv.ParseFloat(text, 32); err != nil || float32(back) != short && !(math.IsNaN(back) && short != short) {
			t.Errorf("%x in single precision came out as %s, which reads back as %v, %v", uint32(bits), text, back, err)
		}
	})
}

// FuzzTime checks that instants of the years 1 to 9999 read back to the microsecond.
func FuzzTime(f *testing.F) {
	f.Add(int64(0), int64(0))
	f.Add(int64(-1), int64(999_999_999))
	f.Fuzz(func(t *testing.T, seconds, nanos int64) {
		want := time.Unix(seconds, nanos).UTC().Truncate(time.Microsecond)
		if y := want.Year(); y < 1 || y > 9999 {
			t.Skip()
		}
		text := single(t, func(w *encode.Writer) { w.Time(want) })
		got, err := time.Parse("2006-01-02 15:04:05.999999-07", text)
		if err != nil || !got.Equal(want) {
			t.Errorf("%v came out as %s, which reads back as %v, %v", want, text, got, err)
		}
	})
}
