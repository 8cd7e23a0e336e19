package postgresql

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/pharmavida/ingesta/workers/encode"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// FuzzRecode checks that recoding changes nothing but the space in JSON columns.
func FuzzRecode(f *testing.F) {
	f.Add("a", `{"a": 1}`, `"`)
	f.Add("", ",\n\r", `""`)
	f.Add(`\.`, `"`, "")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		var row bytes.Buffer
		w := encode.NewWriter(&row)
		w.String(a)
		w.String(b)
		w.Null()
		w.String(c)
		if err := w.EndRow(); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		w = encode.NewWriter(&want)
		w.String(a)
		w.JSON([]byte(b))
		w.Null()
		w.String(c)
		if err := w.EndRow(); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}

		var got bytes.Buffer
		r := newRecoder([]recoding{{}, {json: true}, {json: true}, {}}, &got)
		r.rows(row.Bytes())
		r.flush()
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("recoding %q gave %q, want %q", row.Bytes(), got.Bytes(), want.Bytes())
		}
		if _, err := extracttest.ReadCSV(got.Bytes()); err != nil {
			t.Errorf("the reader refuses %q: %v", got.Bytes(), err)
		}
	})
}

func TestCutField(t *testing.T) {
	var got []string
	for row := []byte("a,\"b,\"\"c\"\"\",,\"\",\"\"\"\"\n"); len(row) > 0; {
		var field []byte
		field, row = cutField(row)
		got = append(got, string(field))
	}
	if want := []string{"a", `"b,""c"""`, "", `""`, `""""`}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
