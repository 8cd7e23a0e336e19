package jobs

import (
	"context"
	"slices"
	"strings"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// work is what one job is to do.
type work struct {
	database   ingest.Database
	datasets   []catalog.Dataset
	retryOf    string   // the job that left it undone, or empty
	onConflict Conflict // Queue is empty here
}

// workOf returns what the order asks for, or an *Error. The database is filled in as far as it is
// known, whatever the error.
func (s *Service) workOf(ctx context.Context, o Order) (work, error) {
	if o.RetryOf != "" {
		job, err := s.Get(ctx, o.RetryOf)
		if err != nil {
			return work{}, err
		}
		return s.undone(job)
	}
	datasets, err := o.resolve(s.catalog)
	return work{database: o.Database, datasets: datasets}, err
}

// undone returns what an ended job did not do. Of a cancelled one that is everything: its objects
// were removed. The errors are NotOver, Succeeded and those of again.
func (s *Service) undone(job ingest.Job) (work, error) {
	if !job.Status.Terminal() {
		return work{database: job.Database}, refuse(NotOver, nil, "job %s is %s: a job is retried once it is over and has not succeeded; wait for its end, or cancel it", job.ID, job.Status)
	}
	var names []string
	for _, r := range job.Results {
		if r.State != ingest.Done || job.Status == ingest.Cancelled {
			names = append(names, r.Dataset)
		}
	}
	if job.Status == ingest.Success || len(names) == 0 {
		return work{database: job.Database}, refuse(Succeeded, nil, "job %s has succeeded and left nothing undone; to export %s once more, ask for a new job", job.ID, job.Database)
	}
	return s.again(job.Database, names, job.ID)
}

// again returns the work of exporting datasets of the job once more. The catalog may have lost
// them since, which is a DatabaseGone or DatasetGone *Error.
func (s *Service) again(name ingest.Database, datasets []string, jobID string) (work, error) {
	w := work{database: name, retryOf: jobID}
	db, ok := s.catalog.Database(name)
	if !ok {
		err := refuse(DatabaseGone, nil, "job %s is of database %s, which the catalog does not have", jobID, shown(string(name)))
		for _, known := range s.catalog.Databases() {
			err.Known = append(err.Known, string(known.Name))
		}
		return w, err
	}
	var gone []string
	for _, dataset := range datasets {
		if _, ok := db.Dataset(dataset); !ok && len(gone) < maxNamed {
			gone = append(gone, shown(dataset))
		}
	}
	if len(gone) > 0 {
		err := refuse(DatasetGone, nil, "job %s is to export %s, which the catalog does not have for %s; to export what there is, ask for a new job", jobID, strings.Join(gone, ", "), name)
		err.Known = db.Names()
		return w, err
	}
	for _, d := range db.Datasets {
		if slices.Contains(datasets, d.Name) {
			w.datasets = append(w.datasets, d)
		}
	}
	return w, nil
}
