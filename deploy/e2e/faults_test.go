//go:build faults

package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
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

// TestFaults breaks the system in every way that it must survive, on servers of its own and with
// real processes, and writes .local/faults.json. A scenario that cannot be provoked on this machine
// is in there with the reason, and not as passed.
func TestFaults(t *testing.T) {
	servers := testbed.Up(t, "faults")
	var outcomes []outcome
	defer func() {
		text, err := json.MarshalIndent(outcomes, "", "  ")
		if err == nil {
			err = os.WriteFile(servers.Local("faults.json"), append(text, '\n'), 0o644)
		}
		if err != nil {
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
