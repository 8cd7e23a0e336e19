package jobs_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestOverdueCommand(t *testing.T) {
	f := newFixture(t, "INGESTA_OUTBOX_AGE=1ms")
	f.broker.set(func(f *fakeBroker) { f.outcome = always(broker.ErrUnknown) })
	_, err := f.Submit(t.Context(), order(""))
	id := refusal(t, err, jobs.Unconfirmed).JobIDs[0]

	// While the broker is away nothing is handed out, so nothing is put off.
	f.broker.set(func(f *fakeBroker) { f.notReady, f.outcome = errors.New("away"), nil })
	stop := f.run(f.Service)
	stacktest.Eventually(t, "the gateway leads", func() bool {
		leads, err := f.store.Lead(t.Context(), "test", time.Millisecond)
		return err == nil && !leads
	})
	if n := f.broker.published(id); n != 1 {
		t.Errorf("published %d times to a broker that is away", n)
	}
	f.broker.set(func(f *fakeBroker) { f.notReady = nil })
	stacktest.Eventually(t, "the command is published again", func() bool { return f.broker.published(id) == 2 })
	stop()
	if _, outbox := f.stands(); len(outbox) > 0 {
		t.Errorf("the outbox still holds %v", outbox)
	}
	if leads, err := f.store.Lead(t.Context(), "test", time.Millisecond); err != nil || !leads {
		t.Errorf("the lead was not resigned: %v", err)
	}
}

func TestOverdueEvent(t *testing.T) {
	f := newFixture(t, "INGESTA_OUTBOX_AGE=1ms")
	job := f.accept()
	f.finish(f.claim(job)) // and its worker died before it published the event
	f.run(f.Service)
	stacktest.Eventually(t, "the event is published", func() bool { return f.broker.told(job.ID, ingest.EventError) >= 1 })
	stacktest.Eventually(t, "the event is settled", func() bool {
		_, outbox := f.stands()
		return len(outbox) == 0
	})
}

func TestStalledJob(t *testing.T) {
	f := newFixture(t, "INGESTA_REPUBLISH_AFTER=50ms")
	job := f.accept() // and the broker lost the command
	f.run(f.Service)
	stacktest.Eventually(t, "the command is published again", func() bool { return f.broker.published(job.ID) >= 2 })
}

func TestCancelledJobWithoutWorker(t *testing.T) {
	f := newFixture(t, "INGESTA_LEASE=50ms", "INGESTA_OUTBOX_AGE=1ms")
	job := f.accept()
	f.claim(job) // and its worker died
	if cancelled, err := f.Cancel(t.Context(), job.ID, ""); err != nil || !cancelled.CancelRequested || cancelled.Status != ingest.Running {
		t.Fatalf("got %+v, %v", cancelled, err)
	}
	f.run(f.Service)
	stacktest.Eventually(t, "the job is cancelled, told, and sent to another worker to clean up", func() bool {
		got, err := f.Get(t.Context(), job.ID)
		return err == nil && got.Status == ingest.Cancelled && f.broker.told(job.ID, ingest.EventCancelled) >= 1 && f.broker.published(job.ID) >= 2
	})
}

func TestExpiredJobsAreSwept(t *testing.T) {
	f := newFixture(t, "INGESTA_RETENTION=20ms")
	job := f.accept()
	lease := f.claim(job)
	f.finish(lease)
	if err := f.store.Settle(t.Context(), jobstore.EventEntry, job.ID); err != nil {
		t.Fatal(err)
	}
	f.run(f.Service)
	stacktest.Eventually(t, "the job is forgotten", func() bool {
		existing, _ := f.stands()
		return len(existing) == 0
	})
	_, err := f.Get(t.Context(), job.ID)
	refusal(t, err, jobs.NotFound)
}

// Two gateways: one reconciles, and the other takes over when it stops.
func TestOneLeads(t *testing.T) {
	f := newFixture(t, "INGESTA_OUTBOX_AGE=1ms")
	stop := f.run(f.Service)
	f.run(f.service())
	f.broker.set(func(f *fakeBroker) { f.outcome = always(broker.ErrUnknown) })
	var ids []string
	for range 10 {
		_, err := f.Submit(t.Context(), order(""))
		ids = append(ids, refusal(t, err, jobs.Unconfirmed).JobIDs[0])
	}
	stacktest.Eventually(t, "all were tried again", func() bool {
		for _, id := range ids {
			if f.broker.published(id) < 2 {
				return false
			}
		}
		return true
	})
	for _, id := range ids {
		if n := f.broker.published(id); n != 2 {
			t.Errorf("the command of %s was published %d times: one submission and one repetition are due", id, n)
		}
	}
	stop()
	f.broker.set(func(f *fakeBroker) { f.outcome = nil })
	_, err := f.Submit(t.Context(), order(""))
	if err != nil {
		t.Fatal(err)
	}
	job := f.accept()
	f.finish(f.claim(job))
	stacktest.Eventually(t, "the other gateway reconciles", func() bool { return f.broker.told(job.ID, ingest.EventError) >= 1 })
}

func TestReconcilerSurvivesRedis(t *testing.T) {
	f := newFixture(t, "INGESTA_OUTBOX_AGE=1ms")
	f.run(f.Service)
	f.redis.Cut()
	f.broker.set(func(f *fakeBroker) { f.outcome = always(broker.ErrUnknown) })
	_, err := f.Submit(t.Context(), order(""))
	refusal(t, err, jobs.StoreUnavailable)
	f.redis.Mend()
	f.broker.set(func(f *fakeBroker) { f.outcome = nil })
	stacktest.Eventually(t, "Redis is back", func() bool { _, err := f.List(t.Context(), jobs.Query{Limit: 1}); return err == nil })
	job := f.accept()
	f.finish(f.claim(job))
	stacktest.Eventually(t, "the reconciler works again", func() bool { return f.broker.told(job.ID, ingest.EventError) >= 1 })
}
