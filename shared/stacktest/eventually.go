package stacktest

import (
	"testing"
	"time"
)

// patience bounds every wait of Eventually. It only matters when something is broken.
const patience = time.Minute

// Eventually asks again and again until the condition holds, and fails the test when it does not
// in the end. what says it in words: "the job is over".
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}
