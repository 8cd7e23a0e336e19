package ingest

import "testing"

// Every pair of states, legal or not.
func TestTransitions(t *testing.T) {
	legal := map[Status][]Status{
		Queued:  {Running, Cancelled},
		Running: {Running, Queued, Success, Partial, Failed, Cancelled},
	}
	for _, from := range Statuses() {
		for _, to := range Statuses() {
			want := false
			for _, s := range legal[from] {
				want = want || s == to
			}
			if got := from.CanBecome(to); got != want {
				t.Errorf("%s → %s: CanBecome = %v, want %v", from, to, got, want)
			}
			if from.Terminal() && from.CanBecome(to) {
				t.Errorf("%s is terminal and may become %s", from, to)
			}
		}
	}
}

func TestParseStatus(t *testing.T) {
	for _, s := range Statuses() {
		if got, err := ParseStatus(string(s)); err != nil || got != s {
			t.Errorf("ParseStatus(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "QUEUED", "completed"} {
		if _, err := ParseStatus(s); err == nil {
			t.Errorf("ParseStatus(%q) accepted it", s)
		}
	}
}

func TestConclude(t *testing.T) {
	done, broken, pending := Result{State: Done}, Result{State: Broken}, Result{State: Pending}
	tests := []struct {
		name    string
		results Results
		want    Status
	}{
		{"none", nil, Failed},
		{"all done", Results{done, done}, Success},
		{"one failed", Results{done, broken}, Partial},
		{"one never ran", Results{done, pending}, Partial},
		{"all failed", Results{broken, broken}, Failed},
		{"none ran", Results{pending}, Failed},
	}
	for _, tt := range tests {
		if got := Conclude(tt.results); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}
