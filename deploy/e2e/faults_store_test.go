//go:build faults

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/deploy/e2e/testbed"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// storeScenarios break Redis, S3, the sources and clocks.
func storeScenarios() []scenario {
	return []scenario{
		{id: 18, name: "FLUSHALL in the middle", run: parts(
			part{"while a job runs", redisForgetsRunning},
			part{"while jobs wait, and after one ended", redisForgetsWaiting},
		), guard: "jobstore.Lease.run restores a forgotten job; engine.claim adopts one from its command, " +
			"engine.recall from its manifest, and engine.exportOne aborts what was left of it."},
		{id: 19, name: "Redis killed, its clients killed, frozen 60 s", slow: true, run: parts(
			part{"killed", redisKilled},
			part{"its clients killed", redisClientsKilled},
			part{"frozen", redisFrozen},
		), guard: "engine.whileAway holds on to what was exported; engine.keepLease gives up before the lease does."},
		{id: 20, name: "reply of a script lost", run: scriptAnswersLost,
			guard: "the nonce of a claim in claim.lua, kept by engine.claim over all tries; released_by and finished_by in prelude.lua."},
		{id: 21, name: "S3 503 SlowDown ×50; S3 stalls 120 s", slow: true, run: parts(
			part{"slow down", s3SlowsDown},
			part{"stall", s3Stalls},
		), guard: "the retryer of upload.New; net_write_timeout in mysql.settings, statement_timeout in postgresql.settings."},
		{id: 22, name: "reply of CompleteMultipartUpload lost", run: completionLost,
			guard: "upload.Store.publish: HEAD after a doubtful answer, and the case mine."},
		{id: 23, name: "database kills the session in mid-stream", run: parts(
			part{"PostgreSQL", postgresKillsSession},
			part{"MySQL", mysqlKillsSession},
			part{"MongoDB", mongoLosesConnection},
		), guard: "engine.stream completes nothing after an error; each database's failure() names a killed session transient."},
		{id: 25, name: "clock skew ±10 min; forged tokens", slow: true, run: parts(
			part{"clock", clockSkewed},
			part{"tokens", tokensForged},
		), guard: "math.max(fence + 1, now) in claim.lua, and ahead() in prelude.lua; WithValidMethods and WithExpirationRequired in auth.Guard."},
	}
}

// part is a part of a scenario with a system of its own.
type part struct {
	name string
	run  func(t *testing.T, servers *testbed.Servers) (detail string)
}

// parts makes a scenario of its parts. It is skipped when one of them is, after the others.
func parts(all ...part) func(*testing.T, *testbed.Servers) string {
	return func(t *testing.T, servers *testbed.Servers) string {
		var details, skipped []string
		for _, p := range all {
			t.Run(p.name, func(t *testing.T) {
				defer func() {
					if t.Skipped() {
						skipped = append(skipped, p.name)
					}
				}()
				details = append(details, p.run(t, servers))
			})
		}
		if len(skipped) > 0 {
			t.Skipf("skipped: %s", strings.Join(skipped, ", "))
		}
		return strings.Join(details, " ")
	}
}

// forget empties Redis.
func forget(t *testing.T, sys *testbed.System) {
	t.Helper()
	if err := sys.Redis().FlushAll(t.Context()).Err(); err != nil {
		t.Fatalf("FLUSHALL: %v", err)
	}
}

// succeeded checks how a job ended.
func succeeded(t *testing.T, job ingest.Job, attempts int) {
	t.Helper()
	if job.Status != ingest.Success || job.Attempt != attempts {
		t.Errorf("job %s of %s ended as %s in attempt %d (%s %s); want success in attempt %d: %+v",
			job.ID, job.Database, job.Status, job.Attempt, job.Code, job.Error, attempts, job.Attempts)
	}
}

// refused asks for a job while that is impossible, and checks that the answer is a 503 in bounded time.
func refused(t *testing.T, sys *testbed.System, db ingest.Database, limit time.Duration) {
	t.Helper()
	begun := time.Now()
	status, answer, err := sys.Post("/api/ingesta/"+string(db), "", nil)
	if took := time.Since(begun); err != nil || status != http.StatusServiceUnavailable || took > limit {
		t.Errorf("a POST was answered with %v, %d %s after %v; want 503 within %v", err, status, answer, took, limit)
	}
}

// answers reports whether the gateway knows the job.
func answers(sys *testbed.System, id string) bool {
	response, err := http.Get(sys.URL + "/api/ingesta/jobs/" + id)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	var job struct {
		ID string `json:"job_id"`
	}
	return response.StatusCode == http.StatusOK && json.NewDecoder(response.Body).Decode(&job) == nil && job.ID == id
}

// Redis forgets a running job three times: in the middle of an upload, right before its completion,
// and between manifest and end. The worker that holds the lease writes it back each time, with the
// dataset that was committed before.
func redisForgetsRunning(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	lake := servers.NewLake(t)
	sys.Work(ingest.PostgreSQL, lake.Env()...)
	sys.Baseline()
	upload := lake.HoldAt(t, testbed.UploadPart, 3) // the first is all of the small dataset
	completion := lake.HoldAt(t, testbed.CompleteUpload, 2)
	manifest := lake.HoldAfter(t, testbed.PutObject, 1)
	id := sys.Submit(ingest.PostgreSQL, testbed.Small, testbed.Large)
	var before ingest.Job
	for i, point := range []struct {
		name string
		gate *testbed.Gate
	}{{"a part is being sent", upload}, {"the object is about to be completed", completion}, {"the manifest is written", manifest}} {
		sys.Signal(point.name, point.gate.Reached())
		if job := sys.Running(id, 1); i == 0 {
			before = job
		}
		forget(t, sys)
		if i < 2 { // the third time the end itself has to write the job back
			sys.Await(id, "is written back", func(j ingest.Job) bool { return j.Status == ingest.Running && j.Fence == before.Fence })
			if !answers(sys, id) {
				t.Errorf("the gateway does not know job %s again", id)
			}
		}
		point.gate.Open()
	}
	job := sys.Ended(id)
	succeeded(t, job, 1)
	if job.Fence != before.Fence {
		t.Errorf("the fence was %d and is %d", before.Fence, job.Fence)
	}
	if n := lake.Count(testbed.CreateUpload); n != 2 {
		t.Errorf("%d uploads were begun; want 2: what was committed is not exported again", n)
	}
	sys.RequireSound()
	return "A running job was forgotten three times and written back under its fence."
}

// Redis forgets what nobody is working on: a job whose worker died, one between two attempts, one
// that was never begun, and one that is over. Each comes back with its command.
func redisForgetsWaiting(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t, "INGESTA_CONCURRENCY=1", "INGESTA_RETRY_DELAYS=5s")
	first := sys.Work(ingest.PostgreSQL)
	sys.Baseline()
	over := sys.Ended(sys.Submit(ingest.PostgreSQL, testbed.Small))
	command := sys.Command(over.ID)
	first.Terminate()
	if code, err := first.Wait(time.Minute); code != 0 || err != nil {
		t.Fatalf("stopping a worker: exit code %d, %v", code, err)
	}

	lake := servers.NewLake(t)
	doomed := sys.Work(ingest.PostgreSQL, lake.Env()...)
	gate := lake.HoldAt(t, testbed.UploadPart, 2)
	orphan := sys.Submit(ingest.PostgreSQL, testbed.Large)
	sys.Signal("a part is being sent", gate.Reached())
	before := sys.Running(orphan, 1)
	doomed.Kill()
	if uploads := sys.Uploads(); len(uploads) != 1 {
		t.Fatalf("uploads under way: %v; want the one of the dead worker", uploads)
	}

	queued := sys.Submit(ingest.MongoDB, testbed.Small)

	slow := servers.NewLake(t)
	slow.Before(func(c testbed.Call) testbed.Fate {
		if c.Op == testbed.CreateUpload && c.Number == 2 {
			return testbed.SlowDown
		}
		return testbed.Pass
	})
	sys.Work(ingest.MySQL, append(slow.Env(), "INGESTA_S3_ATTEMPTS=1")...)
	between := sys.Submit(ingest.MySQL, testbed.Small, testbed.Large)
	waiting := sys.Await(between, "waits for its second attempt", func(j ingest.Job) bool { return j.Status == ingest.Queued && j.Attempt == 1 })
	if waiting.Results[0].State != ingest.Done {
		t.Errorf("the dataset %s is %s; want it committed by the first attempt", waiting.Results[0].Dataset, waiting.Results[0].State)
	}

	forget(t, sys)
	for _, id := range []string{over.ID, orphan, queued, between} {
		if job, known := sys.Job(id); known {
			t.Fatalf("job %s is known right after FLUSHALL: %+v", id, job)
		}
	}

	last := servers.NewLake(t)
	sys.Work(ingest.PostgreSQL, last.Env()...)
	sys.Work(ingest.MongoDB)
	for range 2 { // as a broker delivers again what was not acknowledged, and once more
		if !sys.PublishRaw(broker.CommandsExchange, string(ingest.PostgreSQL), command, map[string]any{"message_id": over.ID, "delivery_mode": 2}) {
			t.Fatal("the command reached no queue")
		}
	}
	for _, id := range []string{orphan, queued, between, over.ID} {
		succeeded(t, sys.Ended(id), 1)
		if !answers(sys, id) {
			t.Errorf("the gateway does not know job %s again", id)
		}
	}
	if job := sys.Ended(orphan); job.Fence <= before.Fence {
		t.Errorf("the fence was %d and is %d: it must grow", before.Fence, job.Fence)
	}
	if again := sys.Ended(over.ID); again.Results[0].SHA256 != over.Results[0].SHA256 || !again.CreatedAt.Equal(over.CreatedAt) {
		t.Errorf("the job that was over comes back as %+v; it was %+v", again, over)
	}
	if n := last.Count(testbed.CreateUpload); n != 1 {
		t.Errorf("%d uploads were begun; want 1: a manifest tells that a job was over, and it is not run again", n)
	}
	sys.RequireSound()
	return "A job whose worker had died, one between attempts, one in the queue and one that was over came back with their commands."
}

// Redis is killed when an object is about to be completed. The worker waits for it with the object,
// and nobody is told that a job was accepted.
func redisKilled(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t, "INGESTA_LEASE=45s", "INGESTA_LEASE_RENEW=10s", "INGESTA_LEASE_GIVE_UP=30s", "INGESTA_CONCURRENCY=1")
	lake := servers.NewLake(t)
	sys.Work(ingest.PostgreSQL, lake.Env()...)
	sys.Baseline()
	gate := lake.HoldAfter(t, testbed.UploadPart, 2)
	running := sys.Submit(ingest.PostgreSQL, testbed.Large)
	queued := sys.Submit(ingest.PostgreSQL, testbed.Small)
	sys.Signal("a part is sent", gate.Reached())
	before := sys.Running(running, 1)

	servers.Kill("redis")
	begun := time.Now()
	gate.Open() // all parts are sent, and the fence cannot be checked
	refused(t, sys, ingest.PostgreSQL, 15*time.Second)
	refused(t, sys, ingest.MySQL, 15*time.Second)
	if n := lake.Count(testbed.CompleteUpload); n != 0 {
		t.Errorf("an object was completed %d times while the fence could not be checked", n)
	}
	servers.Start("redis")
	away := time.Since(begun)

	job := sys.Ended(running)
	if job.Fence < before.Fence {
		t.Errorf("the fence was %d and is %d", before.Fence, job.Fence)
	}
	const patience = 20 * time.Second // the attempt gives up 30 s after its last renewal, which is 10 s old at most
	if away < patience {
		succeeded(t, job, 1)
	}
	succeeded(t, sys.Ended(queued), 1)
	sys.RequireSound()
	return fmt.Sprintf("Killed for %.1f s: the finished object waited for it.", away.Seconds())
}

// The connections of all clients are killed over and over while jobs of all databases are asked for
// and run.
func redisClientsKilled(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	for _, db := range testbed.Databases() {
		sys.Work(db)
	}
	sys.Baseline()
	ctx, cancel := context.WithCancel(t.Context())
	var killing sync.WaitGroup
	var killed int64
	killing.Go(func() {
		tick := time.NewTicker(15 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			for _, kind := range []string{"normal", "pubsub"} {
				n, _ := sys.Redis().Do(ctx, "CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes").Int64() // an error is that of the test's end
				killed += n
			}
			<-tick.C
		}
	})
	var ids []string
	refusals := 0
	for range 3 {
		for _, db := range testbed.Databases() {
			sys.Eventually("a job of "+string(db)+" is accepted", func() bool {
				status, answer, err := sys.Post("/api/ingesta/"+string(db), "", nil)
				if err != nil || status != http.StatusAccepted && status != http.StatusServiceUnavailable {
					t.Fatalf("a POST was answered with %v, %d %s; want 202 or 503", err, status, answer)
				}
				if status != http.StatusAccepted {
					refusals++
				}
				return status == http.StatusAccepted
			})
		}
	}
	ids = sys.Accepted()
	for _, id := range ids {
		succeeded(t, sys.Ended(id), 1)
	}
	cancel()
	killing.Wait()
	sys.RequireSound()
	return fmt.Sprintf("%d connections were killed while %d jobs ran; %d requests were refused.", killed, len(ids), refusals)
}

// Redis is frozen for a minute, with the times that everybody gets who sets none. The attempt ends
// itself before its lease is over, and its upload with it; what it sent to Redis meanwhile arrives
// afterwards, and changes nothing.
func redisFrozen(t *testing.T, servers *testbed.Servers) string {
	const minute = time.Minute
	sys := servers.NewSystem(t, "INGESTA_LEASE=45s", "INGESTA_LEASE_RENEW=10s", "INGESTA_LEASE_GIVE_UP=30s",
		"INGESTA_REDIS_IO_TIMEOUT=3s", "INGESTA_REDIS_TIMEOUT=5s")
	lake := servers.NewLake(t)
	sys.Work(ingest.PostgreSQL, lake.Env()...)
	sys.Baseline()
	gate := lake.HoldAt(t, testbed.UploadPart, 2)
	id := sys.Submit(ingest.PostgreSQL, testbed.Large)
	sys.Signal("a part is being sent", gate.Reached())
	before := sys.Running(id, 1)

	thaw := servers.Freeze(t, "redis")
	over := time.NewTimer(minute)
	defer over.Stop()
	var ended time.Duration // how long before the end of its lease the attempt has ended itself
	refusals := 0
	for frozen := true; frozen; {
		refused(t, sys, ingest.PostgreSQL, 15*time.Second)
		refusals++
		if ended == 0 && lake.Count(testbed.AbortUpload) > 0 && len(sys.Uploads()) == 0 {
			ended = time.Until(before.LeaseUntil)
		}
		select {
		case <-over.C:
			frozen = false
		default:
		}
	}
	if ended <= 0 {
		t.Errorf("the attempt ended itself %v before the end of its lease; want it before another could have had the job", ended)
	}
	thaw()
	gate.Open()

	job := sys.Ended(id)
	succeeded(t, job, 2)
	if job.Fence <= before.Fence || job.Attempts[0].Outcome != ingest.OutcomeExpired {
		t.Errorf("the first attempt ended as %q, and the fence %d became %d; want it expired and a greater one", job.Attempts[0].Outcome, before.Fence, job.Fence)
	}
	succeeded(t, sys.Ended(sys.Submit(ingest.PostgreSQL, testbed.Small)), 1)
	sys.RequireSound()
	return fmt.Sprintf("Frozen for a minute: the attempt ended itself %.0f s before its lease, and %d requests were refused in bounded time.", ended.Seconds(), refusals)
}

// scripts are those whose answers are lost, in the order in which a job meets them.
var scripts = []string{"accept", "claim", "renew", "check", "commit", "finish", "release", "cancel"}

// The answer to each script is lost once, and then more often than the client library tries. What a
// script did it did once.
func scriptAnswersLost(t *testing.T, servers *testbed.Servers) string {
	const tries = 4 // of the client library
	const once, persistently = 1, tries + 2
	wire := servers.NewWire(t, "REDIS")
	// Nobody but the worker itself publishes the event in time.
	sys := servers.NewSystem(t, append(wire.Env(), "INGESTA_OUTBOX_AGE=1h", "INGESTA_REDIS_IO_TIMEOUT=5s", "INGESTA_REDIS_TIMEOUT=10s",
		"INGESTA_LEASE=30s", "INGESTA_LEASE_GIVE_UP=25s")...)
	lake := servers.NewLake(t)
	sys.Work(ingest.PostgreSQL, append(lake.Env(), "INGESTA_S3_ATTEMPTS=1")...)
	sys.Baseline()
	digests := map[string]string{}
	for _, name := range scripts {
		digests[name] = sys.Script(name)
	}
	lost := 0
	lose := func(name string, n int) (arrived func()) {
		loss := wire.LoseAnswers(digests[name], n)
		return func() {
			t.Helper()
			sys.Signal(fmt.Sprintf("%d answers to %s are lost", n, name), loss.Done())
			sys.Eventually(name+" is run again", func() bool { return loss.Requests() > n })
			lost += n
		}
	}

	for _, n := range []int{once, persistently} {
		// A job from its acceptance to its end.
		arrived := map[string]func(){}
		for _, name := range []string{"accept", "claim", "renew", "check", "commit", "finish"} {
			if name == "accept" && n > once {
				continue // the gateway takes it back, see below
			}
			arrived[name] = lose(name, n)
		}
		gate := lake.HoldAt(t, testbed.UploadPart, lake.Count(testbed.UploadPart)+2)
		id := sys.Submit(ingest.PostgreSQL, testbed.Large)
		sys.Signal("a part is being sent", gate.Reached())
		arrived["renew"]() // while there is something to renew
		delete(arrived, "renew")
		gate.Open()
		for _, lost := range arrived {
			lost()
		}
		succeeded(t, sys.Ended(id), 1)

		// A job that is given back and begun again.
		failed := lose("release", n)
		refused := lake.Count(testbed.CreateUpload) + 1
		lake.Before(func(c testbed.Call) testbed.Fate {
			if c.Op == testbed.CreateUpload && c.Number == refused {
				return testbed.SlowDown
			}
			return testbed.Pass
		})
		id = sys.Submit(ingest.PostgreSQL, testbed.Small)
		failed()
		job := sys.Ended(id)
		succeeded(t, job, 2)
		if failures := sys.Redis().HGet(t.Context(), "{"+sys.Prefix+"}:job:"+id, "failures").Val(); failures != "1" {
			t.Errorf("job %s has %s failures; want 1, from one release", id, failures)
		}

		// A job that is cancelled while it waits.
		cancelled := lose("cancel", min(n, tries-1))
		id = sys.Submit(ingest.MySQL, testbed.Small)
		if status, answer, err := sys.Post("/api/ingesta/jobs/"+id+"/cancel", "", nil); err != nil || status != http.StatusAccepted {
			t.Errorf("cancelling was answered with %v, %d %s; want 202", err, status, answer)
		}
		cancelled()
		if job := sys.Ended(id); job.Status != ingest.Cancelled {
			t.Errorf("job %s is %s; want it cancelled", id, job.Status)
		}
	}

	// A request that is never answered is refused, and leaves nothing behind.
	before := len(sys.Accepted())
	accepted := lose("accept", tries)
	refused(t, sys, ingest.PostgreSQL, 30*time.Second)
	sys.Submit(ingest.PostgreSQL, testbed.Small)
	accepted()
	sys.Work(ingest.MySQL) // for the commands of the jobs that were cancelled
	if found := sys.RequireSound(); found.Accepted != before+1 || found.Success+found.Cancelled != before+1 {
		t.Errorf("of %d accepted jobs %d succeeded and %d were cancelled; want no others", found.Accepted, found.Success, found.Cancelled)
	}
	return fmt.Sprintf("%d answers to %d scripts were lost; each was run again and counted once.", lost, len(scripts))
}
