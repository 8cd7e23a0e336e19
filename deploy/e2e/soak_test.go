//go:build soak

package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/deploy/e2e/testbed"
	"github.com/pharmavida/ingesta/shared/ingest"
)

var (
	minutes = flag.Float64("minutes", 2, "how long jobs and faults go on")
	seed    = flag.Uint64("seed", 0, "of every choice; 0 chooses one")
)

// What a soak is made of: workers of each database, clients, and faults of each kind in a minute.
const (
	workersEach = 2
	clients     = 4

	killsAMinute    = 1.7
	freezesAMinute  = 0.6
	restartsAMinute = 0.35
	othersAMinute   = 5.7
)

// outcomeOfSoak is .local/soak.json.
type outcomeOfSoak struct {
	Seed       uint64         `json:"seed"`
	Minutes    float64        `json:"minutes"`
	Accepted   int            `json:"accepted"`
	Success    int            `json:"success"`
	Partial    int            `json:"partial"`
	Error      int            `json:"error"`
	Cancelled  int            `json:"cancelled"`
	Lost       int            `json:"lost"`
	Duplicated int            `json:"duplicated"`
	Truncated  int            `json:"truncated"`
	Orphans    int            `json:"orphans"`
	Other      int            `json:"other"`
	Faults     map[string]int `json:"faults"`
}

// TestSoak has several clients ask for random jobs while random faults befall every part of the
// system. When all is calm again, every job, object, event and queue is held against the invariants.
func TestSoak(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64N(1 << 32)
	}
	t.Logf("seed %d, %v minutes", *seed, *minutes)
	servers := testbed.Up(t, "soak")
	k := newSoak(t, servers)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*minutes*float64(time.Minute)))
	defer cancel()
	var asking sync.WaitGroup
	for i := range clients {
		asking.Go(func() { k.client(ctx, rand.New(rand.NewPCG(*seed, uint64(i)+1))) })
	}
	k.torment(ctx, rand.New(rand.NewPCG(*seed, 0)))
	asking.Wait()
	k.heal()

	found := k.Audit()
	outcome := outcomeOfSoak{
		Seed: *seed, Minutes: *minutes, Accepted: found.Accepted, Success: found.Success, Partial: found.Partial,
		Error: found.Error, Cancelled: found.Cancelled, Lost: len(found.Lost), Duplicated: len(found.Duplicated),
		Truncated: len(found.Truncated), Orphans: len(found.Orphans), Other: len(found.Other), Faults: k.faults,
	}
	text, err := json.MarshalIndent(outcome, "", "  ")
	if err == nil {
		err = os.WriteFile(servers.Local("soak.json"), append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Errorf("writing the outcome: %v", err)
	}
	t.Logf("%s", text)
	if !found.Sound() {
		t.Errorf("the audit found:\n%s", found)
	}
	if total := found.Success + found.Partial + found.Error + found.Cancelled; found.Success*100 < 80*total {
		t.Errorf("%d of %d jobs succeeded; want 80 %%", found.Success, total)
	}
}

// soak is a system under torment.
type soak struct {
	*testbed.System
	t       *testing.T
	lake    *testbed.Lake
	mongo   *testbed.Wire
	workers []*testbed.Process
	faults  map[string]int
}

func newSoak(t *testing.T, servers *testbed.Servers) *soak {
	k := &soak{
		System: servers.NewSystem(t), t: t, lake: servers.NewLake(t), mongo: servers.NewWire(t, "MONGO"), faults: map[string]int{},
	}
	for _, db := range testbed.Databases() {
		for range workersEach {
			k.workers = append(k.workers, k.Work(db, k.environ(db)...))
		}
	}
	k.Baseline()
	return k
}

// environ returns the ways by which a worker reaches what is tormented on the way.
func (k *soak) environ(db ingest.Database) []string {
	if db == ingest.MongoDB {
		return append(k.lake.Env(), k.mongo.Env()...)
	}
	return k.lake.Env()
}

// database returns the database of the worker with the index.
func (k *soak) database(i int) ingest.Database { return testbed.Databases()[i/workersEach] }

// client asks for one job after the other, and waits for each as a client would.
func (k *soak) client(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		db := testbed.Databases()[random.IntN(3)]
		body := ""
		switch n := random.IntN(100); {
		case n < 8: // both datasets
		case n < 16:
			body = `{"datasets":["` + testbed.Large + `"]}`
		default:
			body = `{"datasets":["` + testbed.Small + `"]}`
		}
		header := http.Header{}
		if random.IntN(2) == 0 {
			header.Set("Idempotency-Key", strconv.FormatUint(random.Uint64(), 36))
		}
		cancel, pause := random.IntN(100) < 5, time.Duration(random.IntN(1500))*time.Millisecond
		if id := k.ask(ctx, "/api/ingesta/"+string(db), body, header); id != "" {
			k.follow(ctx, id, cancel, pause)
		}
		wait(ctx, pause)
	}
}

// ask posts until the answer is clear, as a client with an idempotency key may; one without a key
// tries once. It returns the job's id, or nothing.
func (k *soak) ask(ctx context.Context, path, body string, header http.Header) (id string) {
	for {
		status, answer, err := k.Post(path, body, header)
		var said struct {
			JobID string `json:"job_id"`
		}
		switch {
		case err == nil && status == http.StatusAccepted:
			if err := json.Unmarshal(answer, &said); err != nil || said.JobID == "" {
				k.t.Errorf("a 202 without a job: %s", answer)
			}
			return said.JobID
		case err == nil && status != http.StatusServiceUnavailable:
			k.t.Errorf("POST %s: %d %s; want 202 or 503", path, status, answer)
			return ""
		case header.Get("Idempotency-Key") == "" || !wait(ctx, 300*time.Millisecond):
			return ""
		}
	}
}

// follow waits for the end of a job, after asking for its cancellation or not.
func (k *soak) follow(ctx context.Context, id string, cancel bool, after time.Duration) {
	if cancel && wait(ctx, after/2) {
		// Refused when the job is over, or the gateway is: either is fine.
		_, _, _ = k.Post("/api/ingesta/jobs/"+id+"/cancel", "", nil)
	}
	for wait(ctx, 200*time.Millisecond) {
		if job, ok := k.Job(id); ok && job.Status.Terminal() {
			return
		}
	}
}

// wait pauses, and reports whether ctx still lives.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// torment lets faults happen, spread over the time there is, in an order of the seed's choice.
func (k *soak) torment(ctx context.Context, random *rand.Rand) {
	type fault struct {
		name string
		do   func(context.Context, *rand.Rand)
	}
	others := []fault{
		{"connections_closed", k.closeConnections}, {"redis_clients_killed", k.killRedisClients}, {"redis_frozen", k.freezeRedis},
		{"s3_errors", k.troubleS3}, {"source_sessions_killed", k.killSessions}, {"gateway_killed", k.killGateway},
	}
	var planned []fault
	plan := func(aMinute float64, choose func(i int) fault) {
		for i := range int(aMinute**minutes + 0.999) {
			planned = append(planned, choose(i))
		}
	}
	plan(killsAMinute, func(int) fault { return fault{"worker_killed", k.killWorker} })
	plan(freezesAMinute, func(int) fault { return fault{"worker_frozen", k.freezeWorker} })
	plan(restartsAMinute, func(i int) fault {
		return []fault{{"broker_restarted", k.restartBroker}, {"broker_killed", k.killBroker}}[i%2]
	})
	plan(othersAMinute, func(i int) fault { return others[i%len(others)] })
	random.Shuffle(len(planned), func(i, j int) { planned[i], planned[j] = planned[j], planned[i] })

	begun := time.Now()
	length := time.Duration(*minutes * float64(time.Minute))
	for i, f := range planned {
		due := begun.Add(length * time.Duration(i) / time.Duration(len(planned)))
		if !wait(ctx, time.Until(due)) {
			k.t.Errorf("only %d of %d faults found the time to happen", i, len(planned))
			return
		}
		k.t.Logf("%6.1f s  %s", time.Since(begun).Seconds(), f.name)
		f.do(context.WithoutCancel(ctx), random) // to its end: nothing stays frozen
		k.faults[f.name]++
	}
	<-ctx.Done()
}

// killWorker kills a worker and has another take its place.
func (k *soak) killWorker(ctx context.Context, random *rand.Rand) {
	i := random.IntN(len(k.workers))
	k.workers[i].Kill()
	wait(ctx, time.Duration(random.IntN(1500))*time.Millisecond)
	k.workers[i] = k.WorkUnready(k.database(i), k.environ(k.database(i))...)
}

// freezeWorker freezes a worker for longer than its lease.
func (k *soak) freezeWorker(ctx context.Context, random *rand.Rand) {
	worker := k.workers[random.IntN(len(k.workers))]
	worker.Freeze()
	wait(ctx, testbed.Lease+time.Duration(500+random.IntN(3000))*time.Millisecond)
	worker.Thaw()
}

// restartBroker stops and starts RabbitMQ inside its running node.
func (k *soak) restartBroker(context.Context, *rand.Rand) {
	k.Rabbit("stop_app")
	k.Rabbit("start_app")
}

// killBroker kills the node.
func (k *soak) killBroker(context.Context, *rand.Rand) {
	k.Kill("rabbitmq")
	k.Start("rabbitmq")
}

func (k *soak) closeConnections(context.Context, *rand.Rand) {
	k.Rabbit("close_all_connections", "soak")
}

func (k *soak) killRedisClients(ctx context.Context, _ *rand.Rand) {
	k.must(k.Redis().ClientKillByFilter(ctx, "TYPE", "normal").Err())
	k.must(k.Redis().ClientKillByFilter(ctx, "TYPE", "pubsub").Err())
}

// freezeRedis freezes Redis for less than a lease.
func (k *soak) freezeRedis(ctx context.Context, random *rand.Rand) {
	thaw := k.Freeze(k.t, "redis")
	wait(ctx, time.Duration(500+random.IntN(2500))*time.Millisecond)
	thaw()
}

// troubleS3 makes S3 refuse requests and lose its answers for a while.
func (k *soak) troubleS3(ctx context.Context, random *rand.Rand) {
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(random.Uint64(), 0))
	throw := func(percent int) bool {
		mu.Lock()
		defer mu.Unlock()
		return dice.IntN(100) < percent
	}
	calm := k.lake.Before(func(testbed.Call) testbed.Fate {
		switch {
		case throw(30):
			return testbed.SlowDown
		case throw(15):
			return testbed.Lose
		default:
			return testbed.Pass
		}
	})
	quiet := k.lake.After(func(testbed.Call) testbed.Fate {
		if throw(20) {
			return testbed.Lose
		}
		return testbed.Pass
	})
	wait(ctx, time.Duration(1000+random.IntN(2000))*time.Millisecond)
	calm()
	quiet()
}

// killSessions has every source end the sessions of the workers.
func (k *soak) killSessions(ctx context.Context, _ *rand.Rand) {
	k.mongo.Break()
	k.must(k.KillSessions(ctx, ingest.PostgreSQL))
	k.must(k.KillSessions(ctx, ingest.MySQL))
}

// killGateway kills the gateway; another takes its place.
func (k *soak) killGateway(context.Context, *rand.Rand) {
	k.Gateway.Kill()
	k.StartGateway()
}

func (k *soak) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Errorf("a fault could not be brought about: %v", err)
	}
}

// heal makes sure that everything that is meant to serve does.
func (k *soak) heal() {
	k.mongo.Mend()
	for i, worker := range k.workers {
		if !worker.Alive() {
			k.t.Errorf("%s ended by itself", worker.Name)
			k.workers[i] = k.WorkUnready(k.database(i), k.environ(k.database(i))...)
		}
	}
}
