package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// Jobs is what the routes need of package jobs. Its errors are *jobs.Error, or what a cancelled
// context says.
type Jobs interface {
	Submit(ctx context.Context, r jobs.Request) (jobs.Receipt, error)
	Get(ctx context.Context, id string) (ingest.Job, error)
	List(ctx context.Context, q jobs.Query) (jobs.Page, error)
	Cancel(ctx context.Context, id, traceparent string) (ingest.Job, error)
	DeadLetters(ctx context.Context, limit int) (jobs.DeadLetters, error)
	Replay(ctx context.Context, letter string, r jobs.Request) (jobs.Receipt, error)
	// Wait returns the jobs once all are over, or as they are when ctx ends.
	Wait(ctx context.Context, ids []string) ([]ingest.Job, error)
	// Exports returns the latest export of each dataset.
	Exports(ctx context.Context) (map[ingest.Database]map[string]jobs.Exported, error)
	// Watch shows the job as it is and after each change, until its end.
	Watch(ctx context.Context, id string, f func(ingest.Job) error) error
	// WatchAll shows each job that changes after the position.
	WatchAll(ctx context.Context, after string, ready func(position string) error, f func(jobs.Update) error) error
}

// Health tells the state of the system. Both answer within a few seconds, whatever is down.
type Health interface {
	// Ready returns nil when a request could be accepted now, else why not, safe to show.
	Ready(ctx context.Context) error
	Health(ctx context.Context) jobs.Health
}

// Parts are what the API needs of the rest of the gateway.
type Parts struct {
	Guard   *auth.Guard
	Jobs    Jobs
	Health  Health
	Limiter Limiter // may be nil when no rate is limited

	Downloads Downloads
	Template  ingest.KeyTemplate // of the keys of exports to come

	Catalog  *catalog.Catalog // must not name a database like a route
	Version  string
	Registry *prometheus.Registry // metrics are registered with it, and served from it
	Log      *slog.Logger
}

// API serves the routes. It is an http.Handler.
type API struct {
	cfg       Config
	guard     *auth.Guard
	jobs      Jobs
	health    Health
	catalog   *catalog.Catalog
	downloads Downloads
	template  ingest.KeyTemplate
	version   string
	log       *slog.Logger

	echo       *echo.Echo
	routes     map[string]bool
	needs      map[string]auth.Scope // by method and route; OpenToAll is a declared need too
	refusals   map[string]func(echo.Context, *Problem) error
	protection *http.CrossOriginProtection
	limiter    *limiter
	requests   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	streams    prometheus.Gauge
	draining   context.Context // ends when the gateway is about to stop
	startDrain context.CancelFunc
}

// reserved are the names under /api/ingesta that are not databases.
var reserved = []string{"datasets", "dead-letters", "events", "health", "jobs"}

// New returns the API, which serves the routes of other parts of the gateway beside its own.
func New(cfg Config, parts Parts, routes ...Route) (*API, error) {
	for _, name := range reserved {
		if _, taken := parts.Catalog.Database(ingest.Database(name)); taken {
			return nil, fmt.Errorf("the catalog names a database %q: /api/ingesta/%s is a route of its own", name, name)
		}
	}
	protection, err := newProtection(cfg.Origins)
	if err != nil {
		return nil, fmt.Errorf("trusting the configured origins: %w", err)
	}
	a := &API{
		cfg: cfg, guard: parts.Guard, jobs: parts.Jobs, health: parts.Health, catalog: parts.Catalog, downloads: parts.Downloads,
		template: parts.Template, version: parts.Version, log: parts.Log,
		protection: protection, limiter: newLimiter(cfg.RateRun, cfg.RateRead, parts.Limiter, parts.Log),
		routes: map[string]bool{}, needs: map[string]auth.Scope{}, refusals: map[string]func(echo.Context, *Problem) error{},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ingesta_http_requests_total", Help: "HTTP requests answered.",
		}, []string{"method", "route", "status"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ingesta_http_streams", Help: "Streams of events that clients listen to now.",
		}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ingesta_http_request_duration_seconds", Help: "Time to answer HTTP requests but streams; the clients' chosen waits count.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"method", "route"}),
	}
	parts.Registry.MustRegister(a.requests, a.durations, a.streams)
	a.draining, a.startDrain = context.WithCancel(context.Background())
	a.route(parts.Registry, routes)
	return a, nil
}

// route fills the router.
func (a *API) route(registry *prometheus.Registry, routes []Route) {
	e := echo.New()
	a.echo = e
	e.IPExtractor = addressOf(a.cfg.Proxies)
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		_ = answerProblem(c, err) // of what fails before observe has begun: there is no log line to add it to
	}
	e.Pre(ignoreTrailingSlash)
	e.Use(a.compress, a.observe, a.origins, a.authenticate, a.limit)

	handle := func(need auth.Scope, path string, h echo.HandlerFunc, methods ...string) {
		for _, method := range methods {
			e.Add(method, path, h)
			a.needs[method+" "+path] = need
		}
	}
	get := func(need auth.Scope, path string, h echo.HandlerFunc) {
		handle(need, path, h, http.MethodGet, http.MethodHead)
	}

	get(OpenToAll, home, a.index)
	get(OpenToAll, "/health", a.alive)
	get(OpenToAll, "/ready", a.ready)
	get(OpenToAll, "/metrics", echo.WrapHandler(promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))
	handle(auth.Run, "/api/ingesta", a.submitAll, http.MethodPost)
	handle(auth.Run, "/api/ingesta/:database", a.submit, http.MethodPost)
	get(auth.Read, "/api/ingesta/health", a.report)
	get(auth.Read, "/api/ingesta/datasets", a.datasets)
	get(auth.Read, "/api/ingesta/datasets/:database/:name/ddl", a.statement)
	get(auth.Read, "/api/ingesta/jobs", a.list)
	get(auth.Read, "/api/ingesta/jobs/:id", a.get)
	get(auth.Read, "/api/ingesta/jobs/:id/events", a.stream(a.jobEvents))
	get(auth.Read, "/api/ingesta/jobs/:id/datasets/:name/download", a.download)
	get(auth.Read, "/api/ingesta/events", a.stream(a.events))
	handle(auth.Run, "/api/ingesta/jobs/:id/cancel", a.cancel, http.MethodPost)
	handle(auth.Run, "/api/ingesta/jobs/:id/retry", a.retry, http.MethodPost)
	get(auth.Read, "/api/ingesta/dead-letters", a.deadLetters)
	handle(auth.Run, "/api/ingesta/dead-letters/:id/replay", a.replay, http.MethodPost)
	a.add(routes)
	for _, route := range e.Routes() {
		a.routes[route.Path] = true
	}
}

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.echo.ServeHTTP(w, r) }

// Drain makes /ready say no and ends all waits, which answer with the jobs as they are. It is
// called before the server is shut down, and cannot be undone.
func (a *API) Drain() { a.startDrain() }

// ignoreTrailingSlash lets /health/ mean /health, as the original's server did.
func ignoreTrailingSlash(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		if len(u.Path) > 1 && strings.HasSuffix(u.Path, "/") {
			u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(u.RawPath, "/")
		}
		return next(c)
	}
}

// answer writes v as JSON.
func answer(c echo.Context, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	return c.Blob(status, echo.MIMEApplicationJSON, append(body, '\n'))
}

// knownDatabases lists the catalog's databases.
func (a *API) knownDatabases() []string {
	var names []string
	for _, db := range a.catalog.Databases() {
		names = append(names, string(db.Name))
	}
	return names
}

// allowLonger moves the server's read and write deadlines of this request to d from now: the
// read deadline too, because its passing would cancel the request's context.
func allowLonger(c echo.Context, d time.Duration) error { return allowUntil(c, time.Now().Add(d)) }

// allowForever lifts the server's read and write deadlines of this request.
func allowForever(c echo.Context) error { return allowUntil(c, time.Time{}) }

func allowUntil(c echo.Context, until time.Time) error {
	controller := http.NewResponseController(c.Response())
	err := errors.Join(controller.SetReadDeadline(until), controller.SetWriteDeadline(until))
	if errors.Is(err, http.ErrNotSupported) {
		return nil // a test's recorder has no deadlines
	}
	return err
}
