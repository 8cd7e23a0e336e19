package extracttest

import (
	"reflect"
	"testing"
)

func TestReadCSV(t *testing.T) {
	null, text := Field{Null: true}, func(s string) Field { return Field{Text: s} }
	tests := []struct {
		csv  string
		want [][]Field // nil: an error
	}{
		{"a,b\n", [][]Field{{text("a"), text("b")}}},
		{"\n", [][]Field{{null}}},
		{",\"\"\n", [][]Field{{null, text("")}}},
		{"\"a\"\"\r\n\",\nx,y\n", [][]Field{{text("a\"\r\n"), null}, {text("x"), text("y")}}},
		{"\"\\.\"\n", [][]Field{{text(`\.`)}}},
		{"a", nil},
		{"a,", nil},
		{"\"a,", nil},
		{"\"a,\"b\n", nil},
		{"\"a\"\n", nil},
		{"\"\\.\",a\n", nil},
		{"a\"b\n", nil},
		{"a\rb\n", nil},
	}
	for _, test := range tests {
		got, err := ReadCSV([]byte(test.csv))
		if (err != nil) != (test.want == nil) || !reflect.DeepEqual(got, test.want) {
			t.Errorf("ReadCSV(%q) = %v, %v; want %v", test.csv, got, err, test.want)
		}
	}
}
