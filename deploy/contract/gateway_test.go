package contract

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway"
	"github.com/pharmavida/ingesta/gateway/auth/authtest"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers"
	"github.com/pharmavida/ingesta/workers/mysql"
)

// system is a part of the product on the stack's servers, apart from all others.
type system struct {
	settings []string // of every program of it
	vhost    string
	issuer   *authtest.Issuer
	client   *http.Client
}

func newSystem(t *testing.T, client *http.Client, settings ...string) *system {
	t.Helper()
	s := &system{settings: stacktest.Isolate(t), issuer: authtest.New(t), client: client}
	for _, setting := range s.settings {
		if vhost, ok := strings.CutPrefix(setting, "RABBITMQ_VHOST="); ok {
			s.vhost = vhost
		}
	}
	s.settings = slices.Concat(s.settings, s.issuer.Environ(), []string{
		"INGESTA_ENV=development", "INGESTA_REDIS_TIMEOUT=2s", "INGESTA_REDIS_IO_TIMEOUT=1s", "INGESTA_RETENTION=10m",
	}, settings)
	return s
}

// run runs a program until the test ends.
func run(t *testing.T, name string, program func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- program(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s ended with %v", name, err)
		}
	})
}

// gateway starts one and returns a caller of it, once it serves.
func (s *system) gateway(t *testing.T, settings ...string) *caller {
	t.Helper()
	port := stacktest.FreePort(t)
	var cfg gateway.Config
	stacktest.Load(t, &cfg, slices.Concat(s.settings, settings, []string{"GATEWAY_HOST=127.0.0.1", "GATEWAY_PORT=" + strconv.Itoa(port)})...)
	run(t, "the gateway", func(ctx context.Context) error { return gateway.Run(ctx, cfg, slog.New(slog.DiscardHandler)) })
	c := &caller{t: t, url: "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), client: s.client, issuer: s.issuer}
	stacktest.Eventually(t, "the gateway serves", func() bool {
		response, err := http.Get(c.url + "/health")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return c
}

// worker starts the worker of MySQL.
func (s *system) worker(t *testing.T) {
	t.Helper()
	var cfg workers.Config
	stacktest.Load(t, &cfg, slices.Concat(s.settings, []string{"WORKER_HOST=127.0.0.1", "WORKER_PORT=" + strconv.Itoa(stacktest.FreePort(t))})...)
	var from mysql.Config
	stacktest.Load(t, &from, s.settings...)
	log := slog.New(slog.DiscardHandler)
	source, err := mysql.New(from, log)
	if err != nil {
		t.Fatal(err)
	}
	run(t, "the worker", func(ctx context.Context) error { return workers.Run(ctx, cfg, ingest.MySQL, source, log) })
}

// bury puts a message among the dead letters.
func (s *system) bury(t *testing.T, key, body string, headers map[string]any) {
	t.Helper()
	stacktest.Management(t, http.MethodPost, "/api/exchanges/"+s.vhost+"/ingesta.dead/publish", map[string]any{
		"routing_key": key, "payload": body, "payload_encoding": "string",
		"properties": map[string]any{"headers": headers, "delivery_mode": 2},
	}, nil)
}

// patience bounds every exchange. It only matters when something is broken, such as a stream where a
// refusal should be.
const patience = 30 * time.Second

// caller asks a gateway with tokens of its issuer.
type caller struct {
	t      *testing.T
	url    string
	client *http.Client
	issuer *authtest.Issuer
	scope  string // of its tokens; empty: it has none
}

// as returns a caller with the scope.
func (c *caller) as(scope string) *caller {
	other := *c
	other.scope = scope
	return &other
}

// answer is what a gateway said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// job reads the body as a job.
func (a answer) job(t *testing.T) ingest.Job {
	t.Helper()
	var job ingest.Job
	if err := json.Unmarshal(a.body, &job); err != nil || job.ID == "" {
		t.Fatalf("status %d: the body is no job (%v): %s", a.status, err, a.body)
	}
	return job
}

// wants asks, and fails the test unless the answer has the status. Headers are "Name: value".
func (c *caller) wants(status int, method, path, body string, headers ...string) answer {
	c.t.Helper()
	a := c.ask(method, path, body, headers...)
	if a.status != status {
		c.t.Errorf("%s %s %s: status %d, want %d: %s", method, path, body, a.status, status, a.body)
	}
	return a
}

func (c *caller) ask(method, path, body string, headers ...string) answer {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	response := c.open(ctx, method, path, body, headers...)
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{response.StatusCode, response.Header, said}
}

// open asks and leaves the body to the test.
func (c *caller) open(ctx context.Context, method, path, body string, headers ...string) *http.Response {
	c.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.scope != "" {
		r.Header.Set("Authorization", "Bearer "+c.issuer.ES256(c.issuer.Claims("ana", c.scope)))
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	response, err := c.client.Do(r)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return response
}

func decode(t *testing.T, a answer, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("status %d: %v: %s", a.status, err, a.body)
	}
}
