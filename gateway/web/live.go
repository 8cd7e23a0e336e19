package web

import (
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// Watcher tells of changes of jobs, see package jobs.
type Watcher interface {
	Watch(ctx context.Context, id string, f func(ingest.Job) error) error
	WatchAll(ctx context.Context, after string, ready func(position string) error, f func(jobs.Update) error) error
}

// The times of a page's stream.
const (
	breath        = 500 * time.Millisecond // between two looks at what has changed, however much that is
	lookAround    = 5 * time.Second        // after which is looked even when no job has changed: servers and queues do not tell
	longestStream = 10 * time.Minute       // after which a browser shows its token anew
)

// A page is kept fresh by a stream of its parts: elements with an id and the mark data-part, made by the
// same templates as the page. The name of an event is the id, its data the new element. Beside them go
// the events "announce", a text for those who listen to pages, and "over": nothing will change any more.

// part is an element that may have changed.
type part struct {
	id       string
	template string
	data     any

	// Of an element that is made of parts: what tells one set of them from another. While it stays the
	// same, each of the parts is replaced by itself, which leaves a reader where they are.
	shape string
	parts []part
}

// glimpse is what a page shows at a moment.
type glimpse struct {
	parts  []part
	states map[string]string // what is announced when it changes or is new, by what it is about
	over   bool
}

// live answers GET /live?page=….
func (v *visit) live() error {
	if v.c.Request().Method == http.MethodHead { // there is a stream; nobody listens
		return v.c.NoContent(http.StatusOK)
	}
	query := v.c.QueryParams()
	switch query.Get("page") {
	case "overview":
		return v.follow(v.ctx(), v.watchAll, func(ctx context.Context) (glimpse, error) {
			data, err := v.overviewData(ctx)
			return v.glimpseOfOverview(data), err
		})
	case "jobs":
		q := listQueryOf(query)
		return v.follow(v.ctx(), v.watchAll, func(ctx context.Context) (glimpse, error) {
			table, err := v.jobTable(ctx, q)
			return v.glimpseOfTable(table), err
		})
	case "job":
		id := query.Get("id")
		watch := func(ctx context.Context, wake func()) error {
			return v.Watcher.Watch(ctx, id, func(ingest.Job) error { wake(); return nil })
		}
		return v.follow(v.ctx(), watch, func(ctx context.Context) (glimpse, error) {
			job, err := v.Reader.Get(ctx, id)
			return v.glimpseOfJob(v.jobDetails(job)), err
		})
	case "system":
		return v.follow(v.ctx(), nil, func(ctx context.Context) (glimpse, error) {
			return glimpse{parts: []part{{id: "system", template: "system-part", data: v.systemState(v.glance.look(ctx))}}}, nil
		})
	default:
		return echo.ErrNotFound
	}
}

func (v *visit) watchAll(ctx context.Context, wake func()) error {
	return v.Watcher.WatchAll(ctx, "", func(string) error { wake(); return nil }, func(jobs.Update) error { wake(); return nil })
}

// follow streams what look sees whenever watch wakes it, and every now and then, until the client leaves,
// the gateway stops or nothing changes any more. A look that fails is repeated later: the page stays as
// it is meanwhile. Only the first one's failure is the request's.
func (v *visit) follow(ctx context.Context, watch func(ctx context.Context, wake func()) error, look func(context.Context) (glimpse, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, longestStream, errors.New("the stream has lasted long enough"))
	defer cancel()
	now, err := look(ctx)
	if err != nil && ctx.Err() == nil {
		return err
	}
	out, openErr := api.OpenEventStream(v.c)
	if openErr != nil {
		return openErr
	}
	defer out.Close()
	if err != nil {
		return nil // the gateway is about to stop: browsers come again after a stream, and not after a refusal
	}
	group, ctx := errgroup.WithContext(ctx)
	woken := make(chan struct{}, 1)
	if watch != nil {
		group.Go(func() error {
			return watch(ctx, func() {
				select {
				case woken <- struct{}{}:
				default: // it has yet to look for an earlier call
				}
			})
		})
	}
	group.Go(func() error {
		s := stream{view: v.view, out: out, sent: map[string]uint64{}, seed: maphash.MakeSeed()}
		for {
			if err := s.show(now); err != nil || now.over {
				return errors.Join(err, errEnded)
			}
			if err := pause(ctx, breath, nil); err != nil {
				return err
			}
			if err := pause(ctx, lookAround, woken); err != nil {
				return err
			}
			if seen, err := look(ctx); err == nil {
				now = seen
			}
		}
	})
	// Every way out is an end of the stream: the answer has begun, and whoever still looks connects anew.
	_ = group.Wait()
	return nil
}

// errEnded ends the watch of a stream that is over.
var errEnded = errors.New("the stream has ended")

// pause waits until it is woken, the time has passed or ctx ends, whose error it returns then.
func pause(ctx context.Context, d time.Duration, woken <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-woken:
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// stream sends what differs from what it has sent.
type stream struct {
	view   *view
	out    *api.EventStream
	sent   map[string]uint64 // hashes of the parts as they were sent last
	seed   maphash.Seed
	states map[string]string // as they were last; nil before the first
}

// show sends the parts that have changed, and then what is new.
func (s *stream) show(g glimpse) error {
	for _, p := range g.parts {
		if err := s.send(p); err != nil {
			return err
		}
	}
	if news := s.news(g.states); news != "" {
		if err := s.out.Send(api.Event{Name: "announce", Data: []byte(news)}); err != nil {
			return err
		}
	}
	if g.over {
		return s.out.Send(api.Event{Name: "over", Data: []byte("over")})
	}
	return nil
}

// send sends the part, if it has changed: as a whole, or those of its parts that have.
func (s *stream) send(p part) error {
	if p.shape != "" && !s.changed(p.id, p.shape) {
		for _, inner := range p.parts {
			if err := s.send(inner); err != nil {
				return err
			}
		}
		return nil
	}
	html, err := s.view.render(p.template, p.data)
	if err != nil {
		return err
	}
	if p.shape == "" && !s.changed(p.id, string(html)) {
		return nil
	}
	for _, inner := range p.parts { // they go out within the whole
		within, err := s.view.render(inner.template, inner.data)
		if err != nil {
			return err
		}
		s.changed(inner.id, string(within))
	}
	return s.out.Send(api.Event{Name: p.id, Data: []byte(html)})
}

func (s *stream) changed(id, text string) bool {
	sum := maphash.String(s.seed, text)
	before, known := s.sent[id]
	s.sent[id] = sum
	return !known || before != sum
}

// mostNews is how many changes are announced at once: more would be talking over the reader.
const mostNews = 3

// news returns what has changed since the last look, as one text.
func (s *stream) news(states map[string]string) string {
	var news []string
	for about, state := range states {
		if s.states != nil && s.states[about] != state {
			news = append(news, state)
		}
	}
	s.states = states
	slices.Sort(news)
	return strings.Join(news[:min(len(news), mostNews)], ", ")
}

// glimpseOfOverview is what changes of the overview.
func (v *visit) glimpseOfOverview(o overview) glimpse {
	g := glimpse{states: map[string]string{}, parts: []part{{id: "summary", template: "summary", data: o.Summary}}}
	for _, card := range o.Databases {
		g.parts = append(g.parts, part{id: "database-" + string(card.Name), template: "database-card", data: card})
		for _, job := range []*ingest.Job{card.Current, card.Last} {
			if job != nil {
				g.states[job.ID] = v.stateOf(*job)
			}
		}
	}
	g.parts = append(g.parts, tableOf("recent", "recent", o.Recent, o.Recent, ""))
	return g
}

// glimpseOfTable is what changes of the list of jobs.
func (v *visit) glimpseOfTable(t jobTable) glimpse {
	g := glimpse{states: map[string]string{}, parts: []part{tableOf("jobs", "jobs-part", t, t.Rows, t.Next)}}
	for _, row := range t.Rows {
		g.states[row.ID] = v.stateOf(row.Job)
	}
	return g
}

// tableOf is a part that is made of rows of jobs.
func tableOf(id, template string, data any, rows []jobRow, more string) part {
	p := part{id: id, template: template, data: data}
	shape := []string{more}
	for _, row := range rows {
		shape = append(shape, row.ID)
		p.parts = append(p.parts, part{id: "row-" + row.ID, template: "job-row", data: row})
	}
	p.shape = strings.Join(shape, " ")
	return p
}

// glimpseOfJob is what changes of a job's page.
func (v *visit) glimpseOfJob(d jobDetails) glimpse {
	g := glimpse{
		over: d.Status.Terminal(), states: map[string]string{d.ID: v.stateOf(d.Job)},
		parts: []part{{id: "job", template: "job-part", data: d}},
	}
	for _, r := range d.Datasets {
		g.parts = append(g.parts, part{id: "dataset-" + r.Dataset, template: "dataset-result", data: r})
	}
	g.parts = append(g.parts, part{id: "attempts", template: "attempts-part", data: d})
	return g
}

// stateOf says how a job stands, in words that do not change with every row.
func (v *visit) stateOf(j ingest.Job) string {
	state := string(j.Database) + ": " + v.view.texts["status."+string(j.Status)]
	if j.Status == ingest.Running {
		const step = 25
		if m := jobMeter("", j); m.Percent >= step {
			state += " " + v.view.format.percent(m.Percent/step*step)
		}
	}
	return state
}
