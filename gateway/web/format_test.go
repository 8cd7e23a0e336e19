package web

import (
	"strings"
	"testing"
	"time"
)

func TestFormats(t *testing.T) {
	views, err := newViews(assets{names: map[string]string{}})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2025, 9, 7, 5, 4, 3, 0, time.FixedZone("", -5*3600))
	for tag, wants := range map[string][]string{
		"en":     {"1,234,567", "0.5", "12", "999 B", "1 kB", "1.5 MB", "2.3 TB", "7 Sep 2025, 10:04:03 UTC", "7 Sep 2025, 10:04"},
		"es":     {"1.234.567", "0,5", "12", "999 B", "1 kB", "1,5 MB", "2,3 TB", "7 sept 2025, 10:04:03 UTC", "7 sept 2025, 10:04"},
		"es-419": {"1,234,567", "0.5", "12", "999 B", "1 kB", "1.5 MB", "2.3 TB", "7 sept 2025, 10:04:03 UTC", "7 sept 2025, 10:04"},
	} {
		f := views[tag].format
		got := []string{
			f.whole(1234567), f.decimal(0.5), f.decimal(12), f.bytes(999), f.bytes(1000), f.bytes(1_500_000), f.bytes(2_345_678_901_234), f.stamp(at), f.minute(at),
		}
		for i, want := range wants {
			if said := strings.ReplaceAll(got[i], space, " "); said != want {
				t.Errorf("%s: %q, want %q", tag, said, want)
			}
		}
	}
	for d, want := range map[time.Duration]string{
		-time.Second: "0 ms", 0: "0 ms", 999 * time.Millisecond: "999 ms", time.Second: "1 s", 1250 * time.Millisecond: "1.2 s", 59940 * time.Millisecond: "59.9 s",
		59960 * time.Millisecond: "1 min 00 s", 61 * time.Second: "1 min 01 s", 59*time.Minute + 59*time.Second + 600*time.Millisecond: "1 h 00 min",
		2*time.Hour + 14*time.Minute: "2 h 14 min", 49 * time.Hour: "2 d 01 h",
	} {
		if got := strings.ReplaceAll(views["en"].format.duration(d), space, " "); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
	if got := strings.ReplaceAll(views["en"].format.bytes(999_960), space, " "); got != "1 MB" {
		t.Errorf("999,960 bytes are %q", got)
	}
}
