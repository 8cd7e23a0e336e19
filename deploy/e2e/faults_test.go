//go:build faults

package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/deploy/e2e/testbed"
)

var quick = flag.Bool("quick", false, "run the quick scenarios only")

// scenario is one way in which the system is broken. It fails the test unless what is expected comes
// about, and ends with an audit.
type scenario struct {
	id    int
	name  string
	guard string // the code whose removal was seen to make it fail
	slow  bool   // left out of the quick half
	run   func(t *testing.T, servers *testbed.Servers) (detail string)
}

// outcome is an entry of .local/faults.json.
type outcome struct {
	ID      int     `json:"id"`
	Name    string  `json:"name"`
	Passed  bool    `json:"passed"`
	Seconds float64 `json:"seconds"`
	Detail  string  `json:"detail"`
}

// scenarios returns all of them by number.
func scenarios() []scenario {
	var all []scenario
	all = append(all, workerScenarios()...)
	all = append(all, brokerScenarios()...)
	all = append(all, storeScenarios()...)
	return all
}

// record files the outcomes of a run in the file, by id. What the file holds of other scenarios stays:
// a run of some of them forgets none of the rest, and one of all leaves nothing old.
func record(path string, outcomes []outcome) error {
	var stored []outcome
	if text, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(text, &stored) // what cannot be read is written anew
	}
	latest := map[int]outcome{}
	for _, o := range append(stored, outcomes...) {
		latest[o.ID] = o
	}
	merged := []outcome{}
	for _, s := range scenarios() {
		if o, ok := latest[s.id]; ok {
			merged = append(merged, o)
		}
	}
	slices.SortFunc(merged, func(a, b outcome) int { return a.ID - b.ID })
	text, err := json.MarshalIndent(merged, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// A run of one scenario replaces what is known of that one.
func TestFaultsRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults.json")
	const unknown = 4711 // of a scenario that is no more
	if err := os.WriteFile(path, fmt.Appendf(nil, `[{"id": 7, "name": "old"}, {"id": 3, "name": "kept"}, {"id": %d}]`, unknown), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, run := range [][]outcome{nil, {{ID: 7, Name: "new"}, {ID: 5, Name: "first"}}} {
		if err := record(path, run); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []outcome
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if want := []outcome{{ID: 3, Name: "kept"}, {ID: 5, Name: "first"}, {ID: 7, Name: "new"}}; !slices.Equal(got, want) {
		t.Errorf("the file holds %v, want %v", got, want)
	}
}

// TestFaults breaks the system in every way that it must survive, on servers of its own and with
// real processes, and writes .local/faults.json. A scenario that cannot be provoked on this machine
// is in there with the reason, and not as passed.
func TestFaults(t *testing.T) {
	servers := testbed.Up(t, "faults")
	var outcomes []outcome
	defer func() {
		if err := record(servers.Local("faults.json"), outcomes); err != nil {
			t.Errorf("writing the outcomes: %v", err)
		}
	}()
	for _, s := range scenarios() {
		if *quick && s.slow {
			continue
		}
		var detail string
		begun := time.Now()
		skipped := true // also when -run leaves it out
		ran := false
		passed := t.Run(fmt.Sprintf("%02d %s", s.id, s.name), func(t *testing.T) {
			ran = true
			defer func() { skipped = t.Skipped() }()
			detail = s.run(t, servers)
		})
		if !ran {
			continue
		}
		switch {
		case skipped:
			passed, detail = false, "not provoked on this machine: "+detail
		case !passed:
			detail = "failed: see the output of the test"
		default:
			detail = strings.TrimSpace(detail + " Guard: " + s.guard)
		}
		outcomes = append(outcomes, outcome{s.id, s.name, passed, time.Since(begun).Seconds(), detail})
	}
}
