package readers

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/workers/encode"
)

// What is hard for readers of CSV reads the same everywhere.
func TestHostileText(t *testing.T) {
	texts := []string{
		"", "plain", " leading and trailing ", "a,b", `"`, `""`, `"quoted"`, "line\nbreak", "carriage\rreturn", "both\r\nof them", "\n", "\r\n", ",", `\`, `\.`, `\N`, "NULL", "null",
		"ñandú ✓ 👩‍⚕️", "\ufeffbyte order mark", "\t", "'", ";", "#comment", "=1+1", "0x00", "1e5", "true", strings.Repeat(`x",`+"\n", 5000),
	}
	var file bytes.Buffer
	w := encode.NewWriter(&file)
	for i, text := range texts {
		w.Text([]byte(text))
		if i%3 == 0 {
			w.Null()
		} else {
			w.Int(int64(i))
		}
		w.Text([]byte(texts[len(texts)-1-i]))
		if err := w.EndRow(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	records := agree(t, file.Bytes(), 3)
	if len(records) != len(texts) {
		t.Fatalf("there are %d records, want %d", len(records), len(texts))
	}
	for i, text := range texts {
		if records[i][0].Null || records[i][0].Text != text {
			t.Errorf("record %d begins with %v, want %q", i, records[i][0], text)
		}
	}
}

// Values that a columnar engine is told the types of come out as what they were.
func TestTypedValues(t *testing.T) {
	var file bytes.Buffer
	w := encode.NewWriter(&file)
	for range 2 {
		w.Uint(math.MaxUint64)
		w.Int(math.MinInt64)
		w.Float(math.MaxFloat64)
		w.Float(5e-324)
		w.Float(math.Inf(-1))
		w.Bool(true)
		w.Time(time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC))
		w.WallTime([]byte("2025-01-02 03:04:05.120000"))
		w.UUID([16]byte{0xde, 0xad, 0xbe, 0xef, 15: 1})
		w.Raw([]byte("-12345678901234567890123456.789"))
		w.Raw([]byte("2024-02-29"))
		if err := w.EndRow(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	const types = `'a': 'UBIGINT', 'b': 'BIGINT', 'c': 'DOUBLE', 'd': 'DOUBLE', 'e': 'DOUBLE', 'f': 'BOOLEAN', 'g': 'TIMESTAMPTZ',
		'h': 'TIMESTAMP', 'i': 'UUID', 'j': 'DECIMAL(38, 3)', 'k': 'DATE'`
	const holds = `a = 18446744073709551615 AND b = -9223372036854775808 AND c = 1.7976931348623157e308 AND d = 5e-324 AND e = '-inf'::DOUBLE AND f
		AND epoch_us(g) = -1 AND h = TIMESTAMP '2025-01-02 03:04:05.12' AND i = 'deadbeef-0000-0000-0000-000000000001'::UUID
		AND j = -12345678901234567890123456.789::DECIMAL(38, 3) AND k = DATE '2024-02-29'`
	got := query(t, "SELECT (count(*) FILTER (WHERE "+holds+"))::VARCHAR FROM "+scan(t, file.Bytes(), types, false), 1)
	if got[0][0].Text != "2" {
		t.Errorf("DuckDB sees the values that were written in %s records, want 2:\n%s", got[0][0].Text, &file)
	}
}
