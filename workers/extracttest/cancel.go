package extracttest

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/upload"
)

// cancelWithin is how long it may take from asking for the cancellation of a job until the job is
// over and the server works for it no more.
const cancelWithin = 2 * time.Second

// database is what the suite's jobs call whichever database it is.
const database ingest.Database = "extracttest"

// jobInSlowQuery cancels a job whose query has not brought a row yet.
func (s suite) jobInSlowQuery(t *testing.T) {
	s.Server.Create(t, Table{Name: "poca", Columns: []Column{{"id", Int}}}) // a catalog's query reads a table
	s.cancelledJob(t, query(s.Slow, "poca"), stacktest.Env(t, "AWS_ENDPOINT_URL"), func(running int) bool { return running > 0 })
}

// jobInStalledUpload cancels a job that reads the large table no further because S3 takes no part
// of its object.
func (s suite) jobInStalledUpload(t *testing.T) {
	endpoint, stalled := stallingS3(t)
	s.cancelledJob(t, s.dataset("grande", "id", "texto"), endpoint, func(running int) bool {
		// A source that reads a table piece by piece may have read one and not begun the next.
		return stalled() && (running > 0 || s.Pieces)
	})
}

// cancelledJob runs a job of one dataset, as a worker does, and cancels it while the server works
// on it and it is due: soon the job is over, the server is idle, and nothing is left in S3.
func (s suite) cancelledJob(t *testing.T, d catalog.Dataset, endpoint string, due func(running int) bool) {
	var cfg struct {
		Jobs   jobstore.Config
		Broker broker.Config
		Upload upload.Config
		Engine engine.Config
	}
	stacktest.Load(t, &cfg, append(stacktest.Isolate(t), "AWS_ENDPOINT_URL="+endpoint,
		// So little that the large table fills it.
		"INGESTA_UPLOAD_PART_SIZE=5MiB", "INGESTA_UPLOAD_MEMORY=10MiB")...)
	jobs, err := jobstore.Open(cfg.Jobs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = jobs.Close() })
	lake, err := upload.New(t.Context(), cfg.Upload)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lake.Close)
	log := slog.New(slog.DiscardHandler)
	messages := broker.New(cfg.Broker, "extracttest", []ingest.Database{database}, log)
	worker, err := engine.New(cfg.Engine, database, engine.Parts{
		Worker: "extracttest", Catalog: catalogOf(t, d),
		Source: s.Source(t, Granted), Lake: lake, Jobs: jobs, Broker: messages, Delays: cfg.Broker.Delays, Log: log, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, messages.Run)
	stacktest.Eventually(t, "the broker is ready", func() bool { return messages.Ready(t.Context()) == nil })
	background(t, worker.Run)

	accepted, err := jobs.Accept(t.Context(), []jobstore.Submission{{
		ID: uuid.NewString(), Database: database, RequestedBy: "system",
		Targets: []ingest.Target{{Dataset: d.Name, Key: "extracttest/" + d.Name + "_{stamp}.csv"}},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	job := accepted.Jobs[0]
	if err := messages.PublishCommand(t.Context(), job.Command(), ""); err != nil {
		t.Fatal(err)
	}
	stacktest.Eventually(t, "the server works on the job", func() bool {
		got, err := jobs.Get(t.Context(), job.ID)
		if err != nil || got.Status.Terminal() {
			t.Fatalf("the job is %s: %s (%v)", got.Status, got.Results[0].Error, err)
		}
		_, running := s.Server.Sessions(t)
		return due(running) && len(uploads(t, cfg.Upload.Bucket)) > 0
	})

	asked := time.Now()
	if _, err := jobs.Cancel(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	stacktest.Eventually(t, "the job is over and the server is idle", func() bool {
		if job, err = jobs.Get(t.Context(), job.ID); err != nil {
			t.Fatal(err)
		}
		_, running := s.Server.Sessions(t)
		return job.Status.Terminal() && running == 0
	})
	took := time.Since(asked)
	if job.Status != ingest.Cancelled {
		t.Errorf("the job ended as %s, want cancelled", job.Status)
	}
	if took > cancelWithin {
		t.Errorf("the job was over, on the server too, %v after its cancellation, want %v at most", took, cancelWithin)
	}
	t.Logf("over, on the server too, %v after being cancelled", took.Round(time.Millisecond))
	if left := uploads(t, cfg.Upload.Bucket); len(left) > 0 {
		t.Errorf("uploads are left at %q", left)
	}
	objects, err := stacktest.S3(t).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &cfg.Upload.Bucket})
	if err != nil || len(objects.Contents) > 0 {
		t.Errorf("%d objects are left (%v)", len(objects.Contents), err)
	}
}

// catalogOf returns a catalog of the one dataset.
func catalogOf(t *testing.T, d catalog.Dataset) *catalog.Catalog {
	t.Helper()
	type fields map[string]any
	dataset := fields{"name": d.Name}
	for key, text := range map[string]string{"table": d.Table, "collection": d.Collection, "query": d.Query} {
		if text != "" {
			dataset[key] = text
		}
	}
	if len(d.Requires) > 0 {
		dataset["requires"] = d.Requires
	}
	var columns []string
	for _, c := range d.Columns {
		columns = append(columns, c.Name)
	}
	dataset["columns"] = columns
	file, err := json.Marshal(fields{"version": 1, "databases": []fields{{"name": database, "datasets": []fields{dataset}}}})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := catalog.Parse("the suite's catalog", file) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// background runs f until the test ends, and waits for it then.
func background(t *testing.T, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("a part of the worker failed: %v", err)
		}
	})
}

// uploads returns the keys of the multipart uploads in the bucket.
func uploads(t *testing.T, bucket string) (keys []string) {
	t.Helper()
	out, err := stacktest.S3(t).ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil {
		t.Fatalf("listing uploads: %v", err)
	}
	for _, u := range out.Uploads {
		keys = append(keys, *u.Key)
	}
	return keys
}

// stallingS3 returns the address of an S3 server that never answers a part of an upload, and whether
// one has come.
func stallingS3(t *testing.T) (address string, stalled func() bool) {
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
	var parts atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("partNumber") {
			_, _ = io.Copy(io.Discard, r.Body) // only then the end of the connection is noticed
			parts.Add(1)
			<-r.Context().Done()
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return server.URL, func() bool { return parts.Load() > 0 }
}
