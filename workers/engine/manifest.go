package engine

import (
	"context"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/telemetry"
	"github.com/pharmavida/ingesta/workers/upload"
)

// putManifest writes the manifest of a job that is about to end, for as long as it takes within
// ctx. Only the owner of the job gets so far: the fence is checked first, and again by the write.
func (a *attempt) putManifest(ctx context.Context, end jobstore.Finish) error {
	job := a.claim.Job
	manifest := upload.Manifest{
		JobID: job.ID, RetryOf: job.RetryOf, Database: job.Database, Status: end.Status, RequestedBy: job.RequestedBy,
		CatalogDigest: a.Catalog.Digest(), WorkerVersion: telemetry.Version(), Fence: a.owner.Fence,
		CreatedAt: job.CreatedAt, FinishedAt: time.Now().UTC(),
	}
	manifest.AddResults(end.Results)
	body, err := manifest.Encode()
	if err != nil {
		return err
	}
	for wait := newBackoff(); ; {
		err := asLeaseLoss(a.claim.Lease.Check(ctx))
		if err == nil {
			err = a.Lake.PutManifest(ctx, upload.ManifestKey(job.Database, job.ID), a.owner, body)
		}
		if err == nil || !ingest.IsTransient(err) || !wait.sleep(ctx) {
			return err
		}
		a.log.Warn("writing the manifest failed; trying again", "error", err)
	}
}

// recall puts on the board what the manifest tells of datasets that are not committed, and reports
// whether there was one: the job had ended, as far as readers of the lake are concerned, and only
// its end is to be recorded.
func (a *attempt) recall(ctx context.Context) (bool, error) {
	body, found, err := a.Lake.GetManifest(ctx, upload.ManifestKey(a.claim.Job.Database, a.claim.Job.ID))
	if err != nil || !found {
		return false, err
	}
	manifest, err := upload.DecodeManifest(body)
	if err != nil {
		return false, ingest.Permanent(ingest.ObjectConflict, err, "the manifest of this job cannot be read")
	}
	told := manifest.Results()
	for i, r := range a.board.snapshot() {
		if known := told.Of(r.Dataset); known != nil && r.State != ingest.Done {
			known.Key = r.Key
			a.board.set(i, *known)
		}
	}
	a.log.Info("the manifest tells that the job had ended", "status", manifest.Status)
	return true, nil
}
