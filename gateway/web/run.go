package web

import (
	"errors"
	"net/http"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// largestForm is how many bytes a form may have: a token, or the names of many datasets.
const largestForm = 64 << 10

// readForm reads the fields of a form.
func (v *visit) readForm() error {
	r := v.c.Request()
	r.Body = http.MaxBytesReader(v.c.Response(), r.Body, largestForm)
	err := r.ParseForm()
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return &api.Problem{Code: "body_too_large", Detail: "the form is larger than any page of this service sends"}
	}
	if err != nil {
		return &api.Problem{Code: "invalid_body", Detail: "the form cannot be read"}
	}
	return nil
}

// run answers the form of one database: all of it, or the datasets that the form names.
func (v *visit) run() error {
	if err := v.readForm(); err != nil {
		return err
	}
	order := jobs.Order{Database: ingest.Database(v.c.Param("database")), Datasets: v.c.Request().PostForm["dataset"], OnConflict: jobs.Join}
	api.Note(v.c, api.Deed{Database: string(order.Database), Datasets: order.Datasets, OnConflict: string(order.OnConflict)})
	receipt, err := v.Doer.Submit(v.ctx(), v.request(order))
	if err != nil {
		return err
	}
	return v.follows(receipt, "started")
}

// runAll answers the form that has every database exported.
func (v *visit) runAll() error {
	var orders []jobs.Order
	for _, db := range v.Catalog.Databases() {
		orders = append(orders, jobs.Order{Database: db.Name, OnConflict: jobs.Join})
	}
	api.Note(v.c, api.Deed{OnConflict: string(jobs.Join)})
	receipt, err := v.Doer.Submit(v.ctx(), v.request(orders...))
	if err != nil {
		return err
	}
	v.note(receipt.Jobs...)
	v.say("started_all")
	return v.redirect("/")
}

// cancel answers the form that ends a job.
func (v *visit) cancel() error {
	id, err := api.JobID(v.c)
	if err != nil {
		return err
	}
	api.Note(v.c, api.Deed{JobIDs: []string{id}})
	job, err := v.Doer.Cancel(v.ctx(), id, v.request().Traceparent)
	if err != nil {
		return err
	}
	v.note(job)
	if job.Status.Terminal() {
		v.say("cancelled")
	} else {
		v.say("cancelling")
	}
	return v.redirect(jobPage(id))
}

// retry answers the form that has the rest of a job done by a new one.
func (v *visit) retry() error {
	id, err := api.JobID(v.c)
	if err != nil {
		return err
	}
	api.Note(v.c, api.Deed{JobIDs: []string{id}})
	receipt, err := v.Doer.Submit(v.ctx(), v.request(jobs.Order{RetryOf: id, OnConflict: jobs.Join}))
	if err != nil {
		return err
	}
	return v.follows(receipt, "retried")
}

// replay answers the form that makes a new job of a dead letter.
func (v *visit) replay() error {
	id, err := api.LetterID(v.c)
	if err != nil {
		return err
	}
	api.Note(v.c, api.Deed{DeadLetter: id})
	receipt, err := v.Letters.Replay(v.ctx(), id, v.request())
	if err != nil {
		return err
	}
	done := "replayed"
	if receipt.Replayed {
		done = "replayed_before"
	}
	return v.follows(receipt, done)
}

// follows sends the visitor to the one job that a form has made, or that does the same already.
func (v *visit) follows(receipt jobs.Receipt, done string) error {
	v.note(receipt.Jobs...)
	if receipt.Joined != nil && receipt.Joined[0] {
		done = "joined"
	}
	v.say(done)
	return v.redirect(jobPage(receipt.Jobs[0].ID))
}

// note tells the audit log which jobs a form has made or dealt with.
func (v *visit) note(made ...ingest.Job) {
	var ids []string
	for _, job := range made {
		ids = append(ids, job.ID)
	}
	deed := api.Deed{JobIDs: ids}
	if len(made) == 1 {
		deed.Database = string(made[0].Database)
	}
	api.Note(v.c, deed)
}
