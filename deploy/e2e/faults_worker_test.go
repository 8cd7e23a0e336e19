//go:build faults

package e2e

import (
	"fmt"
	"testing"

	"github.com/pharmavida/ingesta/deploy/e2e/testbed"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// workerScenarios break workers.
func workerScenarios() []scenario {
	return []scenario{
		{id: 1, name: "a worker dies in the middle of an upload", guard: "", run: workerDies},
		{id: 2, name: "a worker freezes past its lease", guard: "", run: workerFreezes},
	}
}

// A worker that is killed leaves an upload and a lease. Another takes the job over once the lease is
// dead, with a greater fence, and aborts the upload.
func workerDies(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	lake := servers.NewLake(t)
	first := sys.Work(ingest.PostgreSQL, lake.Env()...)
	sys.Baseline()
	gate := lake.HoldAt(t, testbed.UploadPart, 2)
	id := sys.Submit(ingest.PostgreSQL, testbed.Large)
	sys.Signal("a part of the object is being sent", gate.Reached())
	before := sys.Running(id, 1)
	if uploads := sys.Uploads(); len(uploads) != 1 {
		t.Fatalf("uploads under way: %v; want one", uploads)
	}
	first.Kill()

	sys.Work(ingest.PostgreSQL)
	job := sys.Ended(id)
	if job.Status != ingest.Success || job.Attempt != 2 || job.Fence <= before.Fence || job.Attempts[0].Outcome != "expired" {
		t.Errorf("the job ended as %s in attempt %d with fence %d after %d: %+v", job.Status, job.Attempt, job.Fence, before.Fence, job.Attempts)
	}
	if uploads := sys.Uploads(); len(uploads) > 0 {
		t.Errorf("the upload of the dead worker is left: %v", uploads)
	}
	sys.RequireSound()
	return fmt.Sprintf("Killed in the middle of an object of %d bytes; the second attempt redid it.", job.Results[0].Bytes)
}

// A frozen worker loses its lease without knowing. Another wins; when the first goes on, all that it
// still does is refused.
func workerFreezes(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	lake := servers.NewLake(t)
	frozen := sys.Work(ingest.PostgreSQL, lake.Env()...)
	sys.Baseline()
	gate := lake.HoldAt(t, testbed.CompleteUpload, 1)
	id := sys.Submit(ingest.PostgreSQL, testbed.Large)
	sys.Signal("the object is about to be completed", gate.Reached())
	frozen.Freeze()

	sys.Work(ingest.PostgreSQL)
	job := sys.Ended(id)
	frozen.Thaw()
	gate.Open() // its completion arrives late
	if job.Status != ingest.Success || job.Attempt != 2 {
		t.Errorf("the job ended as %s in attempt %d", job.Status, job.Attempt)
	}
	sys.RequireSound()
	return "The late completion of the frozen worker changed nothing."
}
