//go:build faults

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pharmavida/ingesta/deploy/e2e/testbed"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// workerScenarios break workers.
func workerScenarios() []scenario {
	return []scenario{
		{id: 1, name: "worker dies in the middle of an upload", run: workerDies,
			guard: "upload.Store.AbortStale before a takeover exports (engine.attempt.exportOne)"},
		{id: 2, name: "worker frozen", run: workerFreezes,
			guard: "the fence in jobstore's standing (prelude.lua); in S3, upload.Store.AbortStale before a takeover exports"},
		{id: 3, name: "crash after S3 complete, before finish", run: crashBeforeFinish,
			guard: "upload.Store.publish replaces the object of an older attempt; engine.attempt.exportAll leaves what is committed alone"},
		{id: 4, name: "crash after finish, before the event", run: crashBeforeEvent,
			guard: "the outbox entry that finish makes (conclude in prelude.lua), published by jobs.Service.publishOverdue"},
		{id: 5, name: "crash after the event, before the ack", run: crashBeforeAck,
			guard: "claim.lua answers that a terminal job is over"},
		{id: 16, name: "poison command", slow: true, run: poisonCommand,
			guard: "engine.attempt.exportOne recovers; claim.lua counts a lease that ran out as a failure"},
		{id: 17, name: "one command 100 times at once", run: manyCopies,
			guard: "claim.lua answers busy while a lease lives"},
		{id: 24, name: "SIGTERM under load", run: terminated,
			guard: "engine.Engine.Run hands back what outlasts the grace, which is no failure (engine.attempt.record); gateway.shutdown lets requests under way end"},
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

	again := servers.NewLake(t)
	second := again.HoldAt(t, testbed.UploadPart, 1)
	sys.Work(ingest.PostgreSQL, again.Env()...)
	sys.Signal("the second attempt sends a part of its own", second.Reached())
	if uploads := sys.Uploads(); len(uploads) != 1 {
		t.Errorf("while the second attempt exports, the uploads under way are %v; want its own alone, for it has aborted that of the dead worker", uploads)
	}
	second.Open()
	job := sys.Ended(id)
	if job.Status != ingest.Success || job.Attempt != 2 || job.Fence <= before.Fence || job.Attempts[0].Outcome != ingest.OutcomeExpired {
		t.Errorf("the job ended as %s in attempt %d with fence %d after %d: %+v; want a success of the second attempt, the first expired",
			job.Status, job.Attempt, job.Fence, before.Fence, job.Attempts)
	}
	if uploads := sys.Uploads(); len(uploads) > 0 {
		t.Errorf("the uploads %v are left; want none", uploads)
	}
	sys.RequireSound()
	return fmt.Sprintf("Killed in the middle of an object of %d bytes; the second attempt aborted the upload and exported it again.", job.Results[0].Bytes)
}

// A frozen worker loses its leases without knowing: one right before it completes an object, one
// right before it finishes a job. While another works on both jobs the first goes on, and all that
// it still does must be refused; nothing but its fence tells it from the rightful owner.
func workerFreezes(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	stale, rightful := servers.NewLake(t), servers.NewLake(t)
	frozen := sys.Work(ingest.PostgreSQL, stale.Env()...)
	sys.Baseline()

	completion := stale.HoldDataset(t, testbed.CompleteUpload, testbed.Large)
	exporting := sys.Submit(ingest.PostgreSQL, testbed.Large)
	sys.Signal("the object is about to be completed", completion.Reached())
	manifest := stale.HoldAfter(t, testbed.PutObject, 1)
	finishing := sys.Submit(ingest.PostgreSQL, testbed.Small)
	sys.Signal("the manifest of the other job is written", manifest.Reached())
	frozen.Freeze()

	part, secondManifest := rightful.HoldDataset(t, testbed.UploadPart, testbed.Large), rightful.HoldAt(t, testbed.PutObject, 1)
	sys.Work(ingest.PostgreSQL, rightful.Env()...)
	jobs := []string{exporting, finishing}
	for _, id := range jobs {
		// The broker would notice only after half a minute that the frozen worker does not answer.
		publishCopies(sys, id, 1)
	}
	sys.Signal("the second worker exports the first job again", part.Reached())
	sys.Signal("the second worker writes the manifest of the other", secondManifest.Reached())

	answer := make(chan int, 1)
	stale.After(func(c testbed.Call) testbed.Fate {
		if c.Op == testbed.CompleteUpload && c.Of(testbed.Large) {
			answer <- c.Status
		}
		return testbed.Pass
	})
	completion.Open()
	if status := <-answer; status != http.StatusNotFound {
		t.Errorf("S3 answered the late completion with %d; want 404, for the takeover has aborted its upload", status)
	}
	manifest.Open()
	frozen.Thaw()
	var ends []string
	sys.Eventually("both stale attempts are concluded", func() bool {
		ends = grep(frozen.Log(), "the attempt could not be concluded", "job ended")
		return len(ends) >= len(jobs)
	})
	if i := slices.IndexFunc(ends, func(line string) bool { return strings.Contains(line, "finishing the job: ") }); i < 0 || strings.Contains(ends[i], "job ended") {
		t.Errorf("the thawed worker says %q; want that finishing the job was tried and refused", ends)
	}
	for _, id := range jobs {
		if job, ok := sys.Job(id); !ok || job.Status != ingest.Running || job.Attempt != 2 {
			t.Errorf("after the stale attempt went on, job %s is %s in attempt %d; want it running in attempt 2", id, job.Status, job.Attempt)
		}
	}

	part.Open()
	secondManifest.Open()
	for _, id := range jobs {
		job := sys.Ended(id)
		if job.Status != ingest.Success || job.Attempt != 2 || job.Attempts[0].Outcome != ingest.OutcomeExpired {
			t.Errorf("job %s ended as %s in attempt %d: %+v; want a success of the second, the first expired", id, job.Status, job.Attempt, job.Attempts)
		}
	}
	sys.RequireSound()
	return "Frozen right before it completed one object and finished another job: S3 answered the late completion with 404, Redis refused the late finish, and the second attempts won."
}

// A worker dies when S3 has completed an object and it has not heard of it, and when it has
// committed an object and not finished the job. The first is exported again, to the same key; the
// second is not.
func crashBeforeFinish(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	lake := servers.NewLake(t)
	first := sys.Work(ingest.PostgreSQL, lake.Env()...)
	sys.Baseline()
	completion := lake.HoldDatasetAfter(t, testbed.CompleteUpload, testbed.Large)
	uncommitted := sys.Submit(ingest.PostgreSQL, testbed.Large)
	sys.Signal("S3 has completed the object", completion.Reached())
	manifest := lake.HoldAfter(t, testbed.PutObject, 1)
	committed := sys.Submit(ingest.PostgreSQL, testbed.Small)
	sys.Signal("the other job has its manifest", manifest.Reached())
	if objects := sys.Objects(); len(objects) != 2 {
		t.Fatalf("the objects are %v; want those of both jobs", objects)
	}
	first.Kill()

	again := servers.NewLake(t)
	sys.Work(ingest.PostgreSQL, again.Env()...)
	for _, id := range []string{uncommitted, committed} {
		job := sys.Ended(id)
		if job.Status != ingest.Success || job.Attempt != 2 || job.Attempts[0].Outcome != ingest.OutcomeExpired {
			t.Errorf("job %s ended as %s (%s) in attempt %d: %+v; want a success of the second, the first expired", id, job.Status, job.Code, job.Attempt, job.Attempts)
		}
	}
	if n := again.Count(testbed.CreateUpload); n != 1 {
		t.Errorf("the second worker began %d uploads; want 1: the committed object is done, the other one is replaced", n)
	}
	if objects := sys.Objects(); len(objects) != 2 {
		t.Errorf("the objects are %v; want one for each job", objects)
	}
	sys.RequireSound()
	return "Killed between completion and commit, and between manifest and finish: the first object was replaced under the new fence, the second one kept; one result each."
}

// A worker dies when Redis knows that its job is over and nobody else does. No other worker is
// there: the gateway publishes the event.
func crashBeforeEvent(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	lake, wire := servers.NewLake(t), servers.NewWire(t, "RABBITMQ")
	first := sys.Work(ingest.PostgreSQL, append(lake.Env(), wire.Env()...)...)
	sys.Baseline()
	gate := lake.HoldAt(t, testbed.PutObject, 1)
	id := sys.Submit(ingest.PostgreSQL, testbed.Small)
	sys.Signal("the manifest is about to be written", gate.Reached())
	wire.Hold(testbed.ToServer)
	gate.Open()
	sys.Ended(id)
	first.Kill()
	wire.Break() // and what it held is lost
	if ends := sys.Ends(id); len(ends) > 0 {
		t.Fatalf("the event %+v is there, and the worker was to die before it", ends)
	}

	sys.Eventually("the event is published", func() bool { return len(sys.Ends(id)) > 0 })
	if ends := sys.Ends(id); ends[0].App != "gateway" || ends[0].Kind != string(ingest.Success) {
		t.Errorf("the event is %+v; want a success, told by the gateway", ends[0])
	}
	runsNoMore(sys, id)
	sys.RequireSound()
	return "Killed when Redis had the end of the job and RabbitMQ had not: the gateway published the event from the outbox."
}

// A worker dies when everybody knows that its job is over but the broker, which delivers the command
// again: to a worker that finds nothing to do.
func crashBeforeAck(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	lake, wire := servers.NewLake(t), servers.NewWire(t, "RABBITMQ")
	first := sys.Work(ingest.PostgreSQL, append(lake.Env(), wire.Env()...)...)
	sys.Baseline()
	gate := lake.HoldAt(t, testbed.PutObject, 1)
	id := sys.Submit(ingest.PostgreSQL, testbed.Small)
	sys.Signal("the manifest is about to be written", gate.Reached())
	wire.HoldThose(testbed.ToServer, " consuming")
	gate.Open()
	sys.Eventually("the event is published", func() bool { return len(sys.Ends(id)) > 0 })
	sys.Eventually("the event is settled", func() bool { return !owed(sys, id) })
	first.Kill()
	wire.Break()

	runsNoMore(sys, id)
	if ends := sys.Ends(id); len(ends) != 1 {
		t.Errorf("the events of the end are %+v; want one, from the worker that died", ends)
	}
	sys.RequireSound()
	return "Killed when the event was confirmed and the command unanswered: the command came back to another worker, which acknowledged it and exported nothing."
}

// runsNoMore has another worker get the command of a job that is over, and makes sure that nothing
// comes of it.
func runsNoMore(sys *testbed.System, id string) {
	t := sys.T()
	t.Helper()
	queue := broker.CommandQueue(ingest.PostgreSQL)
	waits := func(n int) func() bool {
		return func() bool {
			depths, err := sys.Depths()
			return err == nil && depths[queue].Messages == n
		}
	}
	sys.Eventually("the command is back in its queue", waits(1))
	before, _ := sys.Job(id)
	lake := sys.NewLake(t)
	sys.Work(ingest.PostgreSQL, lake.Env()...)
	sys.Eventually("the command is taken", waits(0))
	sys.Audit() // which waits until the queue is empty, of unanswered messages as well
	after, _ := sys.Job(id)
	if told(before) != told(after) || after.Attempt != 1 {
		t.Errorf("the second delivery made %s of the job %s", told(after), told(before))
	}
	if n := lake.Count(testbed.CreateUpload) + lake.Count(testbed.PutObject); n > 0 {
		t.Errorf("the second delivery wrote to S3 %d times", n)
	}
}

// A command whose worker dies each time is given up after so many attempts, whether the worker
// panics (PostgreSQL) or is killed (MySQL), and is found among the dead letters. What else there is
// to do is done meanwhile: other jobs, and the other dataset of the job itself where the worker lives.
func poisonCommand(t *testing.T, servers *testbed.Servers) string {
	const attempts, siblings = 3, 3
	sys := servers.NewSystem(t, fmt.Sprintf("INGESTA_MAX_FAILURES=%d", attempts))
	others := func(db ingest.Database) (ids []string) {
		for range siblings {
			ids = append(ids, sys.Submit(db, testbed.Large))
		}
		return ids
	}

	servers.Build("./deploy/e2e/poison")
	panicking := servers.NewLake(t)
	tries := counter(panicking, testbed.CreateUpload, testbed.Small)
	sys.SpawnWorker("poison", ingest.PostgreSQL, append(panicking.Env(), "POISON_DATASET="+testbed.Small)...)
	panics := sys.Submit(ingest.PostgreSQL, testbed.Small, testbed.Large)
	harmless := others(ingest.PostgreSQL)

	killing := servers.NewLake(t)
	var strikes atomic.Int32
	struck, never := make(chan struct{}, attempts), testbed.NewGate(t)
	killing.Before(func(c testbed.Call) testbed.Fate {
		if c.Op == testbed.UploadPart && c.Of(testbed.Small) && strikes.Add(1) <= attempts {
			struck <- struct{}{}
			never.Hold(c.Context)
		}
		return testbed.Pass
	})
	kills := sys.Submit(ingest.MySQL, testbed.Small)
	harmless = append(harmless, others(ingest.MySQL)...)
	worker := func() *testbed.Process { // which has nothing else in its hands when it dies
		return sys.Work(ingest.MySQL, append(killing.Env(), "INGESTA_CONCURRENCY=1")...)
	}
	for range attempts {
		victim := worker()
		sys.Signal("the poisonous command is worked on", struck)
		victim.Kill()
	}
	worker()

	first, second := sys.Ended(panics), sys.Ended(kills)
	if first.Status != ingest.Partial || first.Attempt != attempts || first.Results.Of(testbed.Small).Code != ingest.Internal || tries() != attempts {
		t.Errorf("the job at which its worker panics ended as %s after %d attempts and %d tries of the dataset: %+v; want partial after %d of each, for an internal failure",
			first.Status, first.Attempt, tries(), first.Results, attempts)
	}
	if n := len(first.Attempts); n != attempts || first.Attempts[0].Outcome != ingest.OutcomeRetry {
		t.Errorf("its attempts are %+v", first.Attempts)
	}
	if second.Status != ingest.Failed || second.Code != ingest.AttemptsExhausted || strikes.Load() != attempts {
		t.Errorf("the job that kills its worker ended as %s (%s) after %d deaths; want an error, because it is exhausted, after %d", second.Status, second.Code, strikes.Load(), attempts)
	}
	for _, a := range second.Attempts[:min(attempts, len(second.Attempts))] {
		if a.Outcome != ingest.OutcomeExpired {
			t.Errorf("attempt %d, whose worker died, ended as %q", a.Number, a.Outcome)
		}
	}
	for _, id := range harmless {
		end := map[ingest.Database]ingest.Job{ingest.PostgreSQL: first, ingest.MySQL: second}
		if job := sys.Ended(id); job.Status != ingest.Success || job.Attempt != 1 || job.Database == ingest.MySQL && job.FinishedAt.After(end[job.Database].FinishedAt) {
			t.Errorf("job %s beside the poison ended as %s in attempt %d at %v; want a success of the first, before the poison's end", id, job.Status, job.Attempt, job.FinishedAt)
		}
	}
	sys.ExpectDeadLetters(2)
	buried(sys, first, ingest.Internal)
	buried(sys, second, ingest.AttemptsExhausted)
	sys.RequireSound()
	return fmt.Sprintf("A command at which the worker panics and one that has it killed were each given up after %d attempts, with the reason among the dead letters; %d other jobs and the panicking job's other dataset succeeded.", attempts, len(harmless))
}

// counter counts the calls of the operation on objects of the dataset.
func counter(lake *testbed.Lake, op testbed.Op, dataset string) (count func() int) {
	var n atomic.Int64
	lake.Before(func(c testbed.Call) testbed.Fate {
		if c.Op == op && c.Of(dataset) {
			n.Add(1)
		}
		return testbed.Pass
	})
	return func() int { return int(n.Load()) }
}

// buried wants the command of the job among the dead letters, whole and with the reason.
func buried(sys *testbed.System, job ingest.Job, code ingest.Code) {
	t := sys.T()
	t.Helper()
	var letters []testbed.Message
	find := func() int {
		letters = sys.Take(broker.DeadQueue, 10, true)
		return slices.IndexFunc(letters, func(m testbed.Message) bool { return m.Properties.MessageID == job.ID })
	}
	sys.Eventually("the command of job "+job.ID+" is buried", func() bool { return find() >= 0 })
	letter := letters[find()]
	headers := letter.Properties.Headers
	if headers[broker.HeaderCode] != string(code) || headers[broker.HeaderReason] == "" || headers[broker.HeaderRoutingKey] != string(job.Database) {
		t.Errorf("the dead letter of job %s has the headers %v; want the code %s, a reason, and where it came from", job.ID, headers, code)
	}
	if body := sys.Command(job.ID); string(letter.Payload) != body {
		t.Errorf("the dead letter of job %s is %s; want the command as it was, %s", job.ID, letter.Payload, body)
	}
}

// Copies of a command wait for several workers, which get them all at the same moment: one of them
// claims the job, and whatever comes while it works is put aside until it is done.
func manyCopies(t *testing.T, servers *testbed.Servers) string {
	const copies, workers = 100, 3
	sys := servers.NewSystem(t)
	lake := servers.NewLake(t)
	var pool []*testbed.Process
	for range workers {
		pool = append(pool, sys.Work(ingest.PostgreSQL, append(lake.Env(), "INGESTA_CONCURRENCY=8", "LOG_LEVEL=debug")...))
	}
	sys.Baseline()
	gate := lake.HoldAt(t, testbed.CompleteUpload, 1)
	for _, p := range pool {
		p.Freeze() // so that they all begin at once
	}
	id := sys.Submit(ingest.PostgreSQL, testbed.Large)
	publishCopies(sys, id, copies)
	for _, p := range pool {
		p.Thaw()
	}
	sys.Signal("the object is about to be completed", gate.Reached())
	sys.Eventually("every other copy has been put aside", func() bool {
		parked := 0
		for _, p := range pool {
			parked += len(grep(p.Log(), "parking a command"))
		}
		return parked >= copies
	})
	if job, _ := sys.Job(id); job.Status != ingest.Running || job.Attempt != 1 {
		t.Errorf("while its first attempt works, the job is %s in attempt %d", job.Status, job.Attempt)
	}
	gate.Open()
	sys.Ended(id)
	sys.RequireSound() // which waits until every copy is acknowledged
	if job, _ := sys.Job(id); job.Status != ingest.Success || job.Attempt != 1 || len(job.Attempts) != 1 {
		t.Errorf("the job ended as %s after %d attempts: %+v; want a success of the first", job.Status, job.Attempt, job.Attempts)
	}
	if n := lake.Count(testbed.CreateUpload); n != 1 {
		t.Errorf("%d uploads were begun; want 1", n)
	}
	if ends := sys.Ends(id); len(ends) != 1 {
		t.Errorf("the events of the end are %+v; want one", ends)
	}
	return fmt.Sprintf("%d copies beside the original reached %d workers with 8 slots each at once: one attempt, one upload, one event, and every copy acknowledged.", copies, workers)
}

// Workers and the gateway are told to end while there is plenty to do. A worker finishes what it can
// within the grace and hands the rest back; nothing of that counts as a failure, of which no job may
// have a single one here. The gateway answers what it has begun: every job it made is a 202. When it
// is killed instead, whoever repeats a request gets the job that the request had made.
func terminated(t *testing.T, servers *testbed.Servers) string {
	const mayTake = testbed.Grace + 5*time.Second
	sys := servers.NewSystem(t, "INGESTA_MAX_FAILURES=1")
	lake := servers.NewLake(t)
	leaving := sys.Work(ingest.PostgreSQL, lake.Env()...)
	sys.Baseline()
	never, soon := lake.HoldDataset(t, testbed.CompleteUpload, testbed.Large), lake.HoldAt(t, testbed.PutObject, 1)
	long := sys.Submit(ingest.PostgreSQL, testbed.Large)
	sys.Signal("the long job is under way", never.Reached())
	short := sys.Submit(ingest.PostgreSQL, testbed.Small)
	sys.Signal("the short job is under way", soon.Reached())
	for range 6 {
		sys.Submit(ingest.PostgreSQL, testbed.Large)
		sys.Submit(ingest.PostgreSQL, testbed.Small)
	}

	staying := sys.Work(ingest.PostgreSQL)
	begun := time.Now()
	leaving.Terminate()
	soon.Open()
	if job := sys.Ended(short); job.Status != ingest.Success || job.Attempt != 1 {
		t.Errorf("the job that could end within the grace ended as %s in attempt %d: %+v; want a success of the first", job.Status, job.Attempt, job.Attempts)
	}
	endsWell(t, leaving, mayTake)
	took := time.Since(begun)
	if took < testbed.Grace {
		t.Errorf("the worker ended after %v and had something to do; its grace is %v", took, testbed.Grace)
	}
	if job := sys.Ended(long); job.Status != ingest.Success || job.Attempt != 2 || job.Attempts[0].Outcome != ingest.OutcomeHandedBack {
		t.Errorf("the job that outlasts the grace ended as %s in attempt %d: %+v; want it handed back, and a success of the second attempt", job.Status, job.Attempt, job.Attempts)
	}

	// The next worker and the gateway at once, while clients ask for more.
	asking := newAskers(sys, 8)
	asking.await(40)
	sys.Work(ingest.PostgreSQL, "INGESTA_CONCURRENCY=4")
	staying.Terminate()
	sys.Gateway.Terminate()
	endsWell(t, sys.Gateway, 25*time.Second)
	sys.Eventually("every job that the gateway has made is told", func() bool { return made(sys) == len(sys.Accepted()) })
	endsWell(t, staying, mayTake)
	sys.StartGateway()

	// What a gateway that is killed has not answered, its clients ask for again.
	asking.await(20)
	sys.Gateway.Kill()
	sys.StartGateway()
	asking.await(20)
	asking.stop()
	accepted := sys.Accepted()
	if n := made(sys); n != len(accepted) {
		t.Errorf("there are %d jobs, and %d were told; a request that was repeated must get the job it had made", n, len(accepted))
	}

	handedBack := 0
	for _, id := range accepted {
		job := sys.Ended(id)
		if job.Status != ingest.Success {
			t.Errorf("job %s ended as %s (%s); no attempt has failed", id, job.Status, job.Code)
		}
		for _, a := range job.Attempts[:len(job.Attempts)-1] {
			if handedBack++; a.Outcome != ingest.OutcomeHandedBack {
				t.Errorf("attempt %d of job %s ended as %s; want it handed back", a.Number, id, a.Outcome)
			}
		}
	}
	sys.RequireSound()
	return fmt.Sprintf("Two workers and the gateway were told to end, and the gateway was killed once, with %d jobs about; who was told ended with code 0 (the first after %.1f s, with a grace of %v), attempts handed back: %d, lost or counted as a failure: none.",
		len(accepted), took.Seconds(), testbed.Grace, handedBack)
}

// askers ask for small jobs, one after the other each, and repeat a request under its key until it
// is answered with 202.
type askers struct {
	sys  *testbed.System
	stop func()
}

func newAskers(sys *testbed.System, n int) askers {
	const pause = 50 * time.Millisecond // before a repetition
	ctx, cancel := context.WithCancel(sys.T().Context())
	var asking sync.WaitGroup
	for range n {
		asking.Go(func() {
			for ctx.Err() == nil {
				key := http.Header{"Idempotency-Key": {rand.Text()}}
				for sys.T().Context().Err() == nil {
					status, _, _ := sys.Post("/api/ingesta/"+string(ingest.PostgreSQL), `{"datasets":["`+testbed.Small+`"]}`, key)
					if status == http.StatusAccepted {
						break
					}
					<-time.After(pause)
				}
			}
		})
	}
	stop := sync.OnceFunc(func() { cancel(); asking.Wait() })
	sys.T().Cleanup(stop)
	return askers{sys, stop}
}

// await waits until so many more jobs are accepted.
func (a askers) await(more int) {
	a.sys.T().Helper()
	enough := len(a.sys.Accepted()) + more
	a.sys.Eventually(fmt.Sprintf("%d jobs are accepted", enough), func() bool { return len(a.sys.Accepted()) >= enough })
}

// made returns how many jobs the gateway has made, told or not.
func made(sys *testbed.System) int {
	sys.T().Helper()
	n, err := sys.Redis().ZCard(sys.T().Context(), "{"+sys.Prefix+"}:index:all").Result()
	if err != nil {
		sys.T().Fatal(err)
	}
	return int(n)
}

// endsWell wants the process, which was told to end, to do so within the limit and with code 0.
func endsWell(t *testing.T, p *testbed.Process, limit time.Duration) {
	t.Helper()
	if code, err := p.Wait(limit); err != nil || code != 0 {
		t.Errorf("%s was told to end, and did so with code %d (%v); want 0 within %v", p.Name, code, err, limit)
	}
}

// publishCopies publishes the command of a job n more times.
func publishCopies(sys *testbed.System, id string, n int) {
	sys.T().Helper()
	body := sys.Command(id)
	for range n {
		if !sys.PublishRaw(broker.CommandsExchange, string(ingest.PostgreSQL), body, map[string]any{"delivery_mode": 2, "message_id": id}) {
			sys.T().Fatalf("the command of job %s found no queue", id)
		}
	}
}

// owed reports whether the event of a job's end has yet to be confirmed.
func owed(sys *testbed.System, id string) bool {
	err := sys.Redis().ZScore(sys.T().Context(), "{"+sys.Prefix+"}:outbox", "event:"+id).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		sys.T().Fatal(err)
	}
	return err == nil
}

// told returns the job as its clients see it.
func told(job ingest.Job) string {
	text, err := json.Marshal(job)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// grep returns the lines that hold one of the texts.
func grep(log string, texts ...string) (lines []string) {
	for line := range strings.Lines(log) {
		if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(line, text) }) {
			lines = append(lines, line)
		}
	}
	return lines
}
