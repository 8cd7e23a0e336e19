package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// refusal returns what the *jobs.Error says that err must be.
func refusal(t *testing.T, err error, code jobs.Code) jobs.Error {
	t.Helper()
	refused, ok := errors.AsType[*jobs.Error](err)
	if !ok || refused.Code != code {
		t.Fatalf("got %v, want a refusal of code %s", err, code)
	}
	return *refused
}

func always(err error) func(ingest.Command) error {
	return func(ingest.Command) error { return fmt.Errorf("publishing: %w", err) }
}

func all() jobs.Request {
	return jobs.Request{RequestedBy: "system", Orders: []jobs.Order{{Database: ingest.MongoDB}, {Database: ingest.MySQL}, {Database: ingest.PostgreSQL}}}
}

func TestAcceptedJob(t *testing.T) {
	f := newFixture(t)
	receipt, err := f.Submit(t.Context(), jobs.Request{
		Orders:      []jobs.Order{{Database: ingest.PostgreSQL, Datasets: []string{"ofertas", "productos"}}},
		RequestedBy: "ana", RequestID: "req-7", Traceparent: "00-trace",
	})
	if err != nil || receipt.Replayed || len(receipt.Jobs) != 1 {
		t.Fatalf("got %+v, %v", receipt, err)
	}
	job := receipt.Jobs[0]
	stamp := job.CreatedAt.UTC().Format("20060102_150405")
	if len(job.Results) != 2 || job.Results[0].Dataset != "productos" || job.Results[1].Key != "postgresql/ofertas_completo_"+stamp+".csv" {
		t.Errorf("results are %+v: want both in the catalog's order, keys with the stamp %s", job.Results, stamp)
	}
	if job.RequestedBy != "ana" || job.RequestID != "req-7" || job.CatalogDigest == "" || job.Status != ingest.Queued {
		t.Errorf("the job is %+v", job)
	}
	stored, err := f.Get(t.Context(), job.ID)
	if err != nil || stored.ID != job.ID {
		t.Errorf("Redis has %+v, %v", stored, err)
	}
	if f.broker.published(job.ID) != 1 || f.broker.traces[0] != "00-trace" {
		t.Errorf("want the command once, got %v", f.broker.commands)
	}
	if _, outbox := f.stands(); len(outbox) > 0 {
		t.Errorf("the outbox holds %v after the confirm", outbox)
	}
	// The event waits for nobody, and nobody for it.
	f.run(f.Service)
	stacktest.Eventually(t, "the accepted event is published", func() bool { return f.broker.told(job.ID, ingest.EventAccepted) == 1 })
}

// Events that still wait when the gateway stops go out before its end.
func TestAcceptedEventsBeforeTheEnd(t *testing.T) {
	f := newFixture(t)
	accepted := make([]ingest.Job, 50) // more than are taken by chance while the end is noticed
	for i := range accepted {
		accepted[i] = f.accept()
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := f.Run(ended); err != nil {
		t.Fatal(err)
	}
	for _, job := range accepted {
		if n := f.broker.told(job.ID, ingest.EventAccepted); n != 1 {
			t.Errorf("the accepted event of %s was published %d times, want once before Run returns", job.ID, n)
		}
	}
}

func TestOrdersAtFault(t *testing.T) {
	f := newFixture(t)
	many := make([]string, 500)
	for i := range many {
		many[i] = fmt.Sprintf("nope%d", i)
	}
	tests := []struct {
		order  jobs.Order
		code   jobs.Code
		fields int
	}{
		{jobs.Order{Database: "oracle"}, jobs.UnknownDatabase, 0},
		{jobs.Order{Database: ingest.MySQL, Datasets: []string{}}, jobs.NoDatasets, 1},
		{jobs.Order{Database: ingest.MySQL, Datasets: []string{"users", "medicos"}}, jobs.UnknownDataset, 1},
		{jobs.Order{Database: ingest.MySQL, Datasets: []string{"Users"}}, jobs.UnknownDataset, 1},
		{jobs.Order{Database: ingest.MySQL, Datasets: []string{"users", "compras", "users"}}, jobs.DuplicateDataset, 1},
		{jobs.Order{Database: ingest.MySQL, Datasets: many}, jobs.UnknownDataset, 20},
	}
	for _, tt := range tests {
		_, err := f.Submit(t.Context(), jobs.Request{Orders: []jobs.Order{tt.order}})
		if refused := refusal(t, err, tt.code); len(refused.Fields) != tt.fields {
			t.Errorf("%v names %v, want %d fields", tt.order.Database, refused.Fields, tt.fields)
		}
	}
	if existing, outbox := f.stands(); len(existing)+len(outbox)+len(f.broker.commands) > 0 {
		t.Errorf("orders at fault left %v, %v, %v", existing, outbox, f.broker.commands)
	}
}

// What the broker certainly does not have leaves nothing behind.
func TestRefusedByBroker(t *testing.T) {
	tests := map[string]func(*fakeBroker){
		"not ready":   func(f *fakeBroker) { f.notReady = &broker.NotReadyError{Reason: "down"} },
		"unavailable": func(f *fakeBroker) { f.outcome = always(broker.ErrUnavailable) },
		"refused":     func(f *fakeBroker) { f.outcome = always(broker.ErrRefused) },
		"unroutable":  func(f *fakeBroker) { f.outcome = always(broker.ErrUnroutable) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.broker.set(change)
			for _, request := range []jobs.Request{order("key"), all()} {
				_, err := f.Submit(t.Context(), request)
				refusal(t, err, jobs.BrokerUnavailable)
				if existing, outbox := f.stands(); len(existing)+len(outbox) > 0 {
					t.Fatalf("a refused request left %v and %v", existing, outbox)
				}
			}
			f.broker.set(func(f *fakeBroker) { f.notReady, f.outcome = nil, nil })
			receipt, err := f.Submit(t.Context(), order("key"))
			if err != nil || receipt.Replayed {
				t.Errorf("the same key afterwards got %+v, %v: want a first acceptance", receipt, err)
			}
		})
	}
}

func TestUnconfirmed(t *testing.T) {
	f := newFixture(t)
	f.broker.set(func(f *fakeBroker) { f.outcome = always(broker.ErrUnknown) })
	_, err := f.Submit(t.Context(), order("key"))
	refused := refusal(t, err, jobs.Unconfirmed)
	existing, _ := f.stands()
	if len(existing) != 1 || len(refused.JobIDs) != 1 || refused.JobIDs[0] != existing[0].ID {
		t.Fatalf("the refusal names %v, Redis has %v: want the same job", refused.JobIDs, existing)
	}
	id := existing[0].ID

	// Repeated while the broker certainly does not take it: the first command may be under way.
	f.broker.set(func(f *fakeBroker) { f.outcome = always(broker.ErrUnroutable) })
	_, err = f.Submit(t.Context(), order("key"))
	refusal(t, err, jobs.Unconfirmed)
	if _, err := f.Get(t.Context(), id); err != nil {
		t.Fatalf("the job was removed, though its command may have been delivered: %v", err)
	}

	// Repeated while the broker works: it awaits its own confirm.
	f.broker.set(func(f *fakeBroker) { f.outcome = nil })
	for range 2 {
		receipt, err := f.Submit(t.Context(), order("key"))
		if err != nil || !receipt.Replayed || receipt.Jobs[0].ID != id {
			t.Fatalf("the repetition got %+v, %v: want the first job", receipt, err)
		}
		if got := f.broker.published(id); got != 3 {
			t.Errorf("the command was published %d times: want once per request until confirmed", got)
		}
	}

	_, err = f.Submit(t.Context(), jobs.Request{Orders: []jobs.Order{{Database: ingest.MySQL, Datasets: []string{"users"}}}, RequestedBy: "system", IdempotencyKey: "key"})
	refusal(t, err, jobs.IdempotencyMismatch)
	_, err = f.Submit(t.Context(), jobs.Request{Orders: []jobs.Order{{Database: ingest.MySQL}}, RequestedBy: "someone else", IdempotencyKey: "key"})
	if err != nil {
		t.Errorf("keys of other subjects are unrelated, got %v", err)
	}
}

// Of jobs accepted together, one that the broker refuses is kept when another was confirmed: the
// client is told, and the reconciler sees to the rest.
func TestPartlyConfirmed(t *testing.T) {
	f := newFixture(t)
	f.broker.set(func(f *fakeBroker) {
		f.outcome = func(c ingest.Command) error {
			if c.Database == ingest.MySQL {
				return broker.ErrUnroutable
			}
			return nil
		}
	})
	_, err := f.Submit(t.Context(), all())
	refused := refusal(t, err, jobs.Unconfirmed)
	existing, outbox := f.stands()
	if len(existing) != 3 || len(refused.JobIDs) != 3 {
		t.Errorf("want all three jobs kept and named, got %v and %v", existing, refused.JobIDs)
	}
	if len(outbox) != 1 || outbox[0] != "command "+refused.JobIDs[1] {
		t.Errorf("the outbox holds %v, want the command of MySQL's job alone", outbox)
	}
}

func TestClientHangsUp(t *testing.T) {
	f := newFixture(t)
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	receipt, err := f.Submit(ctx, order(""))
	if err != nil || f.broker.published(receipt.Jobs[0].ID) != 1 {
		t.Errorf("got %+v, %v: an acceptance once begun is carried to its end", receipt, err)
	}
}

func TestRedisAway(t *testing.T) {
	f := newFixture(t)
	f.redis.Cut()
	_, err := f.Submit(t.Context(), order("key"))
	refusal(t, err, jobs.StoreUnavailable)
	_, err = f.Get(t.Context(), "some-id")
	refusal(t, err, jobs.StoreUnavailable)
	_, err = f.List(t.Context(), jobs.Query{Limit: 1})
	refusal(t, err, jobs.StoreUnavailable)
	_, err = f.Cancel(t.Context(), "some-id", "")
	refusal(t, err, jobs.StoreUnavailable)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = f.Wait(short, []string{"some-id"})
	refusal(t, err, jobs.StoreUnavailable)
	if len(f.broker.commands) > 0 {
		t.Error("a command was published for a job that Redis does not know")
	}
	f.redis.Mend()
	if existing, outbox := f.stands(); len(existing)+len(outbox) > 0 {
		t.Errorf("the refused request left %v and %v", existing, outbox)
	}
	f.accept()
}

// Redis recorded the job, and its answer was lost: the client is told which job that may be, and
// the job runs once Redis is back.
func TestAnswerOfRedisLost(t *testing.T) {
	f := newFixture(t, "INGESTA_OUTBOX_AGE=1ms")
	f.accept() // opens the connection
	f.redis.Silence()
	_, err := f.Submit(t.Context(), order(""))
	refused := refusal(t, err, jobs.StoreUnavailable)
	existing, _ := f.stands()
	for _, job := range existing {
		if f.broker.published(job.ID) == 0 && (len(refused.JobIDs) != 1 || refused.JobIDs[0] != job.ID) {
			t.Errorf("job %s exists, and the refusal names %v", job.ID, refused.JobIDs)
		}
	}
	f.redis.Mend()
}

// The confirm came, and Redis went: the acceptance stands, and the reconciler repeats the command.
func TestRedisGoesAfterConfirm(t *testing.T) {
	f := newFixture(t, "INGESTA_OUTBOX_AGE=1ms")
	f.broker.set(func(b *fakeBroker) {
		b.outcome = func(ingest.Command) error { f.redis.Cut(); return nil }
	})
	job := f.accept()
	f.broker.set(func(b *fakeBroker) { b.outcome = nil })
	f.redis.Mend()
	f.run(f.Service)
	stacktest.Eventually(t, "the command is published again", func() bool { return f.broker.published(job.ID) == 2 })
}
