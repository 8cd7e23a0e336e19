package jobs_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

func TestCancelQueued(t *testing.T) {
	f := newFixture(t)
	job := f.accept()
	cancelled, err := f.Cancel(t.Context(), job.ID, "")
	if err != nil || cancelled.Status != ingest.Cancelled {
		t.Fatalf("got %+v, %v", cancelled, err)
	}
	if f.broker.told(job.ID, ingest.EventCancelled) != 1 {
		t.Error("the event of a cancelled job was not published")
	}
	if _, outbox := f.stands(); len(outbox) > 0 {
		t.Errorf("the outbox holds %v after the confirm", outbox)
	}
	_, err = f.Cancel(t.Context(), job.ID, "")
	refusal(t, err, jobs.Over)
	_, err = f.Cancel(t.Context(), "0196f0a1-0000-7000-8000-000000000001", "")
	refusal(t, err, jobs.NotFound)
}

// The cancellation stands although its event cannot go out; that one waits.
func TestCancelWithoutBroker(t *testing.T) {
	f := newFixture(t)
	job := f.accept()
	f.broker.set(func(f *fakeBroker) { f.eventErr = broker.ErrUnavailable })
	if cancelled, err := f.Cancel(t.Context(), job.ID, ""); err != nil || cancelled.Status != ingest.Cancelled {
		t.Fatalf("got %+v, %v", cancelled, err)
	}
	if _, outbox := f.stands(); len(outbox) != 1 || outbox[0] != "event "+job.ID {
		t.Errorf("the outbox holds %v, want the event", outbox)
	}
}

func TestListPages(t *testing.T) {
	f := newFixture(t)
	want := map[string]bool{}
	for range 7 {
		want[f.accept().ID] = true
	}
	cursor, pages := "", 0
	for {
		page, err := f.List(t.Context(), jobs.Query{Database: ingest.MySQL, Status: ingest.Queued, Limit: 3, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, job := range page.Jobs {
			if !want[job.ID] {
				t.Errorf("job %s is unknown or came twice", job.ID)
			}
			delete(want, job.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(want) > 0 || pages != 3 {
		t.Errorf("%v are missing after %d pages", want, pages)
	}
	_, err := f.List(t.Context(), jobs.Query{Limit: 3, Cursor: "made up"})
	refusal(t, err, jobs.InvalidCursor)
}

func TestWaitForTheEnd(t *testing.T) {
	f := newFixture(t)
	f.run(f.Service)
	a, b := f.accept(), f.accept()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var waiting sync.WaitGroup
	for range 20 {
		waiting.Go(func() {
			ended, err := f.Wait(ctx, []string{a.ID, b.ID})
			if err != nil || len(ended) != 2 || ended[0].Status != ingest.Failed || ended[1].Status != ingest.Cancelled {
				t.Errorf("got %+v, %v: want both jobs over, in the order of the ids", ended, err)
			}
		})
	}
	f.finish(f.claim(a))
	if _, err := f.Cancel(t.Context(), b.ID, ""); err != nil {
		t.Error(err)
	}
	waiting.Wait()
	if ctx.Err() != nil {
		t.Error("the waits ended by their timeout alone")
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	f := newFixture(t)
	f.run(f.Service)
	job := f.accept()
	f.claim(job)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	latest, err := f.Wait(ctx, []string{job.ID})
	if err != nil || latest[0].Status != ingest.Running {
		t.Errorf("got %+v, %v: want the job as it is", latest, err)
	}
	_, err = f.Wait(t.Context(), []string{"0196f0a1-0000-7000-8000-000000000001"})
	refusal(t, err, jobs.NotFound)
}

// The job ends while the subscription is broken: whoever waits learns of it all the same.
func TestWaitAcrossLostSubscription(t *testing.T) {
	f := newFixture(t)
	f.run(f.Service)
	job := f.accept()
	lease := f.claim(job)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan []ingest.Job, 1)
	go func() {
		latest, err := f.Wait(ctx, []string{job.ID})
		if err != nil {
			t.Errorf("waiting: %v", err)
		}
		ended <- latest
	}()
	f.redis.Cut() // before, between or after its first reads: all the same
	f.finish(lease)
	f.redis.Mend()
	if latest := <-ended; len(latest) != 1 || latest[0].Status != ingest.Failed || ctx.Err() != nil {
		t.Errorf("got %+v, %v", latest, ctx.Err())
	}
}

func TestHealth(t *testing.T) {
	f := newFixture(t)
	if err := f.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	beat := func(db ingest.Database, source, storage bool) {
		err := f.store.Heartbeat(t.Context(), jobstore.Heartbeat{
			Worker: string(db) + "-1", Database: db, Version: "v1", Slots: 2, Busy: 1,
			SourceOK: source, SourceError: "the server does not answer", SourceLatency: 1500 * time.Microsecond, StorageOK: storage,
		}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
	}
	beat(ingest.MySQL, true, true)
	beat(ingest.MongoDB, false, true)
	health := f.Health(t.Context())
	if health.Status != jobs.Down || health.Dependencies["redis"].Status != jobs.Up || health.Dependencies["rabbitmq"].Status != jobs.Up {
		t.Errorf("health is %+v", health)
	}
	if health.DeadLetters == nil || *health.DeadLetters != 2 {
		t.Errorf("there are %v dead letters, want 2", health.DeadLetters)
	}
	mysql := health.Databases[ingest.MySQL]
	if mysql.Status != jobs.Up || len(mysql.Workers) != 1 || mysql.Workers[0].Source.LatencyMS != 1.5 || mysql.Queue == nil || mysql.Queue.Messages != 7 {
		t.Errorf("MySQL is %+v", mysql)
	}
	if mongo := health.Databases[ingest.MongoDB]; mongo.Status != jobs.Down || mongo.Workers[0].Source.Error != "the server does not answer" {
		t.Errorf("MongoDB is %+v", mongo)
	}
	if postgres := health.Databases[ingest.PostgreSQL]; postgres.Status != jobs.Down || postgres.Error != "no worker has reported lately" {
		t.Errorf("PostgreSQL is %+v", postgres)
	}
	beat(ingest.MongoDB, true, true)
	beat(ingest.PostgreSQL, true, true)
	if health := f.Health(t.Context()); health.Status != jobs.Up {
		t.Errorf("with everything up, health is %+v", health)
	}
	f.broker.set(func(f *fakeBroker) {
		f.notReady = &broker.NotReadyError{Reason: "connection is down", Cause: errors.New("dial tcp 10.0.0.1: refused")}
	})
	if err := f.Ready(t.Context()); err == nil || err.Error() != "RabbitMQ is not ready: connection is down" {
		t.Errorf("Ready says %v: want the reason without the cause", err)
	}
	f.redis.Silence()
	start := time.Now()
	health = f.Health(t.Context())
	if health.Dependencies["redis"].Status != jobs.Down || health.Dependencies["rabbitmq"].Status != jobs.Down || health.Databases[ingest.MySQL].Error == "" || health.DeadLetters != nil {
		t.Errorf("with everything down, health is %+v", health)
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("looking at dead dependencies took %s", took)
	}
}
