package jobs_test

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// conflicting asks for one job of MySQL, unless the same is done already.
func conflicting(what jobs.Conflict, key string) jobs.Request {
	r := order(key)
	r.Orders[0].OnConflict = what
	return r
}

func TestJoinedJob(t *testing.T) {
	f := newFixture(t)
	job := f.accept()
	request := conflicting(jobs.Join, "")
	request.Orders = slices.Insert(request.Orders, 0, jobs.Order{Database: ingest.PostgreSQL, OnConflict: jobs.Join})
	receipt, err := f.Submit(t.Context(), request)
	if err != nil || receipt.Replayed || !reflect.DeepEqual(receipt.Joined, []bool{false, true}) || receipt.Jobs[1].ID != job.ID {
		t.Fatalf("got %+v, %v; want a job of PostgreSQL, and to be joined to %s", receipt, err, job.ID)
	}
	if n := f.broker.published(job.ID); n != 1 {
		t.Errorf("the command of the joined job was published %d times, want once", n)
	}
	// Fewer datasets are other work.
	fewer := conflicting(jobs.Join, "")
	fewer.Orders[0].Datasets = []string{"users"}
	if receipt, err := f.Submit(t.Context(), fewer); err != nil || receipt.Joined != nil {
		t.Errorf("fewer datasets: %+v, %v; want a job", receipt, err)
	}
	if _, err := f.Cancel(t.Context(), job.ID, ""); err != nil {
		t.Fatal(err)
	}
	if receipt, err := f.Submit(t.Context(), conflicting(jobs.Join, "")); err != nil || receipt.Joined != nil {
		t.Errorf("after the job was cancelled: %+v, %v; want a new one", receipt, err)
	}
}

func TestJoinManyAtOnce(t *testing.T) {
	f := newFixture(t)
	var mu sync.Mutex
	made := map[string]int{} // job → requests that were not joined to it
	var asking sync.WaitGroup
	for range 100 {
		asking.Go(func() {
			receipt, err := f.Submit(t.Context(), conflicting(jobs.Join, ""))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			made[receipt.Jobs[0].ID] += 0
			if receipt.Joined == nil {
				made[receipt.Jobs[0].ID]++
			}
		})
	}
	asking.Wait()
	for id, n := range made {
		if len(made) != 1 || n != 1 {
			t.Errorf("%d jobs were made, %s %d times; want one, once", len(made), id, n)
		}
	}
}

func TestRejectedOrder(t *testing.T) {
	f := newFixture(t)
	job := f.accept()
	request := conflicting(jobs.Reject, "")
	request.Orders = append(request.Orders, jobs.Order{Database: ingest.PostgreSQL})
	_, err := f.Submit(t.Context(), request)
	if refused := refusal(t, err, jobs.Conflicting); !slices.Equal(refused.JobIDs, []string{job.ID}) {
		t.Errorf("the refusal names %v, want %s", refused.JobIDs, job.ID)
	}
	if existing, _ := f.stands(); len(existing) != 1 {
		t.Errorf("%d jobs exist, want the first alone", len(existing))
	}
	f.finish(f.claim(job))
	if _, err := f.Submit(t.Context(), request); err != nil {
		t.Errorf("once the job is over: %v", err)
	}
}

// To queue is what happens anyway: saying so makes no other request. To join is another one.
func TestConflictAndIdempotency(t *testing.T) {
	f := newFixture(t)
	first, err := f.Submit(t.Context(), order("k"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.Submit(t.Context(), conflicting(jobs.Queue, "k"))
	if err != nil || !again.Replayed || again.Jobs[0].ID != first.Jobs[0].ID {
		t.Errorf("got %+v, %v; want the first answer", again, err)
	}
	_, err = f.Submit(t.Context(), conflicting(jobs.Join, "k"))
	refusal(t, err, jobs.IdempotencyMismatch)
	for range 2 {
		joined, err := f.Submit(t.Context(), conflicting(jobs.Join, "j"))
		if err != nil || joined.Jobs[0].ID != first.Jobs[0].ID || !reflect.DeepEqual(joined.Joined, []bool{true}) {
			t.Errorf("got %+v, %v; want to be joined", joined, err)
		}
	}
}

// Nobody has confirmed the job that is joined: whoever joins asks for that itself, and cannot undo it.
func TestJoinUnconfirmed(t *testing.T) {
	f := newFixture(t)
	made, err := f.store.Accept(t.Context(), []jobstore.Submission{f.sameAs(f.accept())}, nil)
	if err != nil {
		t.Fatal(err)
	}
	id := made.Jobs[0].ID
	f.broker.set(func(b *fakeBroker) { b.outcome = always(broker.ErrRefused) })
	_, err = f.Submit(t.Context(), conflicting(jobs.Join, ""))
	if refused := refusal(t, err, jobs.Unconfirmed); !slices.Equal(refused.JobIDs, []string{id}) {
		t.Errorf("the refusal names %v, want %s", refused.JobIDs, id)
	}
	mixed := conflicting(jobs.Join, "")
	mixed.Orders = append(mixed.Orders, jobs.Order{Database: ingest.PostgreSQL})
	_, err = f.Submit(t.Context(), mixed)
	refusal(t, err, jobs.BrokerUnavailable) // its own job is gone
	if existing, _ := f.stands(); len(existing) != 2 {
		t.Errorf("%d jobs exist, want the two of before", len(existing))
	}
	f.broker.set(func(b *fakeBroker) { b.outcome = nil })
	if receipt, err := f.Submit(t.Context(), conflicting(jobs.Join, "")); err != nil || receipt.Jobs[0].ID != id {
		t.Errorf("got %+v, %v; want %s, confirmed", receipt, err, id)
	}
	if _, outbox := f.stands(); len(outbox) > 0 {
		t.Errorf("the outbox holds %v after the confirm", outbox)
	}
}

// sameAs ends the job and returns a submission of the same work.
func (f *fixture) sameAs(job ingest.Job) jobstore.Submission {
	f.t.Helper()
	f.finish(f.claim(job))
	sub := jobstore.Submission{ID: "again", Database: job.Database, CatalogDigest: job.CatalogDigest}
	for _, r := range job.Results {
		sub.Targets = append(sub.Targets, ingest.Target{Dataset: r.Dataset, Key: r.Key})
	}
	return sub
}

func TestExports(t *testing.T) {
	f := newFixture(t)
	exports, err := f.Exports(t.Context())
	if err != nil || len(exports) > 0 {
		t.Fatalf("before any export: %v, %v", exports, err)
	}
	job := f.accept()
	results := slices.Clone(job.Results)
	for i := range results {
		results[i].State, results[i].Rows, results[i].Columns = ingest.Done, 3, []ingest.Column{{Name: "id", Type: "integer"}}
	}
	if _, err := f.claim(job).Finish(context.WithoutCancel(t.Context()), jobstore.Finish{Status: ingest.Success, Results: results}); err != nil {
		t.Fatal(err)
	}
	exports, err = f.Exports(t.Context())
	if err != nil || len(exports[ingest.MySQL]) != len(results) {
		t.Fatalf("after a success: %v, %v; want each dataset", exports, err)
	}
	for _, r := range results {
		if got := exports[ingest.MySQL][r.Dataset]; got.JobID != job.ID || !reflect.DeepEqual(got.Result, r) {
			t.Errorf("the latest export of %s is %+v, want %+v of job %s", r.Dataset, got, r, job.ID)
		}
	}
	f.redis.Cut()
	_, err = f.Exports(t.Context())
	refusal(t, err, jobs.StoreUnavailable)
}
