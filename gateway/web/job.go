package web

import (
	"net/http"
	"net/url"
	"time"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// jobDetails is the page of one job.
type jobDetails struct {
	ingest.Job
	Now      time.Time
	Took     time.Duration
	Meter    meter // while it runs
	Datasets []datasetResult
	Tries    []try

	MayRun    bool
	CanCancel bool
	CanRetry  bool
	Undone    int // how many datasets a retry would export
}

// datasetResult is what became of one dataset of a job.
type datasetResult struct {
	ingest.Result
	JobID  string
	Took   time.Duration
	Meter  meter
	Kept   bool // its object is in S3 and stays there
	Beaten bool // it was done, and its object was removed with the job's
	Told   bool // why it failed is what the job says already
}

// try is one attempt of a job.
type try struct {
	ingest.Attempt
	Took time.Duration
	Last bool
}

// job answers GET /jobs/{id}.
func (v *visit) job() error {
	id, err := api.JobID(v.c)
	if err != nil {
		return err
	}
	job, err := v.Reader.Get(v.ctx(), id)
	if err != nil {
		return err
	}
	p := page{title: "job.title", subject: string(job.Database), nav: "jobs", template: "job", data: v.jobDetails(job)}
	if !job.Status.Terminal() {
		p.live = url.Values{"page": {"job"}, "id": {id}}
	}
	return v.show(http.StatusOK, p)
}

func (v *visit) jobDetails(j ingest.Job) jobDetails {
	now := v.now()
	d := jobDetails{Job: j, Now: now, Took: took(j, now), MayRun: v.mayRun()}
	if j.Status == ingest.Running {
		d.Meter = jobMeter("progress", j)
	}
	for _, r := range j.Results {
		result := datasetResult{Result: r, JobID: j.ID, Told: len(j.Results) == 1 && r.Code == j.Code && r.Error == j.Error}
		switch {
		case r.State == ingest.Exporting:
			result.Meter = newMeter("progress-"+r.Dataset, r.Dataset, r.Rows, r.EstimatedRows, r.RowsPerSecond)
			result.Took = now.Sub(r.StartedAt)
		case !r.StartedAt.IsZero() && !r.FinishedAt.IsZero():
			result.Took = r.FinishedAt.Sub(r.StartedAt)
		}
		if r.State == ingest.Done {
			result.Kept, result.Beaten = j.Status != ingest.Cancelled, j.Status == ingest.Cancelled
		}
		if r.State != ingest.Done || j.Status == ingest.Cancelled {
			d.Undone++
		}
		d.Datasets = append(d.Datasets, result)
	}
	for i, a := range j.Attempts {
		t := try{Attempt: a, Last: i == len(j.Attempts)-1}
		switch {
		case !a.EndedAt.IsZero():
			t.Took = a.EndedAt.Sub(a.StartedAt)
		case t.Last && j.Status == ingest.Running:
			t.Took = now.Sub(a.StartedAt)
		}
		d.Tries = append(d.Tries, t)
	}
	over := j.Status.Terminal()
	d.CanCancel = d.MayRun && !over && !j.CancelRequested
	d.CanRetry = d.MayRun && over && j.Status != ingest.Success && d.Undone > 0
	return d
}
