package jobs_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// end plays the worker that runs the job and gets done what is named.
func (f *fixture) end(job ingest.Job, done ...string) {
	f.t.Helper()
	lease := f.claim(job)
	results := slices.Clone(job.Results)
	for i, r := range results {
		results[i].State, results[i].Code, results[i].Error = ingest.Broken, ingest.TableNotFound, "for the test"
		if slices.Contains(done, r.Dataset) {
			results[i] = ingest.Result{Dataset: r.Dataset, Key: r.Key, State: ingest.Done, Rows: 3}
		}
	}
	if _, err := lease.Finish(f.t.Context(), jobstore.Finish{Status: ingest.Conclude(results), Results: results}); err != nil {
		f.t.Fatal(err)
	}
}

func retry(id, key string) jobs.Request {
	return jobs.Request{Orders: []jobs.Order{{RetryOf: id}}, RequestedBy: "eva", RequestID: "req-2", IdempotencyKey: key}
}

// datasets returns the names of what a job exports.
func datasets(job ingest.Job) (names []string) {
	for _, r := range job.Results {
		names = append(names, r.Dataset)
	}
	return names
}

const unknownID = "0196f0a1-0000-7000-8000-000000000001"

func TestRetry(t *testing.T) {
	f := newFixture(t)
	tests := map[string]struct {
		end  func(ingest.Job)
		want []string
		code jobs.Code
	}{
		"partial": {end: func(j ingest.Job) { f.end(j, "users") }, want: []string{"compras"}},
		"error":   {end: func(j ingest.Job) { f.end(j) }, want: []string{"users", "compras"}},
		"success": {end: func(j ingest.Job) { f.end(j, "users", "compras") }, code: jobs.Succeeded},
		"queued":  {end: func(ingest.Job) {}, code: jobs.NotOver},
		"running": {end: func(j ingest.Job) { f.claim(j) }, code: jobs.NotOver},
		"cancelled": {want: []string{"users", "compras"}, end: func(j ingest.Job) {
			// One dataset is there already when the job is cancelled: it is removed from S3.
			lease := f.claim(j)
			if err := lease.Commit(t.Context(), ingest.Result{Dataset: "users", Key: j.Results[0].Key, State: ingest.Done}); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Cancel(t.Context(), j.ID, ""); err != nil {
				t.Fatal(err)
			}
			if _, err := lease.Finish(t.Context(), jobstore.Finish{Status: ingest.Cancelled, Code: ingest.JobCancelled, Message: "cancelled"}); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			job := f.accept()
			tt.end(job)
			receipt, err := f.Submit(t.Context(), retry(job.ID, ""))
			if tt.code != "" {
				if refused := refusal(t, err, tt.code); !strings.Contains(refused.Message, job.ID) {
					t.Errorf("the refusal does not name the job: %s", refused.Message)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			again := receipt.Jobs[0]
			if again.ID == job.ID || again.RetryOf != job.ID || again.RequestedBy != "eva" || again.RequestID != "req-2" || again.Database != ingest.MySQL || again.Status != ingest.Queued {
				t.Errorf("the new job is %+v", again)
			}
			if got := datasets(again); !slices.Equal(got, tt.want) {
				t.Errorf("the new job exports %v, want %v", got, tt.want)
			}
			for _, r := range again.Results {
				if old := job.Results.Of(r.Dataset); old.Key == r.Key {
					t.Errorf("dataset %s has its old key %s", r.Dataset, r.Key)
				}
			}
			if f.broker.published(again.ID) != 1 {
				t.Error("want the command of the new job once")
			}
			last := f.broker.commands[len(f.broker.commands)-1]
			if last.RetryOf != job.ID {
				t.Errorf("the command says it retries %q", last.RetryOf)
			}
		})
	}
	_, err := f.Submit(t.Context(), retry(unknownID, ""))
	refusal(t, err, jobs.NotFound)
}

// Without a key each request makes a job; under one the first answer stands, whatever becomes of
// the job that is retried.
func TestRetryUnderAKey(t *testing.T) {
	f := newFixture(t, "INGESTA_RETENTION=400ms")
	job, other := f.accept(), f.accept()
	f.end(job)
	f.end(other)
	var ids []string
	for range 2 {
		receipt, err := f.Submit(t.Context(), retry(job.ID, ""))
		if err != nil || receipt.Replayed {
			t.Fatalf("without a key: %+v, %v", receipt, err)
		}
		ids = append(ids, receipt.Jobs[0].ID)
	}
	if ids[0] == ids[1] {
		t.Error("two requests without a key made one job")
	}
	first, err := f.Submit(t.Context(), retry(job.ID, "key"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Submit(t.Context(), retry(other.ID, "key"))
	refusal(t, err, jobs.IdempotencyMismatch)
	under := order("key")
	under.RequestedBy = "eva"
	_, err = f.Submit(t.Context(), under)
	refusal(t, err, jobs.IdempotencyMismatch)
	stacktest.Eventually(t, "the job has expired", func() bool {
		_, err := f.Get(t.Context(), job.ID)
		return err != nil
	})
	again, err := f.Submit(t.Context(), retry(job.ID, "key"))
	if err != nil || !again.Replayed || again.Jobs[0].ID != first.Jobs[0].ID {
		t.Errorf("the repetition got %+v, %v: want the first job", again, err)
	}
	_, err = f.Submit(t.Context(), retry(job.ID, "another"))
	refusal(t, err, jobs.NotFound)
	if n := f.broker.published(first.Jobs[0].ID); n != 1 {
		t.Errorf("the command was published %d times", n)
	}
}

// An unconfirmed retry is confirmed by its repetition.
func TestRetryUnconfirmed(t *testing.T) {
	f := newFixture(t)
	job := f.accept()
	f.end(job)
	f.broker.set(func(f *fakeBroker) { f.outcome = always(broker.ErrUnknown) })
	_, err := f.Submit(t.Context(), retry(job.ID, "key"))
	refused := refusal(t, err, jobs.Unconfirmed)
	f.broker.set(func(f *fakeBroker) { f.outcome = nil })
	receipt, err := f.Submit(t.Context(), retry(job.ID, "key"))
	if err != nil || !receipt.Replayed || receipt.Jobs[0].ID != refused.JobIDs[0] {
		t.Errorf("the repetition got %+v, %v: want job %v", receipt, err, refused.JobIDs)
	}
}

func TestRetryAtOnceUnderAKey(t *testing.T) {
	f := newFixture(t)
	job := f.accept()
	f.end(job)
	var (
		mu       sync.Mutex
		ids      = map[string]bool{}
		retrying sync.WaitGroup
	)
	for range 16 {
		retrying.Go(func() {
			receipt, err := f.Submit(t.Context(), retry(job.ID, "key"))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[receipt.Jobs[0].ID] = true
		})
	}
	retrying.Wait()
	if len(ids) != 1 {
		t.Errorf("one key made the jobs %v", ids)
	}
}

// What is retried is what the job left undone, or nothing: never half of it.
func TestRetryRacesWithExpiry(t *testing.T) {
	f := newFixture(t, "INGESTA_RETENTION=60ms")
	for range 5 {
		job := f.accept()
		f.end(job, "users")
		var retrying sync.WaitGroup
		for range 4 {
			retrying.Go(func() {
				for {
					receipt, err := f.Submit(t.Context(), retry(job.ID, ""))
					if err != nil {
						if refused, ok := errors.AsType[*jobs.Error](err); !ok || refused.Code != jobs.NotFound {
							t.Errorf("got %v, want a job or NotFound", err)
						}
						return
					}
					if got := receipt.Jobs[0]; !slices.Equal(datasets(got), []string{"compras"}) || got.RetryOf != job.ID {
						t.Errorf("got %+v", got)
						return
					}
				}
			})
		}
		retrying.Wait()
	}
}

func TestRetryOfWhatTheCatalogLost(t *testing.T) {
	f := newFixture(t)
	job := f.accept()
	f.end(job)
	partial := f.accept()
	f.end(partial, "compras")
	without := func(text string) *jobs.Service {
		c, err := catalog.Parse("test", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return f.serviceOf(c, f.broker)
	}
	smaller := without("version: 1\ndatabases:\n  - name: mysql\n    datasets:\n      - name: users\n        table: users\n")
	_, err := smaller.Submit(t.Context(), retry(job.ID, ""))
	if refused := refusal(t, err, jobs.DatasetGone); !strings.Contains(refused.Message, `"compras"`) || strings.Contains(refused.Message, `"users"`) || !slices.Equal(refused.Known, []string{"users"}) {
		t.Errorf("the refusal says %q, known %v: want it to name compras", refused.Message, refused.Known)
	}
	if receipt, err := smaller.Submit(t.Context(), retry(partial.ID, "")); err != nil || !slices.Equal(datasets(receipt.Jobs[0]), []string{"users"}) {
		t.Errorf("what was done before need not be in the catalog: got %+v, %v", receipt, err)
	}
	other := without("version: 1\ndatabases:\n  - name: mongodb\n    datasets:\n      - name: medicos\n        collection: medicos\n        columns: [_id]\n")
	_, err = other.Submit(t.Context(), retry(job.ID, ""))
	if refused := refusal(t, err, jobs.DatabaseGone); !strings.Contains(refused.Message, `"mysql"`) {
		t.Errorf("the refusal says %q", refused.Message)
	}
}

// With Redis or RabbitMQ away a retry is refused in time and leaves nothing behind.
func TestRetryWithoutServers(t *testing.T) {
	f := newFixture(t)
	job := f.accept()
	f.end(job)
	f.broker.set(func(f *fakeBroker) { f.notReady = &broker.NotReadyError{Reason: "it takes no messages: memory"} })
	_, err := f.Submit(t.Context(), retry(job.ID, "key"))
	refusal(t, err, jobs.BrokerUnavailable)
	f.broker.set(func(f *fakeBroker) { f.notReady, f.outcome = nil, always(broker.ErrRefused) })
	_, err = f.Submit(t.Context(), retry(job.ID, "key"))
	refusal(t, err, jobs.BrokerUnavailable)
	for name, begin := range map[string]func(){"cut": f.redis.Cut, "silent": f.redis.Silence} {
		begin()
		for _, key := range []string{"", "key"} {
			began := time.Now()
			_, err = f.Submit(t.Context(), retry(job.ID, key))
			refusal(t, err, jobs.StoreUnavailable)
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("%s: the refusal took %s", name, took)
			}
		}
		f.redis.Mend()
	}
	if existing, outbox := f.stands(); len(existing) != 1 || slices.ContainsFunc(outbox, func(m string) bool { return strings.HasPrefix(m, "command") }) {
		t.Errorf("refusals left %v and %v", existing, outbox)
	}
}
