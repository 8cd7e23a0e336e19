package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/gateway/internal/flaky"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of the tests. It only matters when something is broken.
const patience = 30 * time.Second

// running is a gateway on real servers, behind proxies that a test may cut.
type running struct {
	t        *testing.T
	url      string
	vhost    string
	store    *jobstore.Store // a way to Redis that is never cut
	redis    *flaky.Proxy
	rabbitmq *flaky.Proxy
	logs     *bytes.Buffer // complete once stopped
	stop     func() error  // once; later calls return nil
}

// start returns a gateway that is ready.
func start(t *testing.T, override ...string) *running {
	t.Helper()
	g := begin(t, override...)
	stacktest.Eventually(t, "the gateway is ready", func() bool { return g.call("GET", "/ready", "").status == 200 })
	return g
}

// begin returns a gateway that has just begun.
func begin(t *testing.T, override ...string) *running {
	t.Helper()
	settings := stacktest.Isolate(t)
	var cfg Config
	stacktest.Load(t, &cfg, slices.Concat(settings, []string{
		"INGESTA_ENV=development", "AUTH_MODE=none", "LOG_LEVEL=debug", "INGESTA_RECONCILE_INTERVAL=100ms", "INGESTA_RETENTION=5m",
		"INGESTA_REDIS_TIMEOUT=2s", "INGESTA_REDIS_IO_TIMEOUT=1s",
	}, override)...)
	store, err := jobstore.Open(cfg.Store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() }) // nothing is under way any more
	g := &running{
		t: t, vhost: cfg.Broker.VHost, store: store, logs: &bytes.Buffer{},
		redis:    flaky.New(t, cfg.Store.Host, cfg.Store.Port),
		rabbitmq: flaky.New(t, cfg.Broker.Host, cfg.Broker.Port),
	}
	cfg.Store.Host, cfg.Store.Port = "127.0.0.1", g.redis.Port()
	cfg.Broker.Host, cfg.Broker.Port = "127.0.0.1", g.rabbitmq.Port()

	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.url = "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(g.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	go func() { ended <- serve(ctx, cfg, listener, log) }()
	var once sync.Once
	g.stop = func() (err error) {
		once.Do(func() {
			cancel()
			err = <-ended
			http.DefaultClient.CloseIdleConnections()
		})
		return err
	}
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Errorf("the gateway ended with %v", err)
		}
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", g.logs)
		}
	})
	return g
}

// answered is an HTTP answer.
type answered struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// job reads the body as a job.
func (a answered) job(t *testing.T) ingest.Job {
	t.Helper()
	var job ingest.Job
	if err := json.Unmarshal(a.body, &job); err != nil || job.ID == "" {
		t.Fatalf("status %d, %v: the body is no job: %s", a.status, err, a.body)
	}
	return job
}

func (a answered) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal(a.body, &p) // what is no problem has no code
	return p.Code
}

// call makes a request; headers are "Name: value".
func (g *running) call(method, path, body string, headers ...string) answered {
	r, err := http.NewRequest(method, g.url+path, strings.NewReader(body))
	if err != nil {
		return answered{err: err}
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return answered{err: err}
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	return answered{status: response.StatusCode, header: response.Header, body: said, err: err}
}

// consume takes the commands of the databases, as workers do, until the test ends.
func (g *running) consume(databases ...ingest.Database) {
	g.t.Helper()
	var cfg struct{ Broker broker.Config }
	stacktest.Load(g.t, &cfg, "RABBITMQ_VHOST="+g.vhost)
	b := broker.New(cfg.Broker, "gateway-test", databases, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = b.Run(ctx) })
	for _, db := range databases {
		parts.Go(func() { _ = b.Consume(ctx, db, 1, func(_ context.Context, d *broker.Delivery) { _ = d.Ack() }) })
	}
	g.t.Cleanup(func() {
		cancel()
		parts.Wait()
	})
}

// commands takes every command out of a database's queue.
func (g *running) commands(db ingest.Database) []ingest.Command {
	g.t.Helper()
	var commands []ingest.Command
	for _, payload := range g.take(broker.CommandQueue(db)) {
		command, err := ingest.DecodeCommand(payload)
		if err != nil {
			g.t.Fatal(err)
		}
		commands = append(commands, command)
	}
	return commands
}

func (g *running) take(queue string) (payloads [][]byte) {
	g.t.Helper()
	for {
		var got []struct{ Payload string }
		stacktest.Management(g.t, "POST", "/api/queues/"+g.vhost+"/"+queue+"/get",
			map[string]any{"count": 100, "ackmode": "ack_requeue_false", "encoding": "auto"}, &got)
		if len(got) == 0 {
			return payloads
		}
		for _, message := range got {
			payloads = append(payloads, []byte(message.Payload))
		}
	}
}

// existing returns the ids of all jobs that Redis knows.
func (g *running) existing() []string {
	g.t.Helper()
	page, err := g.store.List(g.t.Context(), jobstore.Query{Limit: 200})
	if err != nil {
		g.t.Fatal(err)
	}
	var ids []string
	for _, job := range page.Jobs {
		ids = append(ids, job.ID)
	}
	return ids
}

// finish plays the worker that runs the job to success.
func (g *running) finish(job ingest.Job) {
	g.t.Helper()
	claim, err := g.store.Claim(g.t.Context(), jobstore.ClaimRequest{Command: job.Command(), Worker: "test"})
	if err != nil || claim.Lease == nil {
		g.t.Fatalf("claiming the job: %v, %s", err, claim.Outcome)
	}
	results := slices.Clone(job.Results)
	for i := range results {
		results[i].State, results[i].URL, results[i].Rows = ingest.Done, "s3://bucket/"+results[i].Key, 150
	}
	if _, err := claim.Lease.Finish(g.t.Context(), jobstore.Finish{Status: ingest.Success, Results: results}); err != nil {
		g.t.Fatal(err)
	}
}

func TestPostToQueue(t *testing.T) {
	g := start(t)
	for _, db := range []ingest.Database{ingest.MongoDB, ingest.MySQL, ingest.PostgreSQL} {
		a := g.call("POST", "/api/ingesta/"+string(db), "", "X-Request-Id: req-"+string(db))
		job := a.job(t)
		if a.status != 202 || a.header.Get("Location") != "/api/ingesta/jobs/"+job.ID || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: status %d, headers %v", db, a.status, a.header)
		}
		stored, err := g.store.Get(t.Context(), job.ID)
		if err != nil || stored.Status != ingest.Queued {
			t.Errorf("%s: Redis has %+v, %v", db, stored, err)
		}
		commands := g.commands(db)
		if len(commands) != 1 || commands[0].JobID != job.ID || commands[0].RequestID != "req-"+string(db) || len(commands[0].Targets) != 2 {
			t.Errorf("%s: the queue held %+v", db, commands)
		}
		if got := g.call("GET", a.header.Get("Location"), ""); got.status != 200 || got.job(t).ID != job.ID {
			t.Errorf("%s: the Location leads to %d: %s", db, got.status, got.body)
		}
	}
	all := g.call("POST", "/api/ingesta", "")
	var list struct{ Jobs []ingest.Job }
	if err := json.Unmarshal(all.body, &list); err != nil || all.status != 202 || len(list.Jobs) != 3 {
		t.Errorf("all databases: status %d, %v: %s", all.status, err, all.body)
	}
	for _, job := range list.Jobs {
		if commands := g.commands(job.Database); len(commands) != 1 || commands[0].JobID != job.ID {
			t.Errorf("%s: the queue held %+v", job.Database, commands)
		}
	}
}

func TestManyClients(t *testing.T) {
	const clients, requests = 32, 10
	g := start(t)
	var (
		mu       sync.Mutex
		accepted []string
		working  sync.WaitGroup
	)
	for range clients {
		working.Go(func() {
			for range requests {
				a := g.call("POST", "/api/ingesta/mysql", "")
				if a.status != 202 {
					t.Errorf("status %d, %v: %s", a.status, a.err, a.body)
					return
				}
				mu.Lock()
				accepted = append(accepted, a.job(t).ID)
				mu.Unlock()
			}
		})
	}
	working.Wait()
	slices.Sort(accepted)
	if n := len(slices.Compact(slices.Clone(accepted))); n != clients*requests {
		t.Fatalf("%d different jobs were accepted, want %d", n, clients*requests)
	}

	var queued []string
	keys := map[string]bool{}
	for _, command := range g.commands(ingest.MySQL) {
		queued = append(queued, command.JobID)
		for _, target := range command.Targets {
			if keys[target.Key] {
				t.Errorf("two jobs share the key %s", target.Key)
			}
			keys[target.Key] = true
		}
	}
	slices.Sort(queued)
	if queued = slices.Compact(queued); !slices.Equal(queued, accepted) {
		t.Errorf("%d jobs were accepted and %d commands queued: want the same", len(accepted), len(queued))
	}

	var listed []string
	for path := "/api/ingesta/jobs?limit=50&status=queued"; path != ""; {
		a := g.call("GET", path, "")
		var page struct {
			Jobs []ingest.Job
		}
		if err := json.Unmarshal(a.body, &page); err != nil || a.status != 200 {
			t.Fatalf("status %d, %v: %s", a.status, err, a.body)
		}
		for _, job := range page.Jobs {
			listed = append(listed, job.ID)
		}
		path, _, _ = strings.Cut(strings.TrimPrefix(a.header.Get("Link"), "<"), ">")
	}
	slices.Sort(listed)
	if !slices.Equal(listed, accepted) {
		t.Errorf("the pages list %d jobs, want the %d accepted ones, each once", len(listed), len(accepted))
	}
}

func TestRabbitMQAway(t *testing.T) {
	g := start(t)
	g.rabbitmq.Cut()
	for range 3 {
		a := g.call("POST", "/api/ingesta/mysql", "", "Idempotency-Key: again")
		switch a.code() {
		case "rabbitmq_unavailable":
			if n := len(g.existing()); n > 0 {
				t.Fatalf("%d jobs are left behind by a refusal", n)
			}
		case "acceptance_unconfirmed": // the cut fell between publish and confirm
		default:
			t.Errorf("code %q: %s", a.code(), a.body)
		}
		if a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("status %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
		}
	}
	if a := g.call("GET", "/ready", ""); a.status != 503 {
		t.Errorf("/ready says %d", a.status)
	}
	if a := g.call("GET", "/health", ""); a.status != 200 {
		t.Errorf("/health says %d", a.status)
	}
	if a := g.call("GET", "/api/ingesta/health", ""); a.status != 503 || !strings.Contains(string(a.body), `"rabbitmq":{"status":"down"`) {
		t.Errorf("the health report is %d: %s", a.status, a.body)
	}
	if a := g.call("GET", "/api/ingesta/jobs", ""); a.status != 200 {
		t.Errorf("reading needs no RabbitMQ, yet got %d", a.status)
	}
	g.rabbitmq.Mend()
	stacktest.Eventually(g.t, "the gateway recovers", func() bool {
		return g.call("POST", "/api/ingesta/mysql", "", "Idempotency-Key: again").status == 202
	})
	if n := len(g.existing()); n != 1 {
		t.Errorf("one key made %d jobs", n)
	}
}

func TestUnroutable(t *testing.T) {
	g := start(t)
	queue := broker.CommandQueue(ingest.MySQL)
	stacktest.Management(t, "DELETE", "/api/bindings/"+g.vhost+"/e/"+broker.CommandsExchange+"/q/"+queue+"/mysql", nil, nil)
	a := g.call("POST", "/api/ingesta/mysql", "")
	if a.status != 503 || a.code() != "rabbitmq_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	if ids := g.existing(); len(ids) > 0 {
		t.Errorf("%v are left behind by a refusal", ids)
	}
	stacktest.Eventually(g.t, "the topology is mended", func() bool { return g.call("POST", "/api/ingesta/mysql", "").status == 202 })
}

func TestRedisAway(t *testing.T) {
	g := start(t)
	id := g.call("POST", "/api/ingesta/mysql", "").job(t).ID
	outages := map[string]func(){"cut": g.redis.Cut, "silent": g.redis.Silence}
	for name, begin := range outages {
		begin()
		for _, request := range [][2]string{
			{"POST", "/api/ingesta/mysql"}, {"POST", "/api/ingesta"}, {"GET", "/api/ingesta/jobs"}, {"GET", "/ready"},
			{"GET", "/api/ingesta/jobs/" + id}, {"POST", "/api/ingesta/jobs/" + id + "/cancel"}, {"GET", "/api/ingesta/health"},
		} {
			begun := time.Now()
			a := g.call(request[0], request[1], "")
			if a.status != 503 || a.header.Get("Retry-After") == "" {
				t.Errorf("%s: %v got %d, %v: %s", name, request, a.status, a.err, a.body)
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("%s: %v took %s", name, request, took)
			}
		}
		if a := g.call("GET", "/health", ""); a.status != 200 {
			t.Errorf("%s: /health says %d", name, a.status)
		}
		g.redis.Mend()
		stacktest.Eventually(g.t, "the gateway recovers", func() bool { return g.call("GET", "/ready", "").status == 200 })
	}
}

func TestPreferWait(t *testing.T) {
	g := start(t)
	done := make(chan answered, 1)
	go func() { done <- g.call("POST", "/api/ingesta/mysql", "", "Prefer: wait=60") }()
	var commands []ingest.Command
	stacktest.Eventually(g.t, "the command arrives", func() bool {
		commands = append(commands, g.commands(ingest.MySQL)...)
		return len(commands) == 1
	})
	job, err := g.store.Get(t.Context(), commands[0].JobID)
	if err != nil {
		t.Fatal(err)
	}
	g.finish(job)
	a := <-done
	if a.status != 200 || a.header.Get("Preference-Applied") != "wait=60" {
		t.Fatalf("status %d, %v, headers %v: %s", a.status, a.err, a.header, a.body)
	}
	// This is what the original's clients read.
	var original struct {
		Status, Database string
		Result           map[string]struct {
			URL       string
			Registros int
		}
	}
	if err := json.Unmarshal(a.body, &original); err != nil || original.Status != "success" || original.Result["users"].Registros != 150 {
		t.Errorf("the body does not read as the original's did: %v: %s", err, a.body)
	}
	if a := g.call("POST", "/api/ingesta/mysql", "", "Prefer: wait=1"); a.status != 202 {
		t.Errorf("a wait in vain got %d", a.status)
	}
}

func TestCancel(t *testing.T) {
	g := start(t)
	job := g.call("POST", "/api/ingesta/mysql", "").job(t)
	path := "/api/ingesta/jobs/" + job.ID + "/cancel"
	if a := g.call("POST", path, ""); a.status != 202 || a.job(t).Status != ingest.Cancelled {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	if a := g.call("POST", path, ""); a.status != 409 || a.code() != "job_over" {
		t.Errorf("again: status %d: %s", a.status, a.body)
	}
	events := g.take("batch_processed")
	if len(events) != 1 || !strings.Contains(string(events[0]), `"status":"cancelled"`) || !strings.Contains(string(events[0]), job.ID) {
		t.Errorf("subscribers received %s", events)
	}
}

func TestIdempotency(t *testing.T) {
	g := start(t)
	var (
		mu      sync.Mutex
		ids     = map[string]int{}
		working sync.WaitGroup
	)
	for range 16 {
		working.Go(func() {
			a := g.call("POST", "/api/ingesta/postgresql", `{"datasets":["ofertas"]}`, "Content-Type: application/json", "Idempotency-Key: once")
			if a.status != 202 {
				t.Errorf("status %d: %s", a.status, a.body)
				return
			}
			mu.Lock()
			ids[a.job(t).ID]++
			mu.Unlock()
		})
	}
	working.Wait()
	if len(ids) != 1 || len(g.existing()) != 1 {
		t.Errorf("one key made the jobs %v", ids)
	}
	if a := g.call("POST", "/api/ingesta/postgresql", "", "Idempotency-Key: once"); a.status != 422 || a.code() != "idempotency_key_reused" {
		t.Errorf("another body under the key got %d: %s", a.status, a.body)
	}
}

// All gateways count together, and somebody who asks too much makes no job.
func TestRates(t *testing.T) {
	g := start(t, "INGESTA_RATE_RUN=1/h,burst=3")
	other := start(t, "INGESTA_RATE_RUN=1/h,burst=3", "RABBITMQ_VHOST="+g.vhost, "INGESTA_REDIS_PREFIX="+g.vhost)
	for i, gateway := range []*running{g, other, g} {
		a := gateway.call("POST", "/api/ingesta/mysql", "")
		if left := fmt.Sprintf(`"run";r=%d;`, 2-i); a.status != 202 || !strings.HasPrefix(a.header.Get("RateLimit"), left) {
			t.Errorf("request %d: %d, RateLimit %s, want %s", i, a.status, a.header.Get("RateLimit"), left)
		}
	}
	for _, gateway := range []*running{g, other} {
		a := gateway.call("POST", "/api/ingesta/mysql", "")
		if a.status != 429 || a.code() != "rate_limited" || a.header.Get("Retry-After") == "" || a.header.Get("RateLimit-Policy") != `"run";q=3;w=10800` {
			t.Errorf("beyond the rate: %d, %v: %s", a.status, a.header, a.body)
		}
		if a := gateway.call("GET", "/api/ingesta/jobs", ""); a.status != 200 {
			t.Errorf("looking got %d", a.status)
		}
	}
	if n := len(g.existing()); n != 3 {
		t.Errorf("there are %d jobs, want the 3 that were accepted", n)
	}
}

func TestShutdownDuringWait(t *testing.T) {
	g := start(t)
	done := make(chan answered, 1)
	go func() { done <- g.call("POST", "/api/ingesta/mysql", "", "Prefer: wait=300") }()
	stacktest.Eventually(g.t, "the job is accepted", func() bool { return len(g.commands(ingest.MySQL)) == 1 })
	begun := time.Now()
	if err := g.stop(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if a := <-done; a.status != 202 || a.header.Get("Location") == "" {
		t.Errorf("the wait was answered with %d, %v: %s", a.status, a.err, a.body)
	}
	if a := g.call("GET", "/health", ""); a.err == nil {
		t.Error("the port still answers")
	}
}

// Whatever comes over the wire is the client's mistake, never a failure of the gateway.
func TestRawBadRequests(t *testing.T) {
	g := start(t)
	const host = "Host: x\r\n"
	const jsonType = "Content-Type: application/json\r\n"
	body := func(s string) string {
		return "POST /api/ingesta/mysql HTTP/1.1\r\n" + host + jsonType + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(s), s)
	}
	requests := map[string]string{
		"nonsense":                 "nonsense\r\n\r\n",
		"binary":                   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
		"no host":                  "GET / HTTP/1.1\r\n\r\n",
		"unknown version":          "GET / HTTP/9.9\r\n" + host + "\r\n",
		"header without colon":     "GET / HTTP/1.1\r\n" + host + "broken\r\n\r\n",
		"header with a NUL":        "GET / HTTP/1.1\r\n" + host + "X-Request-Id: a\x00b\r\n\r\n",
		"header too large":         "GET / HTTP/1.1\r\n" + host + "X-Big: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
		"negative length":          "POST /api/ingesta/mysql HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n",
		"two lengths":              "POST /api/ingesta/mysql HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
		"length and chunked":       "POST /api/ingesta/mysql HTTP/1.1\r\n" + host + jsonType + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
		"broken chunks":            "POST /api/ingesta/mysql HTTP/1.1\r\n" + host + jsonType + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
		"unknown coding":           "POST /api/ingesta/mysql HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n",
		"declared too large":       "POST /api/ingesta/mysql HTTP/1.1\r\n" + host + jsonType + "Content-Length: 99999999999\r\n\r\n",
		"too large":                body(strings.Repeat("[", 2<<20)),
		"not JSON":                 body("{'datasets':[]}"),
		"not UTF-8":                body("{\"datasets\":[\"\xc3\x28\"]}"),
		"NUL":                      body("{\"datasets\":[\"\x00\"]}"),
		"wrong types":              body(`{"datasets":{"a":1}}`),
		"unknown field":            body(`{"sql":"DROP TABLE users"}`),
		"unknown dataset":          body(`{"datasets":["users; DROP TABLE users"]}`),
		"escaped path":             "POST /api/ingesta/my%73ql%2f%00 HTTP/1.1\r\n" + host + "\r\n",
		"bad escape":               "GET /api/ingesta/jobs/%zz HTTP/1.1\r\n" + host + "\r\n",
		"climbing path":            "GET /../../etc/passwd HTTP/1.1\r\n" + host + "\r\n",
		"bad query":                "GET /api/ingesta/jobs?limit=%zz&status=;;&cursor=%00%ff HTTP/1.1\r\n" + host + "\r\n",
		"bad cursor":               "GET /api/ingesta/jobs?cursor=AAAA HTTP/1.1\r\n" + host + "\r\n",
		"unknown method":           "BREW /api/ingesta/mysql HTTP/1.1\r\n" + host + "\r\n",
		"CONNECT":                  "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
		"TRACE":                    "TRACE / HTTP/1.1\r\n" + host + "\r\n",
		"bad idempotency key":      "POST /api/ingesta/mysql HTTP/1.1\r\n" + host + "Idempotency-Key: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
		"folded header":            "POST /api/ingesta/mysql HTTP/1.1\r\n" + host + "Idempotency-Key: a\r\n b\r\nContent-Length: 0\r\n\r\n",
		"expectation not known":    "POST /api/ingesta/mysql HTTP/1.1\r\n" + host + "Expect: the-spanish-inquisition\r\nContent-Length: 0\r\n\r\n",
		"job id with a line break": "GET /api/ingesta/jobs/%0d%0aSet-Cookie:x HTTP/1.1\r\n" + host + "\r\n",
	}
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			var dial net.Dialer
			conn, err := dial.DialContext(t.Context(), "tcp", strings.TrimPrefix(g.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.WriteString(conn, request) }() // the server may close before it has read all
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			defer response.Body.Close()
			said, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode < 400 || response.StatusCode == http.StatusInternalServerError {
				t.Errorf("status %d, %v: %s; want a 4xx or an honest 501 or 505", response.StatusCode, err, said)
			}
			if response.Header.Get("Set-Cookie") != "" || strings.Contains(string(said), "goroutine") {
				t.Errorf("the answer is not clean: %v %s", response.Header, said)
			}
		})
	}
	if ids := g.existing(); len(ids) > 0 {
		t.Errorf("bad requests made the jobs %v", ids)
	}
}

func TestHealthShowsWorkers(t *testing.T) {
	g := start(t)
	for _, db := range []ingest.Database{ingest.MongoDB, ingest.MySQL, ingest.PostgreSQL} {
		beat := jobstore.Heartbeat{Worker: string(db) + "-1", Database: db, SourceOK: true, StorageOK: true, Slots: 2}
		if err := g.store.Heartbeat(t.Context(), beat, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	// A worker that died is believed to live until its heartbeat runs out; that nobody consumes is known at once.
	if a := g.call("GET", "/api/ingesta/health", ""); a.status != 503 || !strings.Contains(string(a.body), "no worker takes commands") {
		t.Errorf("without consumers: status %d: %s", a.status, a.body)
	}
	g.consume(ingest.MongoDB, ingest.MySQL, ingest.PostgreSQL)
	stacktest.Eventually(t, "the health shows the workers", func() bool {
		a := g.call("GET", "/api/ingesta/health", "")
		return a.status == 200 && strings.Contains(string(a.body), `"postgresql":{"status":"up","queue":{"messages":0,"consumers":1}`)
	})
	if a := g.call("GET", "/metrics", ""); a.status != 200 || !strings.Contains(string(a.body), "ingesta_http_requests_total") {
		t.Errorf("metrics: status %d", a.status)
	}
}
