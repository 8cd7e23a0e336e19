package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers/upload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// scripted is a Source that does what a test tells it to, dataset by dataset. The databases have
// tests of their own; here the engine must react to what they can do.
type scripted struct {
	mu      sync.Mutex
	exports map[string]func(ctx context.Context, try int, sink Sink) (Tally, error)
	tries   map[string]int
	open    error // what Open fails with

	estimate int64 // of the rows of each dataset
}

func (s *scripted) Ping(context.Context) error { return s.open }

func (s *scripted) Open(context.Context) (Session, error) {
	if s.open != nil {
		return nil, s.open
	}
	return scriptedSession{s}, nil
}

// tried returns how often the dataset was exported.
func (s *scripted) tried(dataset string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries[dataset]
}

type scriptedSession struct{ *scripted }

func (s scriptedSession) Prepare(_ context.Context, d catalog.Dataset) (Extraction, error) {
	export, ok := s.exports[d.Name]
	if !ok {
		return Extraction{}, ingest.Permanent(ingest.TableNotFound, nil, "table %q does not exist", d.Table)
	}
	return Extraction{
		Columns:  []ingest.Column{{Name: "id", Type: "integer", SourceType: "int"}},
		Snapshot: ingest.Snapshot{ID: "s1", At: time.Unix(1, 0).UTC(), Consistent: true}, EstimatedRows: s.estimate,
		Run: func(ctx context.Context, sink Sink) (Tally, error) {
			s.mu.Lock()
			s.tries[d.Name]++
			try := s.tries[d.Name]
			s.mu.Unlock()
			return export(ctx, try, sink)
		},
	}, nil
}

func (s scriptedSession) Close(context.Context) error { return nil }

// rows exports the numbers from 1 to n.
func rows(n int) func(context.Context, int, Sink) (Tally, error) {
	return func(_ context.Context, _ int, sink Sink) (Tally, error) {
		for i := 1; i <= n; i++ {
			if _, err := fmt.Fprintln(sink, i); err != nil {
				return Tally{}, err
			}
		}
		sink.AddRows(int64(n))
		return Tally{Rows: int64(n)}, nil
	}
}

// stuck exports a row and then waits for its context to end; it says so on the channel.
func stuck(began chan<- struct{}) func(context.Context, int, Sink) (Tally, error) {
	return func(ctx context.Context, _ int, sink Sink) (Tally, error) {
		if _, err := fmt.Fprintln(sink, 1); err != nil {
			return Tally{}, err
		}
		began <- struct{}{}
		<-ctx.Done()
		return Tally{}, ctx.Err()
	}
}

// failing fails the first n times and exports a row then.
func failing(n int, err error) func(context.Context, int, Sink) (Tally, error) {
	return func(ctx context.Context, try int, sink Sink) (Tally, error) {
		if try <= n {
			fmt.Fprintln(sink, "half a row")
			return Tally{}, err
		}
		return rows(1)(ctx, try, sink)
	}
}

const testCatalog = `
version: 1
databases:
  - name: mysql
    datasets:
      - {name: users, table: users}
      - {name: compras, table: compras, where: id > 0}
`

// system is an engine and everything around it, on real servers.
type system struct {
	t      *testing.T
	source *scripted
	jobs   *jobstore.Store
	broker *broker.Broker
	lake   *upload.Store
	raw    *s3.Client
	bucket string
	vhost  string
	events chan ingest.Event
	parts  Parts
	cfg    Config
}

// newSystem connects to the servers. No engine runs yet: see start.
func newSystem(t *testing.T, exports map[string]func(context.Context, int, Sink) (Tally, error), override ...string) *system {
	t.Helper()
	var cfg struct {
		Jobs   jobstore.Config
		Broker broker.Config
		Upload upload.Config
		Engine Config
	}
	override = append([]string{"INGESTA_RETRY_DELAYS=100ms,200ms", "INGESTA_MAX_FAILURES=3"}, override...)
	stacktest.Load(t, &cfg, append(override, stacktest.Isolate(t)...)...)
	datasets, err := catalog.Parse("test.yaml", []byte(testCatalog))
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := jobstore.Open(cfg.Jobs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { jobs.Close() })
	lake, err := upload.New(t.Context(), cfg.Upload)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lake.Close)

	log := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	s := &system{
		t: t, source: &scripted{exports: exports, tries: map[string]int{}},
		jobs: jobs, lake: lake, raw: stacktest.S3(t), bucket: cfg.Upload.Bucket, vhost: cfg.Broker.VHost,
		broker: broker.New(cfg.Broker, "engine-test", []ingest.Database{ingest.MySQL}, log),
		events: make(chan ingest.Event, 100), cfg: cfg.Engine,
	}
	s.parts = Parts{
		Worker: "engine-test", Catalog: datasets, Source: s.source, Lake: lake, Jobs: jobs,
		Broker: s.broker, Delays: cfg.Broker.Delays, Log: log,
	}
	s.background(s.broker.Run)
	subscribed := make(chan struct{})
	s.background(func(ctx context.Context) error {
		return s.broker.Subscribe(ctx, []string{"job.#"}, sync.OnceFunc(func() { close(subscribed) }), func(e ingest.Event, _ map[string]any) { s.events <- e })
	})
	select {
	case <-subscribed:
	case <-time.After(patience):
		t.Fatal("the subscription does not come into being")
	}
	stacktest.Eventually(s.t, "the broker is ready", func() bool { return s.broker.Ready(t.Context()) == nil })
	return s
}

// testWriter writes log lines into the test's output.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// s3Proxy stands between the engine and the S3 server. What the tests themselves do goes around it.
type s3Proxy struct {
	away     atomic.Bool  // every request is refused
	requests atomic.Int64 // but for those that only ask whether the bucket is there

	mu   sync.Mutex
	seen func(*http.Request) // called with mu held
}

// proxied returns a proxy and the settings that lead through it: see through.
func proxied(t *testing.T) (*s3Proxy, []string) {
	t.Helper()
	target, err := url.Parse(stacktest.Env(t, "AWS_ENDPOINT_URL"))
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	forward := &httputil.ReverseProxy{
		// The host stays the client's, which has signed it.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
		},
		Transport: transport,
	}
	p := &s3Proxy{seen: func(*http.Request) {}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead || strings.Count(r.URL.Path, "/") > 1 {
			p.requests.Add(1)
		}
		p.mu.Lock()
		p.seen(r)
		p.mu.Unlock()
		if p.away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return p, []string{"AWS_ENDPOINT_URL=" + server.URL, "INGESTA_S3_ATTEMPTS=1"}
}

// store returns another store of the test's bucket.
func (s *system) store(settings ...string) *upload.Store {
	s.t.Helper()
	var cfg struct{ Upload upload.Config }
	stacktest.Load(s.t, &cfg, append(settings, "AWS_BUCKET_NAME="+s.bucket)...)
	lake, err := upload.New(s.t.Context(), cfg.Upload)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(lake.Close)
	return lake
}

// forget has engine and test go on with a Redis that knows nothing.
func (s *system) forget() {
	s.t.Helper()
	var cfg struct{ Jobs jobstore.Config }
	stacktest.Load(s.t, &cfg, "INGESTA_REDIS_PREFIX=forgetful-"+s.vhost)
	forgetful, err := jobstore.Open(cfg.Jobs)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { forgetful.Close() })
	s.jobs, s.parts.Jobs = forgetful, forgetful
}

// through has the engine use S3 with these settings; the tests themselves go on as before.
func (s *system) through(settings []string) { s.parts.Lake = s.store(settings...) }

// abandoned has the job whose cancellation is requested ended as the reconciler does, once its
// lease is dead.
func (s *system) abandoned() {
	s.t.Helper()
	stacktest.Eventually(s.t, "the reconciler cancels the job", func() bool {
		ended, err := s.jobs.CancelAbandoned(s.t.Context(), 1)
		if err != nil {
			s.t.Fatal(err)
		}
		return len(ended) == 1
	})
}

// background runs f until the test ends, and waits for it then.
func (s *system) background(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				s.t.Errorf("a background part failed: %v", err)
			}
		case <-time.After(patience):
			s.t.Error("a background part does not end")
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// start runs an engine until stop is called or the test ends.
func (s *system) start() (stop func()) {
	s.t.Helper()
	parts := s.parts
	parts.Metrics = prometheus.NewRegistry()
	e, err := New(s.cfg, ingest.MySQL, parts)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.background(e.Run)
}

// submit accepts a job for both datasets and publishes its command.
func (s *system) submit() ingest.Job {
	s.t.Helper()
	accepted, err := s.jobs.Accept(s.t.Context(), []jobstore.Submission{{
		ID: uuid.NewString(), Database: ingest.MySQL, RequestedBy: "system",
		Targets: []ingest.Target{{Dataset: "users", Key: "mysql/users_{stamp}.csv"}, {Dataset: "compras", Key: "mysql/compras_{stamp}.csv"}},
	}}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.publish(accepted.Jobs[0].Command())
	return accepted.Jobs[0]
}

func (s *system) publish(c ingest.Command) {
	s.t.Helper()
	if err := s.broker.PublishCommand(s.t.Context(), c, ""); err != nil {
		s.t.Fatal(err)
	}
}

// end waits for the job to be terminal, for its event and for the queue to be empty.
func (s *system) end(id string) ingest.Job {
	s.t.Helper()
	var job ingest.Job
	stacktest.Eventually(s.t, "the job is over", func() bool {
		got, err := s.jobs.Get(s.t.Context(), id)
		if err != nil && !errors.Is(err, jobstore.ErrNotFound) {
			s.t.Fatal(err)
		}
		job = got
		return job.Status.Terminal()
	})
	e := s.event(id)
	if e.Kind != ingest.EventKind(job.Status) || e.ID != id+"/end" {
		s.t.Errorf("the event of a job that ended as %s is %s with id %s", job.Status, e.Kind, e.ID)
	}
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

// dead waits until the dead-letter queue holds so many commands.
func (s *system) dead(want int) {
	s.t.Helper()
	stacktest.Eventually(s.t, fmt.Sprintf("%d commands are dead", want), func() bool {
		depths, err := s.broker.Depths(s.t.Context())
		return err == nil && depths["ingesta.dead"].Messages == want
	})
}

// object returns the content of an object, and whether it exists.
func (s *system) object(key string) (string, bool) {
	s.t.Helper()
	out, err := s.raw.GetObject(s.t.Context(), &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return "", false
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(body), true
}

// complete makes an object as an attempt does that dies before it can commit it.
func (s *system) complete(key string, owner upload.Owner) {
	s.t.Helper()
	object, err := s.lake.Create(s.t.Context(), key, owner, func(context.Context) error { return nil })
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := object.Complete(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// died lets an attempt claim the job, complete and commit some of its datasets, and die. It
// returns the attempt's lease, which is dead once a claim succeeds: see INGESTA_LEASE.
func (s *system) died(job ingest.Job, committed ...string) *jobstore.Lease {
	s.t.Helper()
	claim, err := s.jobs.Claim(s.t.Context(), jobstore.ClaimRequest{Command: job.Command(), Worker: "dead"})
	if err != nil || claim.Lease == nil {
		s.t.Fatalf("claiming: %+v, %v", claim, err)
	}
	for _, dataset := range committed {
		r := *job.Results.Of(dataset)
		s.complete(r.Key, upload.Owner{JobID: job.ID, Fence: claim.Lease.Fence()})
		r.State, r.URL, r.Format = ingest.Done, s.lake.URL(r.Key), "CSV"
		if err := claim.Lease.Commit(s.t.Context(), r); err != nil {
			s.t.Fatal(err)
		}
	}
	return claim.Lease
}

// manifest writes the job's manifest as that attempt.
func (s *system) manifest(job ingest.Job, lease *jobstore.Lease) {
	s.t.Helper()
	stored, err := s.jobs.Get(s.t.Context(), job.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	m := upload.Manifest{JobID: job.ID, Database: job.Database, Status: ingest.Conclude(stored.Results), Fence: lease.Fence()}
	for i, r := range stored.Results {
		if r.State != ingest.Done {
			stored.Results[i] = broken(r, ingest.QueryFailed, "the database refused the statement")
		}
	}
	m.AddResults(stored.Results)
	body, err := m.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	owner := upload.Owner{JobID: job.ID, Fence: lease.Fence()}
	if err := s.lake.PutManifest(s.t.Context(), upload.ManifestKey(job.Database, job.ID), owner, body); err != nil {
		s.t.Fatal(err)
	}
}

// requestCancel asks for the cancellation of a job that an attempt holds.
func (s *system) requestCancel(id string) {
	s.t.Helper()
	if job, err := s.jobs.Cancel(s.t.Context(), id); err != nil || !job.CancelRequested {
		s.t.Fatalf("cancelling: %+v, %v; want it requested", job, err)
	}
}

// objects returns the keys of all objects.
func (s *system) objects() (keys []string) {
	s.t.Helper()
	out, err := s.raw.ListObjectsV2(s.t.Context(), &s3.ListObjectsV2Input{Bucket: &s.bucket})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, o := range out.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

// empty waits until nothing is left in S3.
func (s *system) empty() {
	s.t.Helper()
	stacktest.Eventually(s.t, "nothing is left in S3", func() bool { return len(s.objects()) == 0 && len(s.uploads()) == 0 })
}

// upload begins an upload as a process does that dies before it can complete it.
func (s *system) upload(key string) {
	s.t.Helper()
	if _, err := s.raw.CreateMultipartUpload(s.t.Context(), &s3.CreateMultipartUploadInput{Bucket: &s.bucket, Key: &key}); err != nil {
		s.t.Fatal(err)
	}
}

// uploads returns the keys of all multipart uploads.
func (s *system) uploads() (keys []string) {
	s.t.Helper()
	out, err := s.raw.ListMultipartUploads(s.t.Context(), &s3.ListMultipartUploadsInput{Bucket: &s.bucket})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, u := range out.Uploads {
		keys = append(keys, *u.Key)
	}
	return keys
}

// noUploads asserts that no multipart upload is left.
func (s *system) noUploads() {
	s.t.Helper()
	if left := s.uploads(); len(left) > 0 {
		s.t.Errorf("uploads are left at %q", left)
	}
}

// drained waits until no message waits in a queue of ours.
func (s *system) drained() {
	s.t.Helper()
	stacktest.Eventually(s.t, "the queues are drained", func() bool {
		waiting, err := s.waiting()
		return err == nil && waiting == 0
	})
}

// waiting returns how many messages wait in queues of ours.
func (s *system) waiting() (messages int, err error) {
	depths, err := s.broker.Depths(s.t.Context())
	for queue, depth := range depths {
		if queue != "batch_processed" {
			messages += depth.Messages
		}
	}
	return messages, err
}
