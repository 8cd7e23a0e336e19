package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/presign"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// Downloads makes addresses from which browsers download objects; *presign.Signer is it, with its errors.
type Downloads interface {
	URL(ctx context.Context, location string) (address string, err error)
}

// download answers GET /api/ingesta/jobs/{id}/datasets/{name}/download.
func (a *API) download(c echo.Context) error {
	id, err := JobID(c)
	if err != nil {
		return err
	}
	ctx, name := c.Request().Context(), c.Param("name")
	job, err := a.jobs.Get(ctx, id)
	if err != nil {
		return err
	}
	c.Set(jobKey, jobAttrs{job.ID, string(job.Database)})
	at := slices.IndexFunc(job.Results, func(r ingest.Result) bool { return r.Dataset == name })
	if at < 0 {
		return fault(datasetNotFound, "job %s has no dataset %s", id, strconv.Quote(cut(name)))
	}
	result := job.Results[at]
	switch {
	case job.Status == ingest.Cancelled:
		return fault(datasetNotDone, "job %s was cancelled, and its objects were removed", id)
	case result.State != ingest.Done || result.URL == "":
		return fault(datasetNotDone, "the dataset %s of job %s is %s: there is an object once it is %s", name, id, result.State, ingest.Done)
	}
	address, err := a.downloads.URL(ctx, result.URL)
	if refused, ok := errors.AsType[*presign.Error](err); ok {
		p := fault(downloadsUnavailable, "%s", refused.Message)
		p.cause = refused.Cause
		return p
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusTemporaryRedirect, address)
}
