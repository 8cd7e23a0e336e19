package main

import "testing"

func TestTable(t *testing.T) {
	got := table([][]string{{"case", "ours", "met"}, {"ñandú", "1,234 s", "yes"}, {"b", "≤ 1"}})
	want := "case      ours  met\n" +
		"ñandú  1,234 s  yes\n" +
		"b          ≤ 1\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNumber(t *testing.T) {
	for value, want := range map[float64]string{
		0.0833: "0.083", 1.1: "1.10", 12.34: "12.3", 123.4: "123", 999.6: "1,000", 1234567: "1,234,567", 12345: "12,345",
	} {
		if got := number(value); got != want {
			t.Errorf("number(%v) = %s; want %s", value, got, want)
		}
	}
}
