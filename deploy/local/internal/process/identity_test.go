package process

import (
	"os"
	"testing"
)

func TestParseStat(t *testing.T) {
	const tail = " 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 "
	tests := map[string]struct {
		line string
		want stat
		ok   bool
	}{
		"plain":                        {"77 (redis-server) S" + tail + "4242 99 1\n", stat{parent: 1, state: 'S', start: 4242}, true},
		"parentheses and blanks":       {"77 (a) R 5 (b) Z" + tail + "4242 99 1\n", stat{parent: 1, state: 'Z', start: 4242}, true},
		"cut short":                    {"77 (redis-server) S 1 77", stat{}, false},
		"nothing":                      {"", stat{}, false},
		"a start time that is no time": {"77 (x) S" + tail + "soon 99 1\n", stat{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat([]byte(test.line))
			if (err == nil) != test.ok || got != test.want {
				t.Errorf("parsed %+v, %v; want %+v, ok %v", got, err, test.want, test.ok)
			}
		})
	}
}

func TestAliveIsThisVeryProcess(t *testing.T) {
	self, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !self.Alive() {
		t.Fatal("the running test counts as dead")
	}
	if up, err := self.Uptime(); err != nil || up < 0 || up.Hours() > 1 {
		t.Errorf("the test has been running for %v (%v), want some seconds", up, err)
	}
	other := self
	other.Start++
	if other.Alive() {
		t.Error("another process with the same number, started later, counts as ours")
	}
	other = self
	other.Boot = "4c1c1a3e-0000-0000-0000-000000000000"
	if other.Alive() {
		t.Error("a process of an earlier boot counts as alive")
	}
	if (ID{}).Alive() {
		t.Error("no process counts as alive")
	}
}
