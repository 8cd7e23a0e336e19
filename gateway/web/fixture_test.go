package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// noon is when every test happens.
var noon = time.Date(2025, 3, 9, 12, 0, 0, 0, time.UTC)

// id returns the id of the n-th job.
func id(n string) string { return "0196f0a1-0000-7000-8000-00000000000" + n }

const someLetter = "00112233445566778899aabbccddeeff"

// jobsOfAllKinds has one job of each status, newest first, with all that can be told of one.
func jobsOfAllKinds() []ingest.Job {
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	done := ingest.Result{
		Dataset: "users", Key: "mysql/users_1.csv", State: ingest.Done, URL: "s3://lake/mysql/users_1.csv", Rows: 1234567, Bytes: 98765432,
		SHA256: strings.Repeat("ab", 32), Format: "CSV",
		Columns: []ingest.Column{
			{Name: "id", Type: "integer", SourceType: "bigint"},
			{Name: "documento", Source: "dni", Type: "text", SourceType: "varchar(8)", Mask: "hash"},
			{Name: "email", Type: "text", SourceType: "varchar(255)", Mask: "last4"},
			{Name: "nombre", Type: "text", SourceType: "varchar(255)", Mask: "redact"},
		},
		Withheld:  []ingest.Withheld{{Name: "password", Rule: catalog.SensitiveName}, {Name: "distrito", Rule: catalog.Excluded}},
		Warnings:  []string{"3 zero dates became NULL"},
		Snapshot:  &ingest.Snapshot{ID: "0000-1", At: at(-90), Consistent: true},
		StartedAt: at(-90), FinishedAt: at(-80),
	}
	broken := ingest.Result{
		Dataset: "compras", Key: "mysql/compras_1.csv", State: ingest.Broken, Code: ingest.TableNotFound,
		Error: `the table "compras" <does not> exist`, Snapshot: &ingest.Snapshot{At: at(-90)},
	}
	job := func(n string, db ingest.Database, status ingest.Status, results ...ingest.Result) ingest.Job {
		j := ingest.Job{
			ID: id(n), Database: db, Status: status, RequestedBy: "ana <admin>", CreatedAt: at(-100), Attempt: 1, Results: results,
			StartedAt: at(-95), FinishedAt: at(-70),
			Attempts: []ingest.Attempt{{Number: 1, Worker: "mysql.one:1", StartedAt: at(-95), EndedAt: at(-70), Outcome: string(status)}},
		}
		j.SumProgress()
		return j
	}
	queued := job("1", ingest.MongoDB, ingest.Queued, ingest.Result{Dataset: "medicos", Key: "mongodb/medicos_1.csv", State: ingest.Pending})
	queued.FinishedAt, queued.NextAttemptAt = time.Time{}, at(60)
	queued.Attempts[0].Outcome, queued.Attempts[0].Code = ingest.OutcomeRetry, ingest.SourceUnavailable
	running := job("2", ingest.MySQL, ingest.Running,
		ingest.Result{Dataset: "users", Key: "mysql/users_2.csv", State: ingest.Exporting, Rows: 2500, Bytes: 250000, EstimatedRows: 10000, RowsPerSecond: 500, StartedAt: at(-5)},
		ingest.Result{Dataset: "compras", Key: "mysql/compras_2.csv", State: ingest.Pending})
	running.FinishedAt, running.StartedAt, running.RetryOf = time.Time{}, at(-5), id("4")
	running.Attempts = []ingest.Attempt{
		{Number: 1, Worker: "mysql.one:1", StartedAt: at(-95), EndedAt: at(-50), Outcome: ingest.OutcomeExpired},
		{Number: 2, Worker: "mysql.two:1", StartedAt: at(-40), EndedAt: at(-20), Outcome: ingest.OutcomeHandedBack, Code: ingest.Shutdown},
		{Number: 3, Worker: "mysql.two:2", StartedAt: at(-5)},
	}
	failed := job("5", ingest.PostgreSQL, ingest.Failed, broken)
	failed.Code, failed.Error = ingest.AttemptsExhausted, "failed 5 times"
	cancelled := job("6", ingest.MySQL, ingest.Cancelled, done)
	cancelled.Code, cancelled.CancelRequested = ingest.JobCancelled, true
	return []ingest.Job{queued, running, job("3", ingest.MySQL, ingest.Success, done), job("4", ingest.MySQL, ingest.Partial, done, broken), failed, cancelled}
}

// fakeService stands in for package jobs.
type fakeService struct {
	mu       sync.Mutex
	jobs     []ingest.Job
	next     string // cursor of the next page
	letters  jobs.DeadLetters
	health   jobs.Health
	err      error // of everything
	requests []jobs.Request
	queries  []jobs.Query
	replayed bool
	joined   bool
	exports  map[ingest.Database]map[string]jobs.Exported
	changes  chan struct{} // what watchers are told of; nil: nothing
}

func (f *fakeService) Get(_ context.Context, id string) (ingest.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, j := range f.jobs {
		if j.ID == id {
			return j, f.err
		}
	}
	return ingest.Job{}, &jobs.Error{Code: jobs.NotFound, Message: "there is no job " + id}
}

func (f *fakeService) List(_ context.Context, q jobs.Query) (jobs.Page, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queries = append(f.queries, q)
	page := jobs.Page{Next: f.next}
	for _, j := range f.jobs {
		if len(page.Jobs) < q.Limit && (q.Database == "" || q.Database == j.Database) && (q.Status == "" || q.Status == j.Status) {
			page.Jobs = append(page.Jobs, j)
		}
	}
	return page, f.err
}

func (f *fakeService) Submit(_ context.Context, r jobs.Request) (jobs.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return jobs.Receipt{}, f.err
	}
	f.requests = append(f.requests, r)
	receipt := jobs.Receipt{Jobs: []ingest.Job{{ID: id("9"), Database: r.Orders[0].Database}}}
	if f.joined {
		receipt.Joined = []bool{true}
	}
	return receipt, nil
}

func (f *fakeService) Cancel(_ context.Context, id, _ string) (ingest.Job, error) {
	if f.err != nil {
		return ingest.Job{}, f.err
	}
	return f.Get(nil, id) //nolint:staticcheck // it looks at no context
}

func (f *fakeService) DeadLetters(context.Context, int) (jobs.DeadLetters, error) {
	return f.letters, f.err
}

func (f *fakeService) Replay(_ context.Context, _ string, r jobs.Request) (jobs.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r)
	return jobs.Receipt{Jobs: []ingest.Job{{ID: id("9")}}, Replayed: f.replayed}, f.err
}

func (f *fakeService) Health(context.Context) jobs.Health { return f.health }

// everything is a service with something of each kind to show.
func everything() *fakeService {
	up := jobs.Dependency{Status: jobs.Up, LatencyMS: 1.26}
	down := jobs.Dependency{Status: jobs.Down, LatencyMS: 2000, Error: "RabbitMQ does not answer"}
	command := jobsOfAllKinds()[4].Command()
	return &fakeService{
		jobs: jobsOfAllKinds(), next: "older",
		exports: map[ingest.Database]map[string]jobs.Exported{ingest.MySQL: {"users": {JobID: id("3"), Result: jobsOfAllKinds()[2].Results[0]}}},
		letters: jobs.DeadLetters{Total: 12, Letters: []jobs.DeadLetter{
			{ID: someLetter, Database: "postgresql", JobID: id("5"), Code: string(ingest.AttemptsExhausted), Reason: "failed 5 times", BuriedAt: noon, Size: 321, Replayable: true, Command: &command},
			{ID: "ff" + someLetter[2:], Database: "mysql", Size: 5, WhyNot: &jobs.Refusal{Code: jobs.LetterUnreadable, Detail: "it is <no> command"}},
			{ID: "ee" + someLetter[2:], Database: "mysql", Code: "of_tomorrow", Size: 5},
		}},
		health: jobs.Health{
			Status: jobs.Down, DeadLetters: new(12), Dependencies: map[string]jobs.Dependency{"redis": up, "rabbitmq": down},
			Databases: map[ingest.Database]jobs.DatabaseState{
				ingest.MySQL: {Status: jobs.Up, Queue: &jobs.QueueState{Messages: 1, Consumers: 1}, Workers: []jobs.WorkerState{
					{Name: "mysql.one:1", Version: "1.2.3", StartedAt: noon, Slots: 2, Busy: 1, SameCatalog: true, Source: up, Storage: up},
					{Name: "mysql.two:1", Version: "1.2.2", StartedAt: noon, Slots: 2, Source: down, Storage: up},
				}},
				ingest.MongoDB:    {Status: jobs.Down, Error: "no worker has reported lately"},
				ingest.PostgreSQL: {Status: jobs.Up, Queue: &jobs.QueueState{Consumers: 2}, Workers: []jobs.WorkerState{}},
			},
		},
	}
}

// site is the dashboard within the API.
type site struct {
	t       *testing.T
	handler http.Handler
	cookies []*http.Cookie
}

const secret = "0123456789abcdef0123456789abcdef"

// closed is the configuration of a gateway that asks for tokens.
var closed = auth.Config{Mode: auth.JWT, Secret: secret, Issuer: "us", Audience: "ingesta"}

func newSite(t *testing.T, service *fakeService, cfg auth.Config) *site {
	t.Helper()
	datasets, err := catalog.Load("")
	if err != nil {
		t.Fatal(err)
	}
	if service.health.Dependencies == nil {
		service.health = jobs.Health{Status: jobs.Up}
	}
	log := slog.New(slog.DiscardHandler)
	guard := auth.New(cfg, time.Now, log)
	w, err := New(Parts{Guard: guard, Reader: service, Doer: service, Letters: service, Prober: service, Watcher: service, Catalog: datasets, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	w.now = func() time.Time { return noon }
	a, err := api.New(api.Config{}, api.Parts{Guard: guard, Catalog: datasets, Registry: prometheus.NewRegistry(), Log: log}, w.Routes()...)
	if err != nil {
		t.Fatal(err)
	}
	return &site{t: t, handler: a}
}

// token returns a good token of the closed configuration.
func token(t *testing.T, subject string, scopes ...auth.Scope) string {
	t.Helper()
	made, err := auth.Mint(closed, auth.Claims{Subject: subject, Scopes: scopes, TTL: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// get asks for a page as a browser does; headers are "Name: value".
func (s *site) get(path string, headers ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.send(httptest.NewRequest(http.MethodGet, path, nil), headers...)
}

// post sends a form as a browser does.
func (s *site) post(path string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.send(r, headers...)
}

func (s *site) send(r *http.Request, headers ...string) *httptest.ResponseRecorder {
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	for _, cookie := range s.cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func (f *fakeService) Exports(context.Context) (map[ingest.Database]map[string]jobs.Exported, error) {
	return f.exports, f.err
}

// Watch tells of the job once, and then of each change until it is over.
func (f *fakeService) Watch(ctx context.Context, _ string, tell func(ingest.Job) error) error {
	return f.watch(ctx, func() error { return tell(ingest.Job{}) })
}

// WatchAll tells of each change.
func (f *fakeService) WatchAll(ctx context.Context, _ string, ready func(string) error, tell func(jobs.Update) error) error {
	if err := ready("now"); err != nil {
		return err
	}
	return f.watch(ctx, func() error { return tell(jobs.Update{}) })
}

func (f *fakeService) watch(ctx context.Context, tell func() error) error {
	for {
		select {
		case <-f.changes:
			if err := tell(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
