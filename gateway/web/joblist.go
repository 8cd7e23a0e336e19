package web

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// jobList is the page of all jobs.
type jobList struct {
	Databases []ingest.Database
	Statuses  []ingest.Status
	Database  ingest.Database // the filters; empty: all
	Status    ingest.Status
	Table     jobTable
}

// jobTable is the part of it that changes.
type jobTable struct {
	Rows     []jobRow
	Filtered bool
	Next     string // address of the page of older jobs, empty on the last
	First    string // address of the newest ones, empty there
}

// jobRow is one job in a table.
type jobRow struct {
	ingest.Job
	Took  time.Duration
	Meter meter
}

func rowsOf(list []ingest.Job, now time.Time) []jobRow {
	rows := make([]jobRow, len(list))
	for i, j := range list {
		rows[i] = jobRow{Job: j, Took: took(j, now)}
		if j.Status == ingest.Running {
			rows[i].Meter = jobMeter("progress-"+j.ID, j)
		}
	}
	return rows
}

const jobsPerPage = 25

// listQuery is what a list of jobs shows.
type listQuery struct {
	database, status, cursor string
}

func listQueryOf(values url.Values) listQuery {
	return listQuery{database: values.Get("database"), status: values.Get("status"), cursor: values.Get("cursor")}
}

// values writes the query as an address carries it.
func (q listQuery) values() url.Values {
	values := url.Values{}
	for name, value := range map[string]string{"database": q.database, "status": q.status, "cursor": q.cursor} {
		if value != "" {
			values.Set(name, value)
		}
	}
	return values
}

func (q listQuery) address() string {
	if values := q.values(); len(values) > 0 {
		return "/jobs?" + values.Encode()
	}
	return "/jobs"
}

// list answers GET /jobs.
func (v *visit) list() error {
	query := listQueryOf(v.c.QueryParams())
	table, err := v.jobTable(v.ctx(), query)
	if err != nil {
		return err
	}
	data := jobList{
		Statuses: ingest.Statuses(), Database: ingest.Database(query.database), Status: ingest.Status(query.status), Table: table,
	}
	for _, db := range v.Catalog.Databases() {
		data.Databases = append(data.Databases, db.Name)
	}
	live := query.values()
	live.Set("page", "jobs")
	return v.show(http.StatusOK, page{title: "jobs.title", nav: "jobs", template: "jobs", data: data, live: live})
}

// jobTable reads one page of jobs. Filters that name nothing find nothing.
func (v *visit) jobTable(ctx context.Context, q listQuery) (jobTable, error) {
	list, err := v.Reader.List(ctx, jobs.Query{
		Database: ingest.Database(q.database), Status: ingest.Status(q.status), Limit: jobsPerPage, Cursor: q.cursor,
	})
	if err != nil {
		return jobTable{}, err
	}
	table := jobTable{Rows: rowsOf(list.Jobs, v.now()), Filtered: q.database != "" || q.status != ""}
	if list.Next != "" {
		next := q
		next.cursor = list.Next
		table.Next = next.address()
	}
	if q.cursor != "" {
		first := q
		first.cursor = ""
		table.First = first.address()
	}
	return table, nil
}
