//go:build faults

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/deploy/e2e/testbed"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// S3 answers 50 requests in a row with 503 SlowDown, then serves. Each request is tried again, later
// and later, within one attempt.
func s3SlowsDown(t *testing.T, servers *testbed.Servers) string {
	const refusals = 50
	sys := servers.NewSystem(t)
	lake := servers.NewLake(t)
	for _, db := range []ingest.Database{ingest.PostgreSQL, ingest.MySQL} {
		sys.Work(db, append(lake.Env(), "INGESTA_UPLOAD_MEMORY=40MiB")...)
	}
	sys.Baseline()
	var mu sync.Mutex
	var refused []time.Time
	lake.Before(func(c testbed.Call) testbed.Fate {
		mu.Lock()
		defer mu.Unlock()
		if c.Op == testbed.UploadPart && len(refused) == 0 || len(refused) > 0 && len(refused) < refusals {
			refused = append(refused, time.Now())
			return testbed.SlowDown
		}
		return testbed.Pass
	})
	var ids []string
	for range 2 { // four objects, of three parts in flight each
		ids = append(ids, sys.Submit(ingest.PostgreSQL, testbed.Large), sys.Submit(ingest.MySQL, testbed.Large))
	}
	for _, id := range ids {
		succeeded(t, sys.Ended(id), 1)
	}
	mu.Lock()
	defer mu.Unlock()
	took := refused[len(refused)-1].Sub(refused[0])
	rate := float64(len(refused)) / took.Seconds()
	const most = 15 // requests per second, of twelve that are in flight
	if len(refused) != refusals || rate > most {
		t.Errorf("%d requests were refused in %v, %.1f per second; want %d, at most %d per second", len(refused), took, rate, refusals, most)
	}
	sys.RequireSound()
	return fmt.Sprintf("50 SlowDowns were waited out in %.0f s, %.1f requests per second.", took.Seconds(), rate)
}

// huge is a dataset that no buffer holds: 205 MB.
var huge = testbed.Dataset{Name: "enorme", Rows: 1_000_000, Width: 200}

// hugeCatalog writes a catalog in which both databases make the dataset up as they go.
func hugeCatalog(t *testing.T) string {
	text := fmt.Sprintf(`version: 1
databases:
  - name: postgresql
    datasets:
      - {name: %[1]s, query: "SELECT id, lpad(id::text, %[3]d, '.') AS texto FROM (SELECT generate_series(1, %[2]d) AS id) s", requires: [prueba_grande], columns: [id, texto]}
  - name: mysql
    datasets:
      - {name: %[1]s, query: "SELECT seq AS id, LPAD(seq, %[3]d, '.') AS texto FROM seq_1_to_%[2]d", requires: [prueba_grande], columns: [id, texto]}
`, huge.Name, huge.Rows, huge.Width)
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// S3 takes no more bytes for two minutes, in the middle of objects. The sources wait with it, whatever
// limits of time their operators set, and nothing piles up in memory.
func s3Stalls(t *testing.T, servers *testbed.Servers) string {
	const stall = 120 * time.Second
	const memory = 64 << 20 // more than at rest
	limitStatements(t, servers)
	sys := servers.NewSystem(t, "CATALOG_FILE="+hugeCatalog(t))
	lake := servers.NewLake(t)
	workers := map[ingest.Database]*testbed.Process{}
	ids := map[ingest.Database]string{}
	rest := map[ingest.Database]float64{}
	for _, db := range []ingest.Database{ingest.PostgreSQL, ingest.MySQL} {
		workers[db] = sys.Work(db, lake.Env()...)
		resident, err := workers[db].Resident()
		if err != nil {
			t.Fatal(err)
		}
		rest[db] = resident
	}
	sys.Baseline()
	const partsBefore = 8 // of both objects, which have forty parts each
	gate := lake.HoldAt(t, testbed.UploadPart, partsBefore+1)
	for db := range workers {
		ids[db] = sys.Submit(db)
	}
	sys.Signal("a part is being sent", gate.Reached())
	over := time.NewTimer(stall)
	defer over.Stop()
	sample := time.NewTicker(time.Second)
	defer sample.Stop()
	most := map[ingest.Database]float64{}
	for stalled := true; stalled; {
		select {
		case <-over.C:
			stalled = false
		case <-sample.C:
			for db, worker := range workers {
				resident, err := worker.Resident()
				if err != nil {
					t.Fatal(err)
				}
				most[db] = max(most[db], resident-rest[db])
			}
		}
	}
	gate.Open()
	file := huge.File()
	for db, id := range ids {
		job := sys.Ended(id)
		succeeded(t, job, 1) // the session is the same: a lost one would have cost the attempt
		if r := job.Results[0]; r.Rows != file.Rows || r.SHA256 != file.SHA256 {
			t.Errorf("%s: %d rows with SHA-256 %s; want %d and %s", db, r.Rows, r.SHA256, file.Rows, file.SHA256)
		}
		if most[db] > memory {
			t.Errorf("the worker of %s took %.0f MiB more than at rest while S3 stalled; want at most %d", db, most[db]/(1<<20), memory>>20)
		}
	}
	sys.RequireSound()
	return fmt.Sprintf("Both sources waited out a stall of 120 s in one attempt; PostgreSQL's worker took %.0f MiB more than at rest, MySQL's %.0f.",
		most[ingest.PostgreSQL]/(1<<20), most[ingest.MySQL]/(1<<20))
}

// limitStatements has PostgreSQL end statements of the workers' login after half a minute, unless
// they say otherwise. MySQL's limit of a minute on a client that reads nothing is its default.
func limitStatements(t *testing.T, servers *testbed.Servers) {
	t.Helper()
	alter := func(statement string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // also at the end of the test
		defer cancel()
		conn, err := servers.PostgreSQL(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "ALTER ROLE "+servers.Env["POSTGRES_USER"]+" "+statement); err != nil {
			t.Fatal(err)
		}
	}
	alter("SET statement_timeout = '30s'")
	t.Cleanup(func() { alter("RESET statement_timeout") })
}

// The answer to the completion of an upload is lost, after it happened or before. What stands at the
// key says which, and nothing good is aborted or made twice.
func completionLost(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	lake := servers.NewLake(t)
	sys.Work(ingest.PostgreSQL, append(lake.Env(), "INGESTA_S3_ATTEMPTS=3")...)
	sys.Baseline()
	for _, test := range []struct {
		name        string
		op          testbed.Op
		when        func(rule func(testbed.Call) testbed.Fate) (remove func())
		lost        int  // answers
		blind       bool // nor does S3 say what stands at the key
		completions int
		attempts    int
	}{
		{"it happened", testbed.CompleteUpload, lake.After, 1, false, 1, 1},
		{"it did not happen", testbed.CompleteUpload, lake.Before, 2, false, 3, 1},
		{"it happened, and nobody says so", testbed.CompleteUpload, lake.After, 1, true, 3, 2}, // the second attempt is told to replace it
		{"the manifest was written", testbed.PutObject, lake.After, 1, false, 1, 1},
		{"the manifest was not written", testbed.PutObject, lake.Before, 2, false, 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			var mu sync.Mutex
			lost := 0
			remove := test.when(func(c testbed.Call) testbed.Fate {
				mu.Lock()
				defer mu.Unlock()
				if c.Op != test.op || lost == test.lost {
					return testbed.Pass
				}
				lost++
				return testbed.Lose
			})
			defer remove()
			blind := 0
			removeBlind := lake.Before(func(c testbed.Call) testbed.Fate {
				mu.Lock()
				defer mu.Unlock()
				if !test.blind || c.Op != testbed.HeadObject || lost == 0 || blind == 3 {
					return testbed.Pass
				}
				blind++
				return testbed.SlowDown
			})
			defer removeBlind()
			completions, aborts, heads := lake.Count(testbed.CompleteUpload), lake.Count(testbed.AbortUpload), lake.Count(testbed.HeadObject)
			job := sys.Ended(sys.Submit(ingest.PostgreSQL, testbed.Large))
			succeeded(t, job, test.attempts)
			if n := lake.Count(testbed.CompleteUpload) - completions; n != test.completions {
				t.Errorf("%d completions were asked for; want %d", n, test.completions)
			}
			if n := lake.Count(testbed.AbortUpload) - aborts; test.attempts == 1 && n != 0 {
				t.Errorf("%d uploads were aborted; want none", n)
			}
			if lake.Count(testbed.HeadObject) == heads {
				t.Error("S3 was never asked what stands at the key")
			}
		})
	}
	found := sys.RequireSound()
	return fmt.Sprintf("Of %d jobs each lost an answer; HEAD told what had happened.", found.Success)
}
