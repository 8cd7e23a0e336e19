package extracttest

import (
	"slices"
	"testing"
)

// Both readers of the suite see the same in a file that holds everything the dialect knows.
func TestReload(t *testing.T) {
	const file = "1,,\"\"\n\"a,b\",\"c\"\"d\",\"e\nf\"\n\\x00ff,NULL,\"\r\"\n"
	want, err := ReadCSV([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	got := Reload(t, []byte(file), 3)
	if len(got) != len(want) {
		t.Fatalf("PostgreSQL sees %d records, want %d", len(got), len(want))
	}
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("record %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// A single column, where NULL is an empty line and \\. must not end the data.
func TestReloadOneColumn(t *testing.T) {
	got := Reload(t, []byte("a\n\n\"\"\n\"\\.\"\nb\n"), 1)
	want := []Field{{Text: "a"}, {Null: true}, {}, {Text: `\.`}, {Text: "b"}}
	if !slices.Equal(slices.Concat(got...), want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
