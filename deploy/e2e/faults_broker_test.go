//go:build faults

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/deploy/e2e/testbed"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// brokerScenarios break RabbitMQ and the ways to it.
func brokerScenarios() []scenario {
	return []scenario{
		{id: 6, name: "every connection closed", slow: true, run: connectionsClosed,
			guard: "broker.Delivery answers on the channel that delivered it, and on no other."},
		{id: 7, name: "broker restarted, then killed", slow: true, run: brokerRestarted,
			guard: "jobstore's claim answers busy while a lease is alive, so that a command that comes again is parked."},
		{id: 8, name: "lost confirm", run: confirmLost,
			guard: "jobs.Service keeps a job whose publish ended in ErrUnknown, and publishes it again for the same Idempotency-Key."},
		{id: 9, name: "memory alarm", run: memoryAlarm,
			guard: "broker's epoch.begin and Broker.Ready refuse at once while the connection is blocked."},
		{id: 10, name: "disk alarm", slow: true, run: diskAlarm,
			guard: "jobs.Service.publishOverdue publishes the events that finish left in the outbox."},
		{id: 11, name: "unroutable command", run: commandUnroutable,
			guard: "broker's link.verdict reads what was returned before the confirm, and has the topology declared again."},
		{id: 12, name: "queue exists with other arguments", slow: true, run: queueConflicts,
			guard: "broker's backoff.wait waits long for an operator after a TopologyError."},
		{id: 13, name: "consumer timeout", slow: true, run: consumerTimesOut,
			guard: "jobstore's claim answers busy while a lease is alive, so that a command that comes again is parked."},
		{id: 14, name: "consumer cancelled", run: consumerCancelled,
			guard: "broker's Broker.follow declares the topology before it consumes again on the same connection."},
		{id: 15, name: "malformed, oversized, unknown-version command", run: unreadableCommands,
			guard: "ingest.DecodeCommand refuses them before a job is claimed."},
	}
}

// Every worker has the answer to a delivery of a connection that is gone; on a later connection, the
// same tag means another job's command. Should the answer cross over, that command would be lost with
// its worker.
func connectionsClosed(t *testing.T, servers *testbed.Servers) string {
	// A long delay keeps a command that came again out of the way of the tags.
	const delay = 30 * time.Second
	sys := servers.NewSystem(t, "INGESTA_RETRY_DELAYS="+delay.String())
	lake := servers.NewLake(t)
	worker := sys.Work(ingest.PostgreSQL, lake.Env()...)
	sys.Baseline()
	gateA := holdKeys(t, lake, testbed.UploadPart, "/"+testbed.Large)
	gateB := holdKeys(t, lake, testbed.CreateUpload, "/"+testbed.Small)

	a := sys.Submit(ingest.PostgreSQL, testbed.Large)
	sys.Signal("a part of the first job's object is being sent", gateA.Reached())
	closeConnections(sys, worker)
	sys.Eventually("the first job's command has come again and is parked", func() bool {
		depths, err := sys.Depths()
		return err == nil && depths[broker.DelayName(delay)].Messages == 1 && unanswered(t, sys) == 0
	})
	closeConnections(sys, worker)
	b := sys.Submit(ingest.PostgreSQL, testbed.Small)
	sys.Signal("the second job begins its object", gateB.Reached())

	// Both commands were the first delivery of their connection.
	gateA.Open()
	if job := sys.Ended(a); job.Status != ingest.Success || job.Attempt != 1 {
		t.Errorf("the first job ended as %s in attempt %d; want a success in the first: losing the broker stops nothing", job.Status, job.Attempt)
	}
	sys.Eventually("the first delivery was answered", func() bool {
		return strings.Contains(worker.Log(), "came too late") || unanswered(t, sys) == 0
	})
	if n := unanswered(t, sys); n != 1 {
		t.Fatalf("%d deliveries wait for their answer; want the second job's command: the answer to another one took it", n)
	}
	worker.Kill()
	worker = sys.Work(ingest.PostgreSQL)
	if job := sys.Ended(b); job.Status != ingest.Success || job.Attempt != 2 {
		t.Errorf("the job of the killed worker ended as %s in attempt %d; want a success in the second", job.Status, job.Attempt)
	}

	const closings = 6
	var all []string
	for range closings {
		large := sys.Submit(ingest.PostgreSQL, testbed.Large)
		all = append(all, large, sys.Submit(ingest.PostgreSQL, testbed.Small))
		sys.Running(large, 1)
		closeConnections(sys, worker)
	}
	for _, id := range all {
		if job := sys.Ended(id); job.Status != ingest.Success || job.Attempt != 1 {
			t.Errorf("job %s ended as %s in attempt %d; want a success in the first", id, job.Status, job.Attempt)
		}
	}
	sys.RequireSound()
	return fmt.Sprintf("An answer whose connection was two closings ago was refused while its tag was another job's; "+
		"over %d more closings %d jobs ended in their first attempt.", closings, len(all))
}

// Two exports run while the broker is stopped, started, killed and started again, each time for
// longer than a lease. One of them ends while there is no broker.
func brokerRestarted(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	lake := servers.NewLake(t)
	processes := []*testbed.Process{sys.Gateway, sys.Work(ingest.PostgreSQL, lake.Env()...), sys.Work(ingest.MySQL, lake.Env()...)}
	sys.Baseline()
	gates := map[ingest.Database]*testbed.Gate{}
	ids := map[ingest.Database]string{}
	for _, db := range []ingest.Database{ingest.PostgreSQL, ingest.MySQL} {
		gates[db] = holdKeys(t, lake, testbed.UploadPart, string(db)+"/")
		ids[db] = sys.Submit(db, testbed.Large)
		sys.Signal("a part of the object of "+string(db)+" is being sent", gates[db].Reached())
	}
	outlastLease := func(when string) {
		for _, p := range processes {
			sys.Eventually(p.Name+" knows that the broker is away", func() bool { return !p.Ready() })
		}
		<-time.After(testbed.Lease + time.Second) // the fault is that it stays away
		for db, id := range ids {
			if job, ok := sys.Job(id); !ok || job.Status != ingest.Running || job.Attempt != 1 {
				t.Errorf("%s the job of %s is %s in attempt %d; want it running in its first", when, db, job.Status, job.Attempt)
			}
		}
	}
	backAgain := func() {
		for _, p := range processes {
			sys.Eventually(p.Name+" is ready again", p.Ready)
		}
	}

	sys.Rabbit("stop_app")
	outlastLease("with the broker stopped")
	sys.Rabbit("start_app")
	backAgain()
	sys.Kill("rabbitmq")
	outlastLease("with the broker killed")
	gates[ingest.MySQL].Open()
	if job := sys.Ended(ids[ingest.MySQL]); job.Status != ingest.Success {
		t.Errorf("without a broker the job ended as %s, want success", job.Status)
	}
	sys.Start("rabbitmq")
	backAgain()
	gates[ingest.PostgreSQL].Open()

	for db, id := range ids {
		if job := sys.Ended(id); job.Status != ingest.Success || job.Attempt != 1 {
			t.Errorf("the job of %s ended as %s in attempt %d; want a success in the first", db, job.Status, job.Attempt)
		}
	}
	sys.RequireSound()
	if n := lake.Count(testbed.CreateUpload); n != len(ids) {
		t.Errorf("%d uploads were begun; want one for each of %d jobs", n, len(ids))
	}
	return "Two exports outlived a broker that was stopped and killed, each time for longer than a lease, in their first attempts with one upload each; one ended meanwhile."
}

// The broker takes a command and its word is lost: once while the command waits in the queue, and
// once while a worker has it already.
func confirmLost(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t, "INGESTA_OUTBOX_AGE=1h") // nobody but the client publishes again
	lake := servers.NewLake(t)
	wire := servers.NewWire(t, "RABBITMQ")
	sys.Gateway.Terminate()
	if code, err := sys.Gateway.Wait(time.Minute); err != nil || code != 0 {
		t.Fatalf("the gateway ended with %d, %v", code, err)
	}
	sys.StartGateway(wire.Env()...)
	queue := broker.CommandQueue(ingest.MySQL)

	// ask posts until the broker has the command, and returns the job that the answer names.
	ask := func(key, what string, has func() bool) (id string) {
		t.Helper()
		wire.HoldThose(testbed.FromServer, "gateway publishing")
		answered := make(chan answer, 1)
		go func() { answered <- post(sys, ingest.MySQL, testbed.Small, key) }()
		sys.Eventually(what, has)
		wire.Break()
		wire.Mend()
		a := <-answered
		if a.status != http.StatusServiceUnavailable || a.Code != jobs.Unconfirmed || len(a.JobIDs) != 1 {
			t.Fatalf("without the broker's word the answer is %+v; want a 503 that names the job", a)
		}
		sys.Eventually("the gateway is ready again", sys.Gateway.Ready)
		return a.JobIDs[0]
	}
	// repeat posts the same once more.
	repeat := func(key, id string) {
		t.Helper()
		if a := post(sys, ingest.MySQL, testbed.Small, key); a.status != http.StatusAccepted || a.JobID != id {
			t.Errorf("the repeated request is answered with %+v; want a 202 for job %s", a, id)
		}
	}
	waiting := func(n int) func() bool {
		return func() bool {
			depths, err := sys.Depths()
			return err == nil && depths[queue].Messages == n
		}
	}

	first := ask("first", "the command lies in its queue", waiting(1))
	repeat("first", first)
	sys.Eventually("the command lies twice in its queue", waiting(2))
	for _, m := range sys.Take(queue, 2, true) {
		if c, err := ingest.DecodeCommand(m.Payload); err != nil || c.JobID != first || m.Properties.MessageID != first {
			t.Errorf("message %s is the command %+v, %v; want that of job %s both times", m.Properties.MessageID, c, err, first)
		}
	}
	sys.Work(ingest.MySQL, lake.Env()...)
	sys.Baseline()
	if job := sys.Ended(first); job.Status != ingest.Success || job.Attempt != 1 {
		t.Errorf("the job that was commanded twice ended as %s in attempt %d; want a success in the first", job.Status, job.Attempt)
	}

	gate := testbed.NewGate(t)
	defer lake.Before(func(c testbed.Call) testbed.Fate {
		if c.Op == testbed.UploadPart {
			gate.Hold(c.Context)
		}
		return testbed.Pass
	})()
	second := ask("second", "the worker sends the object", func() bool {
		select {
		case <-gate.Reached():
			return true
		default:
			return false
		}
	})
	repeat("second", second)
	gate.Open()
	if job := sys.Ended(second); job.Status != ingest.Success || job.Attempt != 1 {
		t.Errorf("the job that ran unconfirmed ended as %s in attempt %d; want a success in the first", job.Status, job.Attempt)
	}
	sys.RequireSound()
	if n := lake.Count(testbed.CreateUpload); n != 2 {
		t.Errorf("%d uploads were begun; want one for each of two jobs", n)
	}
	return "Twice the answer was a 503 that named the job, once with the command in the queue and once with the job running; repeated with the same key it was a 202 for the same id, and each job ran once."
}

// A broker short of memory reads nothing from publishers.
func memoryAlarm(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	lake := servers.NewLake(t)
	sys.Work(ingest.PostgreSQL, lake.Env()...)
	sys.Baseline()
	gate := lake.HoldAt(t, testbed.UploadPart, 1)
	id := sys.Submit(ingest.PostgreSQL, testbed.Large)
	sys.Signal("a part of the object is being sent", gate.Reached())

	relieve := func() { sys.Rabbit("set_vm_memory_high_watermark", "0.4") }
	t.Cleanup(relieve)
	sys.Rabbit("set_vm_memory_high_watermark", "0.0001")
	const (
		requests       = 20
		confirmTimeout = 5 * time.Second // the broker's default, see broker.Config
		slack          = 2 * time.Second // for a busy machine
		prompt         = time.Second
	)
	ask := func() (answer, time.Duration) {
		begun := time.Now()
		a := post(sys, ingest.PostgreSQL, testbed.Small, "")
		return a, time.Since(begun)
	}
	// A broker tells a connection of the alarm when it next publishes: the first request finds out.
	a, longest := ask()
	if a.status != http.StatusServiceUnavailable || a.Code != jobs.BrokerUnavailable && a.Code != jobs.Unconfirmed {
		t.Errorf("the first request under the alarm is answered with %+v; want a 503", a)
	}
	sys.Eventually("the gateway says that the broker takes no messages", func() bool {
		status, body := sys.Gateway.Get("/ready")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "it takes no messages")
	})
	var took []time.Duration
	for range requests - 1 {
		a, d := ask()
		took = append(took, d)
		if a.status != http.StatusServiceUnavailable || a.Code != jobs.BrokerUnavailable || len(a.JobIDs) > 0 {
			t.Errorf("under the alarm that is known a request is answered with %+v; want a 503 without a job", a)
		}
	}
	median := slices.Sorted(slices.Values(took))[len(took)/2]
	if longest = max(longest, slices.Max(took)); longest > confirmTimeout+slack {
		t.Errorf("a request under the alarm took %v; want the confirm timeout of %v at most", longest, confirmTimeout)
	}
	if median > prompt {
		t.Errorf("half of the requests under the alarm that is known took %v and more; want them refused at once", median)
	}

	gate.Open()
	if job := sys.Ended(id); job.Status != ingest.Success || job.Attempt != 1 {
		t.Errorf("the job that ran into the alarm ended as %s in attempt %d; want a success in the first", job.Status, job.Attempt)
	}
	if ends := sys.Ends(id); len(ends) > 0 {
		t.Errorf("a broker that reads nothing delivered %v: the alarm was none", ends)
	}
	relieve()
	sys.Eventually("the event that waited is delivered", func() bool { return len(sys.Ends(id)) > 0 })
	sys.Eventually("the gateway is ready again", sys.Gateway.Ready)
	sys.Ended(sys.Submit(ingest.PostgreSQL, testbed.Small))
	sys.RequireSound()
	return fmt.Sprintf("%d requests were answered with 503, the slowest after %v (the first one met the alarm), half of the others within %v; the job ended under the alarm, its event came after it.",
		requests, longest.Round(time.Millisecond), median.Round(time.Microsecond))
}

// A broker short of disk reads nothing from publishers either. What ends meanwhile is told after.
func diskAlarm(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	lake := servers.NewLake(t)
	sys.Work(ingest.PostgreSQL, append(lake.Env(), "INGESTA_CONCURRENCY=1")...)
	sys.Work(ingest.MySQL, lake.Env()...)
	sys.Baseline()
	gates := []*testbed.Gate{
		holdKeys(t, lake, testbed.UploadPart, string(ingest.PostgreSQL)+"/"+testbed.Large),
		holdKeys(t, lake, testbed.UploadPart, string(ingest.MySQL)+"/"+testbed.Large),
	}
	ids := []string{
		sys.Submit(ingest.PostgreSQL, testbed.Large), sys.Submit(ingest.MySQL, testbed.Large),
		sys.Submit(ingest.PostgreSQL, testbed.Small), // waits for the only slot
	}
	for _, g := range gates {
		sys.Signal("a part of the object is being sent", g.Reached())
	}

	relieve := func() { sys.Rabbit("set_disk_free_limit", "50MB") }
	t.Cleanup(relieve)
	sys.Rabbit("set_disk_free_limit", "1000000000000000")
	sys.Eventually("the alarm is raised", func() bool { return strings.Contains(sys.Rabbit("eval", "rabbit_alarm:get_alarms()."), "disk") })
	for _, g := range gates {
		g.Open()
	}
	for _, id := range ids {
		if job := sys.Ended(id); job.Status != ingest.Success || job.Attempt != 1 {
			t.Errorf("under the alarm job %s ended as %s in attempt %d; want a success in the first", id, job.Status, job.Attempt)
		}
	}
	outbox := func() []string {
		entries, err := sys.Redis().ZRange(t.Context(), "{"+sys.Prefix+"}:outbox", 0, -1).Result()
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	<-time.After(5 * time.Second) // the fault is that it lasts: overdue events are looked at several times
	waiting := outbox()
	for _, id := range ids {
		if !slices.Contains(waiting, "event:"+id) || len(sys.Ends(id)) > 0 {
			t.Errorf("under the alarm the events %v of job %s are delivered, and the outbox holds %v; want its event to wait there", sys.Ends(id), id, waiting)
		}
	}
	relieve()
	relieved := time.Now()
	sys.Eventually("the outbox is empty", func() bool { return len(outbox()) == 0 })
	flushed := time.Since(relieved)
	sys.RequireSound()
	return fmt.Sprintf("%d jobs ended under the alarm, one of them begun under it; their events waited in the outbox and were out %v after its end.", len(ids), flushed.Round(time.Millisecond))
}

// A broker without the binding confirms a command and gives it back.
func commandUnroutable(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	sys.Work(ingest.MySQL)
	sys.Baseline()
	queue := broker.CommandQueue(ingest.MySQL)
	stacktest.Management(t, http.MethodDelete, "/api/bindings/"+sys.VHost+"/e/"+broker.CommandsExchange+"/q/"+queue+"/"+string(ingest.MySQL), nil, nil)
	broken := time.Now()
	a := post(sys, ingest.MySQL, testbed.Small, "")
	if a.status != http.StatusServiceUnavailable || a.Code != jobs.BrokerUnavailable || len(a.JobIDs) > 0 {
		t.Errorf("a command that no queue takes is answered with %+v; want a 503 without a job", a)
	}
	if left := jobsListed(t, sys); len(left) > 0 {
		t.Errorf("the refused request left %v; want no job", left)
	}
	refused := 1
	sys.Eventually("a command finds its queue again", func() bool {
		a = post(sys, ingest.MySQL, testbed.Small, "")
		if a.status != http.StatusAccepted {
			refused++
		}
		return a.status == http.StatusAccepted
	})
	mended := time.Since(broken)
	if job := sys.Ended(a.JobID); job.Status != ingest.Success {
		t.Errorf("the job after the mending ended as %s, want success", job.Status)
	}
	if all := jobsListed(t, sys); len(all) != 1 {
		t.Errorf("there are the jobs %v; want the accepted one alone", all)
	}
	sys.RequireSound()
	return fmt.Sprintf("%d requests were refused with 503 and left no job; %v after the binding was deleted one was accepted.", refused, mended.Round(time.Millisecond))
}

// Somebody declared a queue of ours in another way before we came.
func queueConflicts(t *testing.T, servers *testbed.Servers) string {
	sys := servers.Prepare(t)
	queue := broker.CommandQueue(ingest.MySQL)
	stacktest.Management(t, http.MethodPut, "/api/queues/"+sys.VHost+"/"+queue, map[string]any{"durable": true}, nil)
	processes := []*testbed.Process{sys.StartGatewayUnready(), sys.WorkUnready(ingest.MySQL)}
	for _, p := range processes {
		sys.Eventually(p.Name+" names the queue on /ready", func() bool {
			status, body := p.Get("/ready")
			return status == http.StatusServiceUnavailable && strings.Contains(body, queue) && strings.Contains(body, "delete it")
		})
	}
	// Each process has two connections, and each of them declares.
	const connections = 4
	refusals := func() int {
		log, err := os.ReadFile(sys.Local(filepath.Join("faults", "logs", "rabbitmq.log")))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, "inequivalent arg") && strings.Contains(line, sys.VHost) {
				n++
			}
		}
		return n
	}
	sys.Eventually("every connection met the conflict", func() bool { return refusals() >= connections })
	<-time.After(8 * time.Second) // dozens of declarations at the usual pace of reconnecting
	refused := refusals()
	if refused > 2*connections {
		t.Errorf("the queue was declared %d times over %d connections; want them to wait for an operator", refused, connections)
	}
	for _, p := range processes {
		told := 0
		for line := range strings.Lines(p.Log()) {
			if strings.Contains(line, queue) && strings.Contains(line, `"level":"ERROR"`) {
				told++
			}
		}
		if told == 0 || told > 2 {
			t.Errorf("the log of %s has %d errors that name the queue; want one for each connection", p.Name, told)
		}
		if p.Ready() {
			t.Errorf("%s is ready without its queue", p.Name)
		}
	}
	if a := post(sys, ingest.MySQL, testbed.Small, ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("a request is answered with %+v; want 503", a)
	}

	stacktest.Management(t, http.MethodDelete, "/api/queues/"+sys.VHost+"/"+queue, nil, nil)
	deleted := time.Now()
	for _, p := range processes {
		sys.Eventually(p.Name+" is ready by itself", p.Ready)
	}
	up := time.Since(deleted)
	sys.Observe()
	sys.Baseline()
	if job := sys.Ended(sys.Submit(ingest.MySQL, testbed.Small)); job.Status != ingest.Success {
		t.Errorf("the first job ended as %s, want success", job.Status)
	}
	sys.RequireSound()
	return fmt.Sprintf("%d declarations over %d connections in more than 8 s, the queue named once by each on /ready and in the log; ready %v after it was deleted.", refused, connections, up.Round(time.Second))
}

// A broker gives a consumer a minute for each delivery; the export takes longer.
func consumerTimesOut(t *testing.T, servers *testbed.Servers) string {
	for _, setting := range []struct{ name, value string }{{"consumer_timeout", "60000"}, {"channel_tick_interval", "5000"}} {
		was := strings.TrimSpace(servers.Rabbit("eval", fmt.Sprintf("application:get_env(rabbit, %s, none).", setting.name)))
		restore := fmt.Sprintf("application:set_env(rabbit, %s, %s).", setting.name, was)
		if was == "none" {
			restore = fmt.Sprintf("application:unset_env(rabbit, %s).", setting.name)
		}
		t.Cleanup(func() { servers.Rabbit("eval", restore) })
		servers.Rabbit("eval", fmt.Sprintf("application:set_env(rabbit, %s, %s).", setting.name, setting.value))
	}
	sys := servers.NewSystem(t) // its channels are new
	lake := servers.NewLake(t)
	worker := sys.Work(ingest.PostgreSQL, append(lake.Env(), "INGESTA_S3_TIMEOUT=10m")...)
	sys.Baseline()
	gate := lake.HoldAt(t, testbed.UploadPart, 2)
	id := sys.Submit(ingest.PostgreSQL, testbed.Large)
	sys.Signal("a part of the object is being sent", gate.Reached())
	begun := time.Now()
	sys.Eventually("the broker closes the channel", func() bool {
		return strings.Contains(worker.Log(), "PRECONDITION_FAILED - delivery acknowledgement on channel")
	})
	closed := time.Since(begun)
	sys.Eventually("the command came again and is parked", func() bool {
		depths, err := sys.Depths()
		if err != nil {
			return false
		}
		parked := 0
		for name, d := range depths {
			if strings.HasPrefix(name, "ingesta.delay.") {
				parked += d.Messages
			}
		}
		return parked == 1
	})
	sys.Eventually("the worker consumes again", worker.Ready)
	gate.Open()
	if job := sys.Ended(id); job.Status != ingest.Success || job.Attempt != 1 {
		t.Errorf("the job ended as %s in attempt %d; want a success in the first", job.Status, job.Attempt)
	}
	sys.RequireSound()
	if n := lake.Count(testbed.CreateUpload); n != 1 {
		t.Errorf("%d uploads were begun; want one", n)
	}
	return fmt.Sprintf("The broker closed the channel after %v; the command that came again was parked, and the job ended in its first attempt with one upload.", closed.Round(time.Second))
}

// Somebody deletes the queue under its consumer: with one job running, and with the command of
// another in it.
func consumerCancelled(t *testing.T, servers *testbed.Servers) string {
	const within = 10 * time.Second
	// The gateway, whose publish would find the queue missing, comes too late to be the one that mends.
	sys := servers.NewSystem(t, "INGESTA_REPUBLISH_AFTER=12s")
	lake := servers.NewLake(t)
	worker := sys.Work(ingest.MySQL, append(lake.Env(), "INGESTA_CONCURRENCY=1")...)
	sys.Baseline()
	gate := lake.HoldAt(t, testbed.UploadPart, 1)
	queue := broker.CommandQueue(ingest.MySQL)
	running := sys.Submit(ingest.MySQL, testbed.Large)
	sys.Signal("a part of the object is being sent", gate.Reached())
	waiting := sys.Submit(ingest.MySQL, testbed.Small)

	stacktest.Management(t, http.MethodDelete, "/api/queues/"+sys.VHost+"/"+queue, nil, nil)
	deleted := time.Now()
	var took time.Duration
	sys.Eventually("the queue is there again and has a consumer", func() bool {
		depths, err := sys.Depths()
		took = time.Since(deleted)
		return err == nil && depths[queue].Consumers > 0
	})
	if took > within {
		t.Errorf("it took %v until the queue was consumed again; want %v at most", took, within)
	}
	sys.Eventually("the worker is ready", worker.Ready)
	gate.Open()
	for _, id := range []string{running, waiting} {
		if job := sys.Ended(id); job.Status != ingest.Success || job.Attempt != 1 {
			t.Errorf("job %s ended as %s in attempt %d; want a success in the first", id, job.Status, job.Attempt)
		}
	}
	if job := sys.Ended(sys.Submit(ingest.MySQL, testbed.Small)); job.Status != ingest.Success {
		t.Errorf("a job of the new queue ended as %s, want success", job.Status)
	}
	sys.RequireSound()
	return fmt.Sprintf("Declared again and consuming %v after the deletion; the running job ended in its first attempt, and so did the one whose command was deleted with the queue.", took.Round(time.Millisecond))
}

// Anybody may put anything into the queue.
func unreadableCommands(t *testing.T, servers *testbed.Servers) string {
	sys := servers.NewSystem(t)
	sys.Work(ingest.MySQL)
	sys.Baseline()
	// command is one that would be carried out, but for what is changed in it.
	command := func(change func(map[string]any)) string {
		fields := map[string]any{
			"version": ingest.CommandVersion, "job_id": "0194f3c0-7b2e-7000-8000-00000000000a", "database": "mysql", "requested_by": "nobody",
			"accepted_at": time.Now().UTC(), "datasets": []map[string]string{{"name": testbed.Small, "key": "mysql/intrusa.csv"}},
		}
		change(fields)
		body, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	letters := []struct {
		name, body string
		code       ingest.Code
	}{
		{"malformed", "\x00\xff{\"version\": 1, \r\n", ingest.MalformedCommand},
		{"empty", "", ingest.MalformedCommand},
		{"oversized", command(func(c map[string]any) { c["padding"] = strings.Repeat("ñ", ingest.MaxCommand) }), ingest.MalformedCommand},
		{"unknown version", command(func(c map[string]any) { c["version"] = ingest.CommandVersion + 1 }), ingest.UnsupportedVersion},
		{"wrong database", command(func(c map[string]any) { c["database"] = "postgresql" }), ingest.MalformedCommand},
		{"no UUID", command(func(c map[string]any) { c["job_id"] = "pedido-7" }), ingest.MalformedCommand},
	}
	for _, l := range letters {
		if !sys.PublishRaw(broker.CommandsExchange, string(ingest.MySQL), l.body, map[string]any{"message_id": l.name, "delivery_mode": 2}) {
			t.Fatalf("the command %q found no queue", l.name)
		}
	}
	sys.ExpectDeadLetters(len(letters))
	sys.Eventually("they all are among the dead letters, unless one of them became a job", func() bool {
		depths, err := sys.Depths()
		return err == nil && depths[broker.DeadQueue].Messages == len(letters) || len(jobsListed(t, sys)) > 0
	})
	if made := jobsListed(t, sys); len(made) > 0 {
		t.Fatalf("a command that nobody gave became the job %v", made)
	}
	dead := map[string]testbed.Message{}
	for _, m := range sys.Take(broker.DeadQueue, len(letters), true) {
		dead[m.Properties.MessageID] = m
	}
	for _, l := range letters {
		m, there := dead[l.name]
		code, _ := m.Properties.Headers[broker.HeaderCode].(string)
		reason, _ := m.Properties.Headers[broker.HeaderReason].(string)
		switch {
		case !there:
			t.Errorf("the command %q is not among the dead letters", l.name)
		case ingest.Code(code) != l.code || reason == "":
			t.Errorf("the command %q is dead because of %q (%s); want %q and words", l.name, code, reason, l.code)
		case string(m.Payload) != l.body:
			t.Errorf("the command %q has %d bytes among the dead letters, and not the %d that were sent", l.name, len(m.Payload), len(l.body))
		case m.RoutingKey != string(ingest.MySQL):
			t.Errorf("the command %q has the routing key %q; want the one it came with", l.name, m.RoutingKey)
		}
	}
	id := sys.Submit(ingest.MySQL, testbed.Small)
	if job := sys.Ended(id); job.Status != ingest.Success {
		t.Errorf("the job behind them ended as %s, want success", job.Status)
	}
	if all := jobsListed(t, sys); !slices.Equal(all, []string{id}) {
		t.Errorf("there are the jobs %v; want %s alone", all, id)
	}
	sys.RequireSound()
	return fmt.Sprintf("%d commands, one of them of %d bytes, are dead with code, reason and every byte; none became a job, and the one behind them ran.", len(letters), len(letters[2].body))
}

// TestTenBrokerRestarts lets an export go on by one request to S3 for each restart of the broker.
func TestTenBrokerRestarts(t *testing.T) {
	if *quick {
		t.Skip("not one of the quick half")
	}
	servers := testbed.Up(t, "faults")
	sys := servers.NewSystem(t)
	lake := servers.NewLake(t)
	worker := sys.Work(ingest.PostgreSQL, append(lake.Env(), "INGESTA_S3_TIMEOUT=10m")...)
	sys.Baseline()

	// The creation of the upload, six parts, the completion, its answer and the manifest: ten in all.
	turnstile := make(chan struct{})
	arrived := make(chan testbed.Call, 100)
	pass := func(c testbed.Call) testbed.Fate {
		arrived <- c
		select {
		case <-turnstile:
		case <-c.Context.Done():
		}
		return testbed.Pass
	}
	steps := []testbed.Op{testbed.CreateUpload, testbed.UploadPart, testbed.CompleteUpload, testbed.PutObject}
	lake.Before(func(c testbed.Call) testbed.Fate {
		if slices.Contains(steps, c.Op) {
			return pass(c)
		}
		return testbed.Pass
	})
	lake.After(func(c testbed.Call) testbed.Fate {
		if c.Op == testbed.CompleteUpload {
			return pass(c)
		}
		return testbed.Pass
	})

	id := sys.Submit(ingest.PostgreSQL, testbed.Large)
	const restarts = 10
	var away time.Duration
	for n := 1; n <= restarts; n++ {
		var held testbed.Call
		select {
		case held = <-arrived:
		case <-time.After(3 * time.Minute):
			t.Fatalf("the export made %d requests; want %d", n-1, restarts)
		}
		begun := time.Now()
		if n%2 == 0 {
			servers.Kill("rabbitmq")
		} else {
			servers.Stop("rabbitmq")
		}
		sys.Eventually("the worker knows that the broker is away", func() bool { return !worker.Ready() })
		servers.Start("rabbitmq")
		sys.Eventually("the worker consumes again", worker.Ready)
		away += time.Since(begun)
		job, ok := sys.Job(id)
		if !ok || job.Status != ingest.Running || job.Attempt != 1 {
			t.Fatalf("after restart %d the job is %s in attempt %d; want it running in its first", n, job.Status, job.Attempt)
		}
		t.Logf("restart %d, at %s %d: the job runs in attempt %d under fence %d", n, held.Op, held.Number, job.Attempt, job.Fence)
		turnstile <- struct{}{}
	}
	close(turnstile)
	job := sys.Ended(id)
	if job.Status != ingest.Success || job.Attempt != 1 {
		t.Errorf("the job ended as %s in attempt %d; want a success in the first", job.Status, job.Attempt)
	}
	found := sys.RequireSound()
	created := lake.Count(testbed.CreateUpload)
	if created != 1 {
		t.Errorf("%d uploads were begun; want one", created)
	}
	ends := sys.Ends(id)
	names := map[string]bool{}
	for _, e := range ends {
		names[e.ID] = true
	}
	if len(names) != 1 || found.Success != 1 {
		t.Errorf("%d successes with the end events %v; want one, of one id", found.Success, ends)
	}
	t.Logf("%d restarts, the broker away for %v in all: attempt %d, %d upload of %d bytes, %d rows, %d end event(s) of %d id",
		restarts, away.Round(time.Second), job.Attempt, created, job.Results[0].Bytes, job.Results[0].Rows, len(ends), len(names))
}

// answer is what the gateway says to a request for a job.
type answer struct {
	status int
	err    error
	JobID  string    `json:"job_id"`
	Code   jobs.Code `json:"code"`
	JobIDs []string  `json:"job_ids"`
}

// post asks for a job of one dataset.
func post(sys *testbed.System, db ingest.Database, dataset, key string) (a answer) {
	header := http.Header{}
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	status, body, err := sys.Post("/api/ingesta/"+string(db), `{"datasets":["`+dataset+`"]}`, header)
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	a.status, a.err = status, err
	return a
}

// jobsListed returns the ids of all jobs that the gateway knows.
func jobsListed(t *testing.T, sys *testbed.System) (ids []string) {
	t.Helper()
	status, body := sys.Gateway.Get("/api/ingesta/jobs?limit=100")
	var list struct {
		Jobs []struct {
			ID string `json:"job_id"`
		}
	}
	if err := json.Unmarshal([]byte(body), &list); status != http.StatusOK || err != nil {
		t.Fatalf("listing the jobs: %d %s, %v", status, body, err)
	}
	for _, job := range list.Jobs {
		ids = append(ids, job.ID)
	}
	return ids
}

// holdKeys closes a gate before the calls of the operation whose keys contain the text.
func holdKeys(t *testing.T, lake *testbed.Lake, op testbed.Op, text string) *testbed.Gate {
	gate := testbed.NewGate(t)
	lake.Before(func(c testbed.Call) testbed.Fate {
		if c.Op == op && strings.Contains(c.Key, text) {
			gate.Hold(c.Context)
		}
		return testbed.Pass
	})
	return gate
}

// closeConnections has the broker close every connection, and returns when the processes have others.
func closeConnections(sys *testbed.System, workers ...*testbed.Process) {
	open := func() (pids []string) {
		for _, word := range strings.Fields(sys.Rabbit("list_connections", "pid")) {
			if strings.HasPrefix(word, "<") { // the other line is the heading
				pids = append(pids, word)
			}
		}
		return pids
	}
	old := open()
	sys.Rabbit("close_all_connections", "--global", "on purpose")
	sys.Eventually("the old connections are gone and the processes are ready", func() bool {
		for _, p := range append(workers, sys.Gateway) {
			if !p.Ready() {
				return false
			}
		}
		return !slices.ContainsFunc(open(), func(pid string) bool { return slices.Contains(old, pid) })
	})
}

// unanswered returns how many deliveries wait for their answer, over all connections of the system.
// The channels themselves tell it: what the broker says of a queue is seconds old.
func unanswered(t *testing.T, sys *testbed.System) (n int) {
	t.Helper()
	for line := range strings.Lines(sys.Rabbit("list_channels", "vhost", "messages_unacknowledged")) {
		vhost, count, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if vhost != sys.VHost {
			continue
		}
		of, err := strconv.Atoi(count)
		if err != nil {
			t.Fatalf("the broker lists the channel %q: %v", line, err)
		}
		n += of
	}
	return n
}
