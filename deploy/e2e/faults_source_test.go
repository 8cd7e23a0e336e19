//go:build faults

package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/pharmavida/ingesta/deploy/e2e/testbed"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// PostgreSQL ends the worker's session in mid-stream, and then its query.
func postgresKillsSession(t *testing.T, servers *testbed.Servers) string {
	return sessionKilled(t, servers, ingest.PostgreSQL, nil,
		func(ctx context.Context) error { return servers.KillSessions(ctx, ingest.PostgreSQL) },
		func(ctx context.Context) error {
			conn, err := servers.PostgreSQL(ctx)
			if err != nil {
				return err
			}
			defer conn.Close(ctx)
			_, err = conn.Exec(ctx, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND query LIKE 'COPY%'", servers.Env["POSTGRES_USER"])
			return err
		})
}

// MySQL ends the worker's connection in mid-stream, and then its query.
func mysqlKillsSession(t *testing.T, servers *testbed.Servers) string {
	return sessionKilled(t, servers, ingest.MySQL, nil,
		func(ctx context.Context) error { return servers.KillSessions(ctx, ingest.MySQL) },
		func(ctx context.Context) error {
			db, err := servers.MySQL()
			if err != nil {
				return err
			}
			defer db.Close()
			_, err = db.ExecContext(ctx, "KILL QUERY USER "+servers.Env["SOURCE_MYSQL_USER"])
			return err
		})
}

// The server that stands in for MongoDB neither lists cursors nor sessions: what a killed one looks
// like from the worker is its connection breaking, and with it the cursor.
func mongoLosesConnection(t *testing.T, servers *testbed.Servers) string {
	wire := servers.NewWire(t, "MONGO")
	lose := func(context.Context) error { wire.Break(); return nil }
	return sessionKilled(t, servers, ingest.MongoDB, wire.Env(), lose, lose)
}

// sessionKilled has each of the kills hit an attempt whose object is half sent. Such an attempt fails
// in a way that may pass, nothing of it can be seen, and the one after the last kill succeeds.
func sessionKilled(t *testing.T, servers *testbed.Servers, db ingest.Database, way []string, kills ...func(context.Context) error) string {
	sys := servers.NewSystem(t)
	lake := servers.NewLake(t)
	// So little memory that the source has to wait in the middle of its rows.
	sys.Work(db, append(append(lake.Env(), "INGESTA_UPLOAD_MEMORY=10MiB"), way...)...)
	sys.Baseline()
	gates := make([]*testbed.Gate, len(kills))
	for i := range kills {
		gates[i] = testbed.NewGate(t)
	}
	lake.Before(func(c testbed.Call) testbed.Fate {
		if attempt := lake.Count(testbed.CreateUpload); c.Op == testbed.UploadPart && attempt <= len(gates) {
			gates[attempt-1].Hold(c.Context)
		}
		return testbed.Pass
	})
	completion := lake.HoldAt(t, testbed.CompleteUpload, 1)
	id := sys.Submit(db, testbed.Large)
	for i, kill := range kills {
		sys.Signal("a part is being sent", gates[i].Reached())
		if err := kill(t.Context()); err != nil {
			t.Fatalf("killing the session of attempt %d: %v", i+1, err)
		}
		gates[i].Open()
		failed := sys.Await(id, fmt.Sprintf("has failed %d times", i+1), func(j ingest.Job) bool { return len(j.Attempts) > i && j.Attempts[i].Outcome != "" })
		if a := failed.Attempts[i]; a.Outcome != ingest.OutcomeRetry || a.Code != ingest.SourceUnavailable {
			t.Errorf("attempt %d ended as %s, %s; want %s, %s", a.Number, a.Outcome, a.Code, ingest.OutcomeRetry, ingest.SourceUnavailable)
		}
	}
	sys.Signal("an object is about to be completed", completion.Reached())
	if objects := sys.Objects(); len(objects) != 0 {
		t.Errorf("before the first completion there are the objects %v; want none", objects)
	}
	if n := lake.Count(testbed.AbortUpload); n < len(kills) {
		t.Errorf("%d uploads were aborted; want that of each attempt that failed, which are %d", n, len(kills))
	}
	completion.Open()
	succeeded(t, sys.Ended(id), len(kills)+1)
	sys.RequireSound()
	return fmt.Sprintf("%s: %d attempts lost their session and left nothing; the next succeeded.", db, len(kills))
}
