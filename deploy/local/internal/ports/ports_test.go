package ports

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

var three = []Part{{"a", "A_PORT", 18000}, {"b", "B_PORT", 18001}, {"c", "C_PORT", 18100}}

func TestChoose(t *testing.T) {
	type want map[string]int
	tests := map[string]struct {
		environment map[string]string
		remembered  map[string]int
		ours        map[string]int
		used        []int
		want        want
		problems    []string
	}{
		"defaults": {want: want{"a": 18000, "b": 18001, "c": 18100}},
		"a default in use moves to where nobody is, us included": {
			used: []int{18001}, want: want{"a": 18000, "b": 18101, "c": 18100},
		},
		"a default that meets another part's port moves on": {
			used: []int{18000}, want: want{"a": 18100, "b": 18001, "c": 18200},
		},
		"a choice once made is kept although the default is free again": {
			remembered: map[string]int{"b": 18101}, want: want{"a": 18000, "b": 18101, "c": 18100},
		},
		"what our own server uses is not taken by somebody else": {
			remembered: map[string]int{"a": 18000}, ours: map[string]int{"a": 18000}, used: []int{18000},
			want: want{"a": 18000, "b": 18001, "c": 18100},
		},
		"a remembered port that somebody took meanwhile is given up": {
			remembered: map[string]int{"a": 18300}, used: []int{18300}, want: want{"a": 18000, "b": 18001, "c": 18100},
		},
		"an explicit port wins over the remembered one": {
			environment: map[string]string{"A_PORT": "9000"}, remembered: map[string]int{"a": 18000},
			want: want{"a": 9000, "b": 18001, "c": 18100},
		},
		"an explicit port drives another part off its default": {
			environment: map[string]string{"C_PORT": "18000"}, want: want{"a": 18100, "b": 18001, "c": 18000},
		},
		"an explicit port in use is refused, not replaced": {
			environment: map[string]string{"A_PORT": "9000"}, used: []int{9000}, problems: []string{"A_PORT=9000 is in use"},
		},
		"all problems are told at once": {
			environment: map[string]string{"A_PORT": "x", "B_PORT": "70000", "C_PORT": "0"},
			problems:    []string{`A_PORT="x"`, `B_PORT="70000"`, `C_PORT="0"`},
		},
		"two parts at one explicit port": {
			environment: map[string]string{"A_PORT": "9000", "B_PORT": "9000"}, problems: []string{"B_PORT=9000 is also the port of a"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			used := map[int]bool{}
			for _, p := range test.used {
				used[p] = true
			}
			got, err := Chooser{
				Getenv:     func(name string) string { return test.environment[name] },
				Remembered: test.remembered,
				Ours:       func(part string, p int) bool { return test.ours[part] == p },
				Free:       func(p int) bool { return !used[p] },
			}.Choose(three)
			if len(test.problems) > 0 {
				if err == nil {
					t.Fatalf("chose %v, want the problems %q", got, test.problems)
				}
				for _, problem := range test.problems {
					if !strings.Contains(err.Error(), problem) {
						t.Errorf("error %q does not tell %q", err, problem)
					}
				}
				return
			}
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			for part, port := range test.want {
				if got[part] != port {
					t.Errorf("%s got port %d, want %d", part, got[part], port)
				}
			}
		})
	}
}

func TestNoFreePort(t *testing.T) {
	_, err := Chooser{
		Getenv: func(string) string { return "" },
		Ours:   func(string, int) bool { return false },
		Free:   func(int) bool { return false },
	}.Choose(three)
	if err == nil || !strings.Contains(err.Error(), "set A_PORT") {
		t.Errorf("error %v, want one that names the variable to set", err)
	}
}

// Moving by hundreds never lets two parts meet only if their last two digits differ.
func TestPartsDifferInTheirLastDigits(t *testing.T) {
	seen := map[int]string{}
	for _, part := range Parts() {
		if other := seen[part.Default%step]; other != "" {
			t.Errorf("%s and %s both end in %02d", part.Name, other, part.Default%step)
		}
		seen[part.Default%step] = part.Name
		if last := part.Default + (attempts-1)*step; last >= 32_768 {
			t.Errorf("%s may reach port %d, which the kernel hands out to clients", part.Name, last)
		}
	}
}

func TestFree(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "0.0.0.0"} {
		listener, err := net.Listen("tcp4", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := net.SplitHostPort(listener.Addr().String())
		port, _ := strconv.Atoi(text)
		if Free(port) {
			t.Errorf("port %d counts as free while somebody listens on %s", port, host)
		}
		listener.Close()
		if !Free(port) {
			t.Errorf("port %d counts as used after its listener on %s is gone", port, host)
		}
	}
}

func TestAnswers(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if !Answers(t.Context(), port) {
		t.Errorf("port %d answers, and was told not to", port)
	}
	listener.Close()
	if Answers(t.Context(), port) {
		t.Errorf("nobody listens on port %d any more, and it was told to answer", port)
	}
}
