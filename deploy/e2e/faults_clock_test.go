//go:build faults

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/deploy/e2e/testbed"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// The clock by which leases are counted jumps ten minutes ahead and back, and back once more, while
// a job runs and others wait. The holder of a lease goes on under it; a dead worker's does not last
// ten minutes longer, and nor does the wait before another attempt; fences grow all the same.
func clockSkewed(t *testing.T, servers *testbed.Servers) string {
	const jump = 10 * time.Minute
	skewed := servers.NewSkewedRedis(t)
	sys := servers.With(skewed.Env()).NewSystem(t, "INGESTA_CONCURRENCY=1", "INGESTA_RETRY_DELAYS=3s")
	lake := servers.NewLake(t)
	worker := sys.Work(ingest.PostgreSQL, lake.Env()...)
	sys.Baseline()
	gate := lake.HoldAt(t, testbed.UploadPart, 2)
	running := sys.Submit(ingest.PostgreSQL, testbed.Large)
	sys.Signal("a part is being sent", gate.Reached())
	before := sys.Running(running, 1)
	waiting := []string{sys.Submit(ingest.PostgreSQL, testbed.Small)}

	for _, ahead := range []time.Duration{jump, 0, -jump} {
		skewed.Skew(t, ahead)
		job := sys.Await(running, fmt.Sprintf("is renewed by a clock %v ahead", ahead), func(j ingest.Job) bool {
			left := j.LeaseUntil.Sub(skewed.Now(t))
			return left > 0 && left <= testbed.Lease
		})
		if job.Attempt != 1 || job.Fence != before.Fence {
			t.Errorf("with the clock %v ahead the job is in attempt %d under fence %d; want 1 and %d", ahead, job.Attempt, job.Fence, before.Fence)
		}
		waiting = append(waiting, sys.Submit(ingest.PostgreSQL, testbed.Small))
	}
	skewed.Skew(t, 0)
	worker.Kill()
	skewed.Skew(t, -jump) // the dead worker's lease now ends in ten minutes
	sys.Work(ingest.PostgreSQL)
	taken := sys.Running(running, 2)
	if taken.Fence <= before.Fence {
		t.Errorf("the fence was %d and is %d: it must grow, whatever the clock shows", before.Fence, taken.Fence)
	}
	succeeded(t, sys.Ended(running), 2)
	for _, id := range waiting {
		succeeded(t, sys.Ended(id), 1)
	}

	// Between two attempts.
	skewed.Skew(t, jump)
	slow := servers.NewLake(t)
	slow.Before(func(c testbed.Call) testbed.Fate {
		if c.Op == testbed.CreateUpload && c.Number == 1 {
			return testbed.SlowDown
		}
		return testbed.Pass
	})
	sys.Work(ingest.MySQL, append(slow.Env(), "INGESTA_S3_ATTEMPTS=1")...)
	failed := sys.Submit(ingest.MySQL, testbed.Small)
	first := sys.Await(failed, "waits for its second attempt", func(j ingest.Job) bool { return j.Status == ingest.Queued && j.Attempt == 1 })
	skewed.Skew(t, 0)
	second := sys.Ended(failed)
	succeeded(t, second, 2)
	if second.Fence <= first.Fence {
		t.Errorf("the fence was %d and is %d: it must grow, whatever the clock shows", first.Fence, second.Fence)
	}
	found := sys.RequireSound()
	return fmt.Sprintf("The clock jumped by ten minutes six times; %d jobs ended once each.", found.Success)
}
