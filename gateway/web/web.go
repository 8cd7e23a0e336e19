package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// Reader finds jobs, and the latest export of each dataset. Its errors, like those of the interfaces
// below, are *jobs.Error or what a cancelled context says.
type Reader interface {
	Get(ctx context.Context, id string) (ingest.Job, error)
	List(ctx context.Context, q jobs.Query) (jobs.Page, error)
	Exports(ctx context.Context) (map[ingest.Database]map[string]jobs.Exported, error)
}

// Doer makes jobs and ends them.
type Doer interface {
	Submit(ctx context.Context, r jobs.Request) (jobs.Receipt, error)
	Cancel(ctx context.Context, id, traceparent string) (ingest.Job, error)
}

// Letters are the commands that nobody could carry out.
type Letters interface {
	DeadLetters(ctx context.Context, limit int) (jobs.DeadLetters, error)
	Replay(ctx context.Context, letter string, r jobs.Request) (jobs.Receipt, error)
}

// Prober tells the state of the system, within a few seconds, whatever is down.
type Prober interface {
	Health(ctx context.Context) jobs.Health
}

// Parts are what the dashboard needs of the rest of the gateway.
type Parts struct {
	Guard   *auth.Guard
	Reader  Reader
	Doer    Doer
	Letters Letters
	Prober  Prober
	Watcher Watcher
	Catalog *catalog.Catalog
	Version string
}

// Web is the dashboard.
type Web struct {
	Parts
	assets  assets
	views   map[string]*view // by the tag of their locale
	chooser chooser
	glance  *glance
	now     func() time.Time
}

// New returns the dashboard. It fails when its own templates, texts or assets are broken.
func New(parts Parts) (*Web, error) {
	w := &Web{Parts: parts, chooser: newChooser(), glance: newGlance(parts.Prober, time.Now), now: time.Now}
	var err error
	if w.assets, err = readAssets(); err != nil {
		return nil, fmt.Errorf("reading the dashboard's assets: %w", err)
	}
	if w.views, err = newViews(w.assets); err != nil {
		return nil, fmt.Errorf("reading the dashboard's pages: %w", err)
	}
	return w, nil
}

// Routes returns the dashboard's routes.
func (w *Web) Routes() []api.Route {
	return []api.Route{
		w.page("/", (*visit).overview),
		w.page("/jobs", (*visit).list),
		w.page("/jobs/:id", (*visit).job),
		w.page("/dead-letters", (*visit).letters),
		w.page("/datasets", (*visit).datasets),
		w.page("/system", (*visit).system),
		w.stream("/live", (*visit).live),

		w.form(auth.Run, "/run", (*visit).runAll),
		w.form(auth.Run, "/run/:database", (*visit).run),
		w.form(auth.Run, "/jobs/:id/cancel", (*visit).cancel),
		w.form(auth.Run, "/jobs/:id/retry", (*visit).retry),
		w.form(auth.Run, "/dead-letters/:id/replay", (*visit).replay),

		w.route(http.MethodGet, api.OpenToAll, "/login", (*visit).login),
		w.form(api.OpenToAll, "/login", (*visit).enter),
		w.form(api.OpenToAll, "/logout", (*visit).leave),
		{Method: http.MethodGet, Path: "/assets/:name", Need: api.OpenToAll, Handle: w.assets.serve},
	}
}

// page is a route for those who may look.
func (w *Web) page(path string, show func(*visit) error) api.Route {
	return w.route(http.MethodGet, auth.Read, path, show)
}

// stream is a route for the script of those pages. It is refused as programs are: a script that is sent
// to the login gets nowhere.
func (w *Web) stream(path string, serve func(*visit) error) api.Route {
	r := w.page(path, serve)
	r.Stream, r.Refuse = true, nil
	return r
}

// form is a route that a form of a page is sent to.
func (w *Web) form(need auth.Scope, path string, act func(*visit) error) api.Route {
	return w.route(http.MethodPost, need, path, act)
}

func (w *Web) route(method string, need auth.Scope, path string, serve func(*visit) error) api.Route {
	return api.Route{
		Method: method, Path: path, Need: need,
		Handle: func(c echo.Context) error { return serve(w.receive(c)) },
		Refuse: func(c echo.Context, p *api.Problem) error { return w.receive(c).refuse(p, need) },
	}
}
