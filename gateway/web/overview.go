package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// overview is the first page: how things stand, and what to do about it.
type overview struct {
	Summary   summary
	Databases []databaseCard
	Recent    []jobRow
	MayRun    bool
}

// summary is the state of the system in one line.
type summary struct {
	Up      bool
	Down    []string // what does not work
	Letters int      // how many dead letters there are
	Counted bool     // whether anybody could count them
}

// databaseCard is what the overview tells of one database.
type databaseCard struct {
	Name     ingest.Database
	Now      time.Time
	Current  *ingest.Job // the latest that is not over
	Others   int         // further ones that are not over
	Meter    meter       // of Current while it runs
	Last     *ingest.Job // the latest that is over
	Rows     chart
	Duration chart
	State    jobs.DatabaseState
	MayRun   bool
}

const recentJobs = 8

// overview answers GET /.
func (v *visit) overview() error {
	data, err := v.overviewData(v.ctx())
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, page{
		title: "overview.title", nav: "overview", template: "overview", data: data, live: url.Values{"page": {"overview"}},
	})
}

// overviewData reads the last jobs of each database and the state of the system, side by side.
func (v *visit) overviewData(ctx context.Context) (overview, error) {
	databases := v.Catalog.Databases()
	var (
		reading sync.WaitGroup
		health  jobs.Health
		lists   = make([][]ingest.Job, len(databases))
		errs    = make([]error, len(databases))
	)
	reading.Go(func() { health = v.glance.look(ctx) })
	for i, db := range databases {
		reading.Go(func() { lists[i], errs[i] = v.latest(ctx, db.Name) })
	}
	reading.Wait()
	if err := errors.Join(errs...); err != nil {
		return overview{}, err
	}
	data := overview{MayRun: v.mayRun(), Summary: summarize(health)}
	now := v.now()
	var all []ingest.Job
	for i, db := range databases {
		card := databaseCard{Name: db.Name, Now: now, State: health.Databases[db.Name], MayRun: data.MayRun}
		var over []ingest.Job
		for _, job := range lists[i] {
			switch {
			case job.Status.Terminal():
				over = append(over, job)
			case card.Current == nil:
				card.Current = &job
			default:
				card.Others++
				if job.Status == ingest.Running && card.Current.Status != ingest.Running {
					card.Current = &job // what moves is of more interest than what waits
				}
			}
		}
		if card.Current != nil {
			card.Meter = jobMeter("progress-"+string(db.Name), *card.Current)
		}
		if len(over) > 0 {
			card.Last = &over[0]
		}
		card.Rows = newChart(over, func(j ingest.Job) int64 { return j.Progress.Rows })
		card.Duration = newChart(over, func(j ingest.Job) int64 { return took(j, now).Milliseconds() })
		data.Databases = append(data.Databases, card)
		all = append(all, lists[i]...)
	}
	slices.SortFunc(all, func(a, b ingest.Job) int { return b.CreatedAt.Compare(a.CreatedAt) })
	data.Recent = rowsOf(all[:min(len(all), recentJobs)], now)
	return data, nil
}

// latest returns the database's last jobs, newest first, among them those that run, however old.
func (v *visit) latest(ctx context.Context, db ingest.Database) ([]ingest.Job, error) {
	page, err := v.Reader.List(ctx, jobs.Query{Database: db, Limit: chartBars + 5})
	if err != nil {
		return nil, err
	}
	running, err := v.Reader.List(ctx, jobs.Query{Database: db, Status: ingest.Running, Limit: 5})
	if err != nil {
		return nil, err
	}
	list := page.Jobs
	for _, job := range running.Jobs {
		if !slices.ContainsFunc(list, func(j ingest.Job) bool { return j.ID == job.ID }) {
			list = append(list, job)
		}
	}
	return list, nil
}

// summarize says what does not work.
func summarize(h jobs.Health) summary {
	s := summary{Up: h.Status == jobs.Up}
	if h.DeadLetters != nil {
		s.Letters, s.Counted = *h.DeadLetters, true
	}
	for name, d := range h.Dependencies {
		if d.Status != jobs.Up {
			s.Down = append(s.Down, name)
		}
	}
	for name, d := range h.Databases {
		if d.Status != jobs.Up {
			s.Down = append(s.Down, string(name))
		}
	}
	slices.Sort(s.Down)
	return s
}
