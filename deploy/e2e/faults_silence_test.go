//go:build faults

package e2e

import (
	"testing"

	"github.com/pharmavida/ingesta/deploy/e2e/testbed"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// A database server that is frozen in mid-stream closes no connection and sends nothing. The worker
// gives it up, the job is not held for ever, and a later attempt delivers every row.
func TestFrozenSource(t *testing.T) {
	if *quick {
		t.Skip("not one of the quick half")
	}
	servers := testbed.Up(t, "faults")
	for db, prefix := range map[ingest.Database]string{
		ingest.MongoDB: "MONGO", ingest.MySQL: "SOURCE_MYSQL", ingest.PostgreSQL: "POSTGRES",
	} {
		t.Run(string(db), func(t *testing.T) {
			sys := servers.NewSystem(t, "INGESTA_SOURCE_SILENCE=5s")
			wire, lake := servers.NewWire(t, prefix), servers.NewLake(t)
			sys.Work(db, append(wire.Env(), lake.Env()...)...)
			gate := lake.HoldAt(t, testbed.UploadPart, 1)
			id := sys.Submit(db, testbed.Large)
			sys.Signal("the export is in mid-stream", gate.Reached())
			wire.Hold(testbed.FromServer) // as a server that is frozen, or a network that swallows
			gate.Open()
			sys.Await(id, "has given the source up", func(j ingest.Job) bool {
				return len(j.Attempts) > 0 && j.Attempts[0].Outcome == ingest.OutcomeRetry
			})
			if uploads := sys.Uploads(); len(uploads) > 0 {
				t.Errorf("uploads are left after the failed attempt: %v", uploads)
			}
			wire.Mend()
			wire.Break()
			if job := sys.Ended(id); job.Status != ingest.Success || job.Attempts[0].Code != ingest.SourceUnavailable {
				t.Errorf("the job ended as %s after %+v", job.Status, job.Attempts)
			}
			sys.RequireSound()
		})
	}
}
