package testbed

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/redis/go-redis/v9"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// Times of a System, unless a scenario sets others: short enough that a lease can be waited out.
const (
	Lease  = 6 * time.Second // of a claim; a worker renews it each second and gives up after four
	GiveUp = 4 * time.Second
	Grace  = 5 * time.Second
)

var settings = []string{
	"INGESTA_LEASE=6s", "INGESTA_LEASE_RENEW=1s", "INGESTA_LEASE_GIVE_UP=4s", "INGESTA_GRACE=5s",
	"INGESTA_RETRY_DELAYS=500ms,1s,2s", "INGESTA_OUTBOX_AGE=2s", "INGESTA_RECONCILE_INTERVAL=500ms",
	"INGESTA_UPLOAD_PART_SIZE=5MiB", "INGESTA_UPLOAD_MEMORY=20MiB",
	"INGESTA_REDIS_IO_TIMEOUT=1s", "INGESTA_REDIS_TIMEOUT=2s",
	"GATEWAY_HOST=127.0.0.1", "WORKER_HOST=127.0.0.1",
	"INGESTA_RATE_RUN=off", "INGESTA_RATE_READ=off", // a soak asks more than any caller may
}

// System is a gateway and its workers, each a process of its own, with a virtual host, a key prefix
// and a bucket that nobody else uses.
type System struct {
	*Servers
	t       testing.TB
	Gateway *Process
	URL     string // of the gateway
	VHost   string
	Prefix  string // of the keys in Redis
	Bucket  string

	env   []string
	jobs  *jobstore.Store
	redis *redis.Client
	s3    *s3.Client
	watch *watch

	mu        sync.Mutex
	processes []*Process
	accepted  []string // ids of every 202
	letters   int      // dead letters that are meant to be there
	baselines map[string]usage

	reading  sync.Mutex
	recorded []Recorded // events, taken from their queue
}

// NewSystem starts a gateway. Workers join with Work. Overrides are variables of the form
// "NAME=value" for the gateway and all workers.
func (s *Servers) NewSystem(t testing.TB, override ...string) *System {
	t.Helper()
	sys := s.Prepare(t, override...)
	sys.StartGateway()
	sys.Observe()
	return sys
}

// Prepare is NewSystem without the gateway: a scenario may spoil its surroundings before it comes,
// and calls Observe once it serves.
func (s *Servers) Prepare(t testing.TB, override ...string) *System {
	t.Helper()
	sys := &System{
		Servers: s, t: t, VHost: stacktest.VHost(t), Bucket: stacktest.Bucket(t), s3: stacktest.S3(t),
		baselines: map[string]usage{},
	}
	sys.Prefix = sys.VHost
	sys.env = append(s.environ(settings...), "CATALOG_FILE="+catalogFile(t),
		"RABBITMQ_VHOST="+sys.VHost, "INGESTA_REDIS_PREFIX="+sys.Prefix, "AWS_BUCKET_NAME="+sys.Bucket)
	sys.env = append(sys.env, override...)
	sys.open()
	return sys
}

// Observe begins to record what Audit will want to know.
func (s *System) Observe() {
	s.t.Helper()
	s.recordEvents()
	s.watch = newWatch(s)
	s.t.Cleanup(s.watch.stop)
}

// open connects the test's own eyes to Redis: neither they nor the wires of a scenario are in each
// other's way.
func (s *System) open() {
	s.t.Helper()
	var cfg jobstore.Config
	if _, err := config.Load(&cfg, append(s.environ(), "INGESTA_REDIS_PREFIX="+s.Prefix)); err != nil {
		s.t.Fatal(err)
	}
	jobs, err := jobstore.Open(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.jobs = jobs
	s.redis = redis.NewClient(&redis.Options{Addr: net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)), Password: cfg.Password.Reveal(), DB: cfg.DB})
	s.t.Cleanup(func() { s.jobs.Close(); s.redis.Close() })
}

// T is the test that the system belongs to.
func (s *System) T() testing.TB { return s.t }

// StartGateway starts the gateway, and waits until it is ready. A gateway that was killed is
// succeeded at the same address.
func (s *System) StartGateway(override ...string) *Process {
	s.t.Helper()
	s.StartGatewayUnready(override...)
	s.Eventually("the gateway is ready", s.Gateway.Ready)
	return s.Gateway
}

// StartGatewayUnready starts the gateway and does not wait for it.
func (s *System) StartGatewayUnready(override ...string) *Process {
	s.t.Helper()
	if s.URL == "" {
		s.URL = fmt.Sprintf("http://127.0.0.1:%d", stacktest.FreePort(s.t))
	}
	port := s.URL[strings.LastIndex(s.URL, ":")+1:]
	s.Gateway = s.Spawn("gateway", "gateway", s.URL, append(override, "GATEWAY_PORT="+port)...)
	return s.Gateway
}

// Work starts a worker and waits until it consumes.
func (s *System) Work(db ingest.Database, override ...string) *Process {
	s.t.Helper()
	p := s.WorkUnready(db, override...)
	s.Eventually(p.Name+" is ready", p.Ready)
	return p
}

// WorkUnready starts a worker and does not wait for it.
func (s *System) WorkUnready(db ingest.Database, override ...string) *Process {
	s.t.Helper()
	return s.SpawnWorker(string(db), db, override...)
}

// SpawnWorker starts a worker from a program in the folder of programs.
func (s *System) SpawnWorker(program string, db ingest.Database, override ...string) *Process {
	s.t.Helper()
	port := stacktest.FreePort(s.t)
	return s.Spawn("worker-"+string(db), program, fmt.Sprintf("http://127.0.0.1:%d", port), append(override, fmt.Sprintf("WORKER_PORT=%d", port))...)
}

// Spawn starts a program in the environment of the system.
func (s *System) Spawn(name, program, address string, override ...string) *Process {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.Local(filepath.Join(s.name, "logs", s.t.Name(), fmt.Sprintf("%s.%d.log", name, len(s.processes)+1)))
	p := spawn(s.t, name, filepath.Join(s.bin, program), log, s.Environ(override...))
	p.URL = address
	s.processes = append(s.processes, p)
	return p
}

// Program returns the path of a program of the product.
func (s *System) Program(name string) string { return filepath.Join(s.bin, name) }

// Environ returns the environment of the system's programs, with the overrides, for one that a
// scenario starts itself. Of a variable and its _FILE the one that was said last counts.
func (s *System) Environ(override ...string) (environ []string) {
	values := map[string]string{}
	for _, entry := range slices.Concat(s.env, override) {
		name, value, _ := strings.Cut(entry, "=")
		if plain, file := strings.CutSuffix(name, "_FILE"); file {
			delete(values, plain)
		} else {
			delete(values, name+"_FILE")
		}
		values[name] = value
	}
	for name, value := range values {
		environ = append(environ, name+"="+value)
	}
	return environ
}

// Logs returns what each process has logged so far, those that have ended included.
func (s *System) Logs() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	logs := map[string]string{}
	for i, p := range s.processes {
		logs[fmt.Sprintf("%s.%d", p.Name, i+1)] = p.Log()
	}
	return logs
}

// Post sends a request to the gateway and returns the status and the body of the answer, or the
// error of a connection that broke.
func (s *System) Post(path, body string, header http.Header) (status int, answer []byte, err error) {
	const limit = 90 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if response.StatusCode == http.StatusAccepted {
		s.accept(answer)
	}
	return response.StatusCode, answer, err
}

// accept remembers the jobs of a 202: the claim of every one of them is held against the end.
func (s *System) accept(answer []byte) {
	var said struct {
		JobID string `json:"job_id"`
		Jobs  []struct {
			JobID string `json:"job_id"`
		} `json:"jobs"`
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		s.t.Errorf("a 202 whose body is no JSON: %v in %s", err, answer)
	}
	ids := []string{said.JobID}
	for _, job := range said.Jobs {
		ids = append(ids, job.JobID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if id != "" && !slices.Contains(s.accepted, id) { // a repeated request is answered with the same job
			s.accepted = append(s.accepted, id)
		}
	}
}

// Accepted returns the ids of all jobs that were answered with 202.
func (s *System) Accepted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.accepted...)
}

// Submit asks for a job, which must be accepted. Without names all datasets are exported.
func (s *System) Submit(db ingest.Database, names ...string) (id string) {
	s.t.Helper()
	body := ""
	if len(names) > 0 {
		encoded, err := json.Marshal(map[string][]string{"datasets": names})
		if err != nil {
			s.t.Fatal(err)
		}
		body = string(encoded)
	}
	status, answer, err := s.Post("/api/ingesta/"+string(db), body, nil)
	if err != nil || status != http.StatusAccepted {
		s.t.Fatalf("asking for a job of %s: %v, %d %s; want 202", db, err, status, answer)
	}
	var job ingest.Job
	if err := json.Unmarshal(answer, &job); err != nil {
		s.t.Fatal(err)
	}
	return job.ID
}

// Job returns the job as Redis has it now; ok is false when Redis does not know it or does not answer.
func (s *System) Job(id string) (job ingest.Job, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	job, err := s.jobs.Get(ctx, id)
	return job, err == nil
}

// Await waits until the job is as wanted, and returns it.
func (s *System) Await(id, what string, holds func(ingest.Job) bool) (job ingest.Job) {
	s.t.Helper()
	s.Eventually("job "+id+" "+what, func() (ok bool) {
		job, ok = s.Job(id)
		return ok && holds(job)
	})
	return job
}

// Ended waits until the job is over, and returns it.
func (s *System) Ended(id string) ingest.Job {
	s.t.Helper()
	return s.Await(id, "is over", func(j ingest.Job) bool { return j.Status.Terminal() })
}

// Running waits until an attempt of the number or a later one runs.
func (s *System) Running(id string, attempt int) ingest.Job {
	s.t.Helper()
	return s.Await(id, fmt.Sprintf("runs in attempt %d", attempt), func(j ingest.Job) bool { return j.Status == ingest.Running && j.Attempt >= attempt })
}

// Signal waits for a signal and fails the test when it does not come.
func (s *System) Signal(what string, signal <-chan struct{}) {
	s.t.Helper()
	select {
	case <-signal:
	case <-time.After(patience):
		s.t.Fatalf("waited %v in vain until %s", patience, what)
	}
}

// patience bounds every wait. It only matters when something is broken.
const patience = 3 * time.Minute

// Eventually asks again and again until the condition holds, and fails the test when it does not in
// the end.
func (s *System) Eventually(what string, holds func() bool) {
	s.t.Helper()
	if !s.within(patience, holds) {
		s.t.Fatalf("waited %v in vain until %s", patience, what)
	}
}

// within reports whether the condition holds within the limit.
func (s *System) within(limit time.Duration, holds func() bool) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return false
		}
	}
	return true
}

// Redis is the test's own connection to Redis.
func (s *System) Redis() *redis.Client { return s.redis }

// Script makes a script of the job store known to Redis, as its first use would, and returns the
// digest by which clients call it from then on.
func (s *System) Script(name string) (digest string) {
	s.t.Helper()
	var text []byte
	for _, part := range []string{"prelude", name} {
		source, err := os.ReadFile(filepath.Join(s.root, "shared", "jobstore", "lua", part+".lua"))
		if err != nil {
			s.t.Fatal(err)
		}
		text = append(text, source...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	digest, err := s.redis.ScriptLoad(ctx, string(text)).Result()
	if err != nil {
		s.t.Fatalf("loading script %s: %v", name, err)
	}
	return digest
}

// Depths returns how many messages wait in each queue of the system. The queues themselves tell it.
func (s *System) Depths() (map[string]broker.QueueDepth, error) {
	var cfg broker.Config
	if _, err := config.Load(&cfg, s.Environ()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return broker.Inspect(ctx, cfg, Databases())
}

// PublishRaw puts a message into an exchange, as anybody could, and reports whether it found a queue.
func (s *System) PublishRaw(exchange, key, body string, properties map[string]any) (routed bool) {
	s.t.Helper()
	var answer struct{ Routed bool }
	stacktest.Management(s.t, http.MethodPost, "/api/exchanges/"+s.VHost+"/"+url.PathEscape(exchange)+"/publish", map[string]any{
		"properties": properties, "routing_key": key, "payload": base64.StdEncoding.EncodeToString([]byte(body)), "payload_encoding": "base64",
	}, &answer)
	return answer.Routed
}

// Message is a message as the management interface shows it.
type Message struct {
	Payload    []byte // JSON has it in base64
	RoutingKey string `json:"routing_key"`
	Properties struct {
		MessageID string `json:"message_id"`
		AppID     string `json:"app_id"`
		Headers   map[string]any
	}
}

// Take takes up to n messages out of a queue; those that are kept go back to it.
func (s *System) Take(queue string, n int, keep bool) []Message {
	s.t.Helper()
	mode := "ack_requeue_false"
	if keep {
		mode = "ack_requeue_true"
	}
	var messages []Message
	stacktest.Management(s.t, http.MethodPost, "/api/queues/"+s.VHost+"/"+url.PathEscape(queue)+"/get",
		map[string]any{"count": n, "ackmode": mode, "encoding": "base64"}, &messages)
	return messages
}

// ExpectDeadLetters tells Audit how many dead letters the scenario leaves.
func (s *System) ExpectDeadLetters(n int) { s.letters = n }

// Command returns the message body of a job's command, as the gateway would publish it.
func (s *System) Command(id string) string {
	s.t.Helper()
	job, ok := s.Job(id)
	if !ok {
		s.t.Fatalf("there is no job %s", id)
	}
	body, err := json.Marshal(job.Command())
	if err != nil {
		s.t.Fatal(err)
	}
	return string(bytes.TrimSpace(body))
}
