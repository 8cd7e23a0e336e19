// Package e2e tests the whole system through its outsides: HTTP in, objects in S3 and events on
// the broker out, on the real servers of the local stack.
package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pharmavida/ingesta/gateway"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/mongodb"
	"github.com/pharmavida/ingesta/workers/mysql"
	"github.com/pharmavida/ingesta/workers/postgresql"
)

// patience bounds every wait of these tests.
const patience = 60 * time.Second

// system is a gateway and its workers, running in the test's process with a virtual host, a key
// prefix and a bucket of their own.
type system struct {
	t      *testing.T
	url    string
	bucket string
	env    []string // overrides, for more parts of the same system
	events chan ingest.Event
}

// newSystem starts a gateway and a subscriber of completion events. Workers join with work.
func newSystem(t *testing.T, override ...string) *system {
	t.Helper()
	s := &system{t: t, env: append(stacktest.Isolate(t), override...), events: make(chan ingest.Event, 100)}
	var cfg struct {
		Gateway gateway.Config
		Broker  broker.Config
		Bucket  string `env:"AWS_BUCKET_NAME"`
	}
	port := stacktest.FreePort(t)
	stacktest.Load(t, &cfg, append(s.env, fmt.Sprintf("GATEWAY_PORT=%d", port))...)
	s.url, s.bucket = fmt.Sprintf("http://127.0.0.1:%d", port), cfg.Bucket
	log := s.log("gateway")
	s.background(func(ctx context.Context) error { return gateway.Run(ctx, cfg.Gateway, log) })

	subscriber := broker.New(cfg.Broker, "e2e", nil, s.log("subscriber"))
	subscribed := make(chan struct{})
	s.background(subscriber.Run)
	s.background(func(ctx context.Context) error {
		return subscriber.Subscribe(ctx, []string{"job.#"}, sync.OnceFunc(func() { close(subscribed) }), func(e ingest.Event, _ map[string]any) { s.events <- e })
	})
	select {
	case <-subscribed:
	case <-time.After(patience):
		t.Fatal("the subscription does not come into being")
	}
	stacktest.Eventually(s.t, "the gateway is ready", func() bool { return s.status(s.url+"/ready") == http.StatusOK })
	return s
}

// work starts a worker and returns the address of its health listener.
func (s *system) work(database ingest.Database, override ...string) (url string) {
	s.t.Helper()
	var cfg struct {
		Worker     workers.Config
		MongoDB    mongodb.Config
		MySQL      mysql.Config
		PostgreSQL postgresql.Config
	}
	port := stacktest.FreePort(s.t)
	stacktest.Load(s.t, &cfg, append(append(s.env, override...), fmt.Sprintf("WORKER_PORT=%d", port))...)
	log := s.log("worker-" + string(database))
	var source engine.Source
	var err error
	switch database {
	case ingest.MongoDB:
		source, err = mongodb.New(cfg.MongoDB, log)
	case ingest.MySQL:
		source, err = mysql.New(cfg.MySQL, log)
	default:
		source, err = postgresql.New(cfg.PostgreSQL, log)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.background(func(ctx context.Context) error { return workers.Run(ctx, cfg.Worker, database, source, log) })
	url = fmt.Sprintf("http://127.0.0.1:%d", port)
	stacktest.Eventually(s.t, "the worker listens", func() bool { return s.status(url+"/health") == http.StatusOK })
	return url
}

func (s *system) log(service string) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{s.t}, nil)).With("service", service)
}

// testWriter writes log lines into the test's output.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// background runs f until the test ends, and waits for it then.
func (s *system) background(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				s.t.Errorf("a part of the system failed: %v", err)
			}
		case <-time.After(patience):
			s.t.Error("a part of the system does not end")
		}
	})
}

// status returns the status of a GET, or 0 when nobody answers.
func (s *system) status(url string) int {
	response, err := http.Get(url)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// awaitHealth waits until the gateway has heard that the worker, its source and S3 are well.
func (s *system) awaitHealth(database ingest.Database) {
	s.t.Helper()
	stacktest.Eventually(s.t, "the gateway hears from the worker", func() bool {
		response, err := http.Get(s.url + "/api/ingesta/health")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		var health struct {
			Databases map[ingest.Database]struct{ Status string }
		}
		if err := json.NewDecoder(response.Body).Decode(&health); err != nil {
			s.t.Fatalf("the gateway's health is no JSON: %v", err)
		}
		return health.Databases[database].Status == "up"
	})
}

// call makes a request, checks the status of the answer and decodes it.
func (s *system) call(method, path, body string, header http.Header, want int, into any) http.Header {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if header != nil {
		request.Header = header
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if response.StatusCode != want {
		s.t.Fatalf("%s %s: want %d, got %s: %s", method, path, want, response.Status, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
		}
	}
	return response.Header
}

// follow polls the job until it is over.
func (s *system) follow(path string) (job ingest.Job) {
	s.t.Helper()
	stacktest.Eventually(s.t, "the job is over", func() bool {
		s.call(http.MethodGet, path, "", nil, http.StatusOK, &job)
		return job.Status.Terminal()
	})
	return job
}

// event returns the next terminal event of the job.
func (s *system) event(id string) ingest.Event {
	s.t.Helper()
	for {
		select {
		case e := <-s.events:
			if e.Subject == id && ingest.Status(e.Kind).Terminal() {
				return e
			}
		case <-time.After(patience):
			s.t.Fatal("no completion event came")
		}
	}
}

// verify reads the object of a result and holds it against the record.
func (s *system) verify(r ingest.Result) (content []byte) {
	s.t.Helper()
	out, err := stacktest.S3(s.t).GetObject(s.t.Context(), &s3.GetObjectInput{Bucket: &s.bucket, Key: &r.Key})
	if err != nil {
		s.t.Fatalf("reading the object of %s: %v", r.Dataset, err)
	}
	defer out.Body.Close()
	content, err = io.ReadAll(out.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	if int64(len(content)) != r.Bytes || hex.EncodeToString(sum[:]) != r.SHA256 {
		s.t.Errorf("the object of %s has %d bytes and SHA-256 %x; the record says %d and %s", r.Dataset, len(content), sum, r.Bytes, r.SHA256)
	}
	header, _, _ := bytes.Cut(content, []byte("\n"))
	var names []string
	for _, c := range r.Columns {
		names = append(names, c.Name)
	}
	if string(header) != strings.Join(names, ",") {
		s.t.Errorf("the header of %s is %s, the record says %v", r.Dataset, header, names)
	}
	return content
}
