package web

import (
	"encoding/hex"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// largestForm is how many bytes a form may have: a token, or the names of many datasets.
const largestForm = 64 << 10

// readForm reads the fields of a form.
func (v *visit) readForm() error {
	r := v.c.Request()
	r.Body = http.MaxBytesReader(v.c.Response(), r.Body, largestForm)
	if err := r.ParseForm(); err != nil {
		return &jobs.Error{Code: jobs.UnknownDataset, Message: "the form cannot be read", Cause: err}
	}
	return nil
}

// run answers the form of one database: all of it, or the datasets that the form names.
func (v *visit) run() error {
	if err := v.readForm(); err != nil {
		return err
	}
	order := jobs.Order{Database: ingest.Database(v.c.Param("database")), Datasets: v.c.Request().PostForm["dataset"]}
	receipt, err := v.Doer.Submit(v.ctx(), v.request(order))
	if err != nil {
		return err
	}
	v.say("started")
	return v.redirect(jobPage(receipt.Jobs[0].ID))
}

// runAll answers the form that has every database exported.
func (v *visit) runAll() error {
	var orders []jobs.Order
	for _, db := range v.Catalog.Databases() {
		orders = append(orders, jobs.Order{Database: db.Name})
	}
	if _, err := v.Doer.Submit(v.ctx(), v.request(orders...)); err != nil {
		return err
	}
	v.say("started_all")
	return v.redirect("/")
}

// cancel answers the form that ends a job.
func (v *visit) cancel() error {
	id, err := v.jobID()
	if err != nil {
		return err
	}
	job, err := v.Doer.Cancel(v.ctx(), id, v.request().Traceparent)
	if err != nil {
		return err
	}
	if job.Status.Terminal() {
		v.say("cancelled")
	} else {
		v.say("cancelling")
	}
	return v.redirect(jobPage(id))
}

// retry answers the form that has the rest of a job done by a new one.
func (v *visit) retry() error {
	id, err := v.jobID()
	if err != nil {
		return err
	}
	receipt, err := v.Doer.Submit(v.ctx(), v.request(jobs.Order{RetryOf: id}))
	if err != nil {
		return err
	}
	v.say("retried")
	return v.redirect(jobPage(receipt.Jobs[0].ID))
}

// replay answers the form that makes a new job of a dead letter.
func (v *visit) replay() error {
	id := v.c.Param("id")
	if sum, err := hex.DecodeString(id); err != nil || hex.EncodeToString(sum) != id {
		return echo.ErrNotFound
	}
	receipt, err := v.Letters.Replay(v.ctx(), id, v.request())
	if err != nil {
		return err
	}
	v.say("replayed")
	if receipt.Replayed {
		v.say("replayed_before")
	}
	return v.redirect(jobPage(receipt.Jobs[0].ID))
}
