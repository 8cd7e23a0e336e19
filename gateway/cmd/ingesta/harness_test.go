package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/gateway"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/program"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// asProgram is a variable that makes the test's binary the program itself.
const asProgram = "INGESTA_ITSELF"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// system is a gateway of a test's own on real servers, and the environment of an operator who uses it.
type system struct {
	t       *testing.T
	store   *jobstore.Store
	environ []string // of the operator's program
	vhost   string
	cfg     gateway.Config
	bucket  string
	stop    func() // ends the gateway, once
}

// newSystem returns a system whose gateway is ready.
func newSystem(t *testing.T, override ...string) *system {
	t.Helper()
	settings := append(stacktest.Isolate(t), "INGESTA_ENV=development", "AUTH_MODE=none", "GATEWAY_HOST=127.0.0.1",
		"GATEWAY_PORT="+strconv.Itoa(stacktest.FreePort(t)), "INGESTA_RECONCILE_INTERVAL=100ms", "INGESTA_RETENTION=5m")
	settings = append(settings, override...)
	var cfg gateway.Config
	stacktest.Load(t, &cfg, settings...)
	store, err := jobstore.Open(cfg.Store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() }) // nothing is under way any more
	s := &system{t: t, store: store, vhost: cfg.Broker.VHost, bucket: cfg.Downloads.Bucket, environ: []string{"INGESTA_URL=http://" + cfg.Address(), "HOME=" + t.TempDir()}, cfg: cfg}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// start starts the gateway and returns once it is ready.
func (s *system) start() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gateway.Run(ctx, s.cfg, slog.New(slog.DiscardHandler)) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the gateway ended with %v", err)
		}
	})
	stacktest.Eventually(s.t, "the gateway is ready", func() bool {
		request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.cfg.Address()+"/ready", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		request.Close = true
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	})
}

// said is what a command line printed, and how it ended.
type said struct {
	code           int
	stdout, stderr string
}

// screenText is what a program has written so far.
type screenText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screenText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screenText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// under runs a command line in the environment, as far as it is set.
func under(ctx context.Context, environ []string, args ...string) said {
	var stdout, stderr bytes.Buffer
	code := run(ctx, program.Process{Args: args, Environ: environ, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr})
	return said{code, stdout.String(), stderr.String()}
}

// ingesta runs a command line.
func (s *system) ingesta(args ...string) said {
	s.t.Helper()
	return under(s.t.Context(), s.environ, args...)
}

// must runs a command line that has to succeed, and returns what it printed.
func (s *system) must(args ...string) string {
	s.t.Helper()
	got := s.ingesta(args...)
	if got.code != program.ExitOK {
		s.t.Fatalf("ingesta %s: exit %d\n%s%s", strings.Join(args, " "), got.code, got.stdout, got.stderr)
	}
	return got.stdout
}

// background is a command line that runs while a test goes on.
type background struct {
	stdout, stderr screenText
	ended          chan struct{}
	code           int // once ended
}

// begin runs a command line beside the test, until ctx ends at the latest.
func (s *system) begin(ctx context.Context, args ...string) *background {
	b := &background{ended: make(chan struct{})}
	go func() {
		defer close(b.ended)
		b.code = run(ctx, program.Process{Args: args, Environ: s.environ, Stdin: strings.NewReader(""), Stdout: &b.stdout, Stderr: &b.stderr})
	}()
	s.t.Cleanup(func() { <-b.ended })
	return b
}

// end waits for the end.
func (b *background) end() said {
	<-b.ended
	return said{b.code, b.stdout.String(), b.stderr.String()}
}

// saysEventually waits until the program has told something on standard error.
func (b *background) saysEventually(t *testing.T, text string) {
	t.Helper()
	stacktest.Eventually(t, "it says "+text, func() bool {
		select {
		case <-b.ended:
			t.Fatalf("it has ended with %d:\n%s%s", b.code, &b.stdout, &b.stderr)
		default:
		}
		return strings.Contains(b.stderr.String(), text)
	})
}

// one reads text that has to be exactly one JSON value.
func one[T any](t *testing.T, text string) (v T) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("it is no JSON: %v: %s", err, text)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("it is more than one JSON value: %s", text)
	}
	return v
}

// newest waits for a job that is queued and returns it.
func (s *system) newest() (job ingest.Job) {
	s.t.Helper()
	stacktest.Eventually(s.t, "a job is queued", func() bool {
		page, err := s.store.List(s.t.Context(), jobstore.Query{Limit: 1, Status: ingest.Queued})
		if err != nil {
			s.t.Fatal(err)
		}
		if len(page.Jobs) > 0 {
			job = page.Jobs[0]
		}
		return job.ID != ""
	})
	return job
}

// claim plays the worker that takes the job up.
func (s *system) claim(job ingest.Job) *jobstore.Lease {
	s.t.Helper()
	claim, err := s.store.Claim(s.t.Context(), jobstore.ClaimRequest{Command: job.Command(), Worker: "test"})
	if err != nil || claim.Lease == nil {
		s.t.Fatalf("claiming the job: %v, %s", err, claim.Outcome)
	}
	return claim.Lease
}

// finish plays the worker that ends the job so: of a partial one the first dataset is done.
func (s *system) finish(lease *jobstore.Lease, job ingest.Job, status ingest.Status) {
	s.t.Helper()
	results := slices.Clone(job.Results)
	for i := range results {
		if status == ingest.Success || status == ingest.Partial && i == 0 {
			results[i].State, results[i].URL, results[i].Rows, results[i].Bytes = ingest.Done, "s3://bucket/"+results[i].Key, 150, 4096
		} else {
			results[i].State, results[i].Code, results[i].Error = ingest.Broken, ingest.TableNotFound, "the table does not exist"
		}
	}
	if _, err := lease.Finish(s.t.Context(), jobstore.Finish{Status: status, Results: results}); err != nil {
		s.t.Fatal(err)
	}
}

// bury plays the worker of MySQL that gives up the next command.
func (s *system) bury() {
	s.t.Helper()
	var cfg struct{ Broker broker.Config }
	stacktest.Load(s.t, &cfg, "RABBITMQ_VHOST="+s.vhost)
	b := broker.New(cfg.Broker, "ingesta-test", []ingest.Database{ingest.MySQL}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(s.t.Context())
	buried := make(chan error, 1)
	var parts sync.WaitGroup
	parts.Go(func() { _ = b.Run(ctx) })
	stacktest.Eventually(s.t, "the worker can bury", func() bool { return b.Ready(ctx) == nil })
	parts.Go(func() {
		_ = b.Consume(ctx, ingest.MySQL, 1, func(ctx context.Context, d *broker.Delivery) {
			buried <- b.Bury(ctx, d, ingest.SourceUnavailable, "the server is away")
		})
	})
	if err := <-buried; err != nil {
		s.t.Errorf("burying: %v", err)
	}
	cancel()
	parts.Wait()
}
