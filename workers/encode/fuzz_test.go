package encode

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"testing"
	"time"
)

// FuzzText writes two records of arbitrary fields and reads them back. The byte kinds says for
// each field whether it is NULL.
func FuzzText(f *testing.F) {
	f.Add("", "a,b", "\"\r\n", byte(0))
	f.Add(`\.`, "\n", "💊", byte(5))
	f.Add(`""`, ",", "\xff\x00", byte(7))
	f.Fuzz(func(t *testing.T, a, b, c string, nulls byte) {
		wide := []field{{text: a}, {text: b}, {text: c}}
		for i := range wide {
			if nulls>>i&1 == 1 {
				wide[i] = field{null: true}
			}
		}
		want := [][]field{wide, wide[:1]}

		var out bytes.Buffer
		w := NewWriter(&out)
		for _, record := range want {
			for i, f := range record {
				switch {
				case f.null:
					w.Null()
				case i%2 == 0:
					w.String(f.text)
				default:
					w.Text([]byte(f.text))
				}
			}
			if err := w.EndRow(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		got, err := readCSV(out.Bytes())
		if err != nil {
			t.Fatalf("the reader refuses %q: %v", out.Bytes(), err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("wrote %v as %q, read back %v", want, out.Bytes(), got)
		}
	})
}

// FuzzJSON checks that compacting a document changes nothing that it says.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a": [1, 2.50, null], "a": "x y"}`))
	f.Add([]byte(` "\u00e9" `))
	f.Add([]byte(`{broken`))
	f.Fuzz(func(t *testing.T, document []byte) {
		var out bytes.Buffer
		w := NewWriter(&out)
		w.JSON(document)
		if err := w.EndRow(); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		records, err := readCSV(out.Bytes())
		if err != nil || len(records) != 1 || len(records[0]) != 1 {
			t.Fatalf("wrote %q as %q, read back %v, %v", document, out.Bytes(), records, err)
		}
		got := records[0][0].text
		if !json.Valid(document) {
			if got != string(document) {
				t.Errorf("invalid JSON %q came out as %q, want it unchanged", document, got)
			}
			return
		}
		if !reflect.DeepEqual(tokens(t, []byte(got)), tokens(t, document)) {
			t.Errorf("%q came out as %q, which says something else", document, got)
		}
		if len(got) > len(document) {
			t.Errorf("%q grew to %q", document, got)
		}
	})
}

// tokens returns what a document says: its tokens in order, numbers as their digits.
func tokens(t *testing.T, document []byte) []json.Token {
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
		text := string(appendFloat(nil, double, 64))
		if back, err := strconv.ParseFloat(text, 64); err != nil || back != double && !(math.IsNaN(back) && math.IsNaN(double)) {
			t.Errorf("%x came out as %s, which reads back as %v, %v", bits, text, back, err)
		}
		single := math.Float32frombits(uint32(bits))
		text = string(appendFloat(nil, float64(single), 32))
		if back, err := strconv.ParseFloat(text, 32); err != nil || float32(back) != single && !(math.IsNaN(back) && single != single) {
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
		text := string(appendTime(nil, want))
		got, err := time.Parse("2006-01-02 15:04:05.999999-07", text)
		if err != nil || !got.Equal(want) {
			t.Errorf("%v came out as %s, which reads back as %v, %v", want, text, got, err)
		}
	})
}
