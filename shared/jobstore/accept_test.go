package jobstore

import (
	"crypto/rand"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestAccept(t *testing.T) {
	s := open(t)
	sub := submission()
	sub.RetryOf = "earlier"
	a, err := s.Accept(t.Context(), []Submission{sub}, nil)
	if err != nil {
		t.Fatal(err)
	}
	job := a.Jobs[0]
	if job.CreatedAt.IsZero() || time.Since(job.CreatedAt).Abs() > time.Minute {
		t.Errorf("created_at is %v, want about now", job.CreatedAt)
	}
	stamp := job.CreatedAt.Format("20060102_150405")
	want := ingest.Job{
		ID: sub.ID, Database: ingest.MySQL, Status: ingest.Queued, RequestedBy: "ana", RequestID: "req-1", RetryOf: "earlier",
		CatalogDigest: "digest", CreatedAt: job.CreatedAt,
		Results: ingest.Results{
			{Dataset: "users", Key: "mysql/users_" + stamp + ".csv", State: ingest.Pending},
			{Dataset: "compras", Key: "mysql/compras_" + stamp + ".csv", State: ingest.Pending},
		},
	}
	if !reflect.DeepEqual(job, want) {
		t.Errorf("accepted\n%+v\nwant\n%+v", job, want)
	}
	if got := stored(t, s, sub.ID); !reflect.DeepEqual(got, want) {
		t.Errorf("stored\n%+v\nwant\n%+v", got, want)
	}
	if got := outbox(t, s, sub.ID); got != "command" {
		t.Errorf("the outbox holds %q, want the command", got)
	}
	if a.Replayed || !reflect.DeepEqual(a.Unconfirmed, []string{sub.ID}) {
		t.Errorf("acceptance is %+v, want one fresh job, unconfirmed", a)
	}
}

func TestAcceptTwice(t *testing.T) {
	s := open(t)
	sub := submission()
	idem := &Idempotency{Subject: "ana", Key: "k", BodyHash: "b"}
	first, err := s.Accept(t.Context(), []Submission{sub}, idem)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Accept(t.Context(), []Submission{sub}, idem)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, again) {
		t.Errorf("the same script run twice answers\n%+v\nthen\n%+v", first, again)
	}
	claim(t, s, first.Jobs[0], Claimed)
	later, err := s.Accept(t.Context(), []Submission{sub}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := later.Jobs[0].Status; got != ingest.Running || len(later.Unconfirmed) != 0 {
		t.Errorf("accepting a claimed job answers status %s, unconfirmed %v; want it as stored", got, later.Unconfirmed)
	}
}

func TestAcceptRefuses(t *testing.T) {
	s := open(t)
	for name, spoil := range map[string]func(*Submission){
		"an empty id":            func(sub *Submission) { sub.ID = "" },
		"an id with a space":     func(sub *Submission) { sub.ID = "a b" },
		"an overlong id":         func(sub *Submission) { sub.ID = strings.Repeat("x", 129) },
		"no database":            func(sub *Submission) { sub.Database = "" },
		"no dataset":             func(sub *Submission) { sub.Targets = nil },
		"a dataset without key":  func(sub *Submission) { sub.Targets[0].Key = "" },
		"a dataset named twice":  func(sub *Submission) { sub.Targets[1].Dataset = sub.Targets[0].Dataset },
		"a dataset with no name": func(sub *Submission) { sub.Targets[0].Dataset = "" },
	} {
		good, bad := submission(), submission()
		spoil(&bad)
		if _, err := s.Accept(t.Context(), []Submission{good, bad}, nil); err == nil {
			t.Errorf("a submission with %s was accepted", name)
		}
		_, err := s.Get(t.Context(), good.ID)
		wantError(t, "reading the job submitted beside one with "+name, err, ErrNotFound)
	}
	if _, err := s.Accept(t.Context(), nil, nil); err == nil {
		t.Error("no submission at all was accepted")
	}
}

// The stamp in the keys is per database, and no two jobs share one even if the clock is set back.
func TestStamps(t *testing.T) {
	s := open(t)
	ahead := time.Now().Add(10 * time.Minute).Unix()
	if err := s.client.HSet(t.Context(), s.prefix+"stamps", "mysql", fmt.Sprintf("%d 1", ahead)).Err(); err != nil {
		t.Fatal(err)
	}
	postgres := submission()
	postgres.Database = ingest.PostgreSQL
	a, err := s.Accept(t.Context(), []Submission{submission(), postgres, submission()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stamp := time.Unix(ahead, 0).UTC().Format("20060102_150405")
	for i, want := range map[int]string{
		0: "mysql/users_" + stamp + "_2.csv",
		1: "mysql/users_" + a.Jobs[1].CreatedAt.Format("20060102_150405") + ".csv",
		2: "mysql/users_" + stamp + "_3.csv",
	} {
		if got := a.Jobs[i].Results[0].Key; got != want {
			t.Errorf("key of job %d is %s, want %s", i, got, want)
		}
	}

	keys := map[string]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			a, err := s.Accept(t.Context(), []Submission{submission()}, nil)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, r := range a.Jobs[0].Results {
				if keys[r.Key] {
					t.Errorf("two jobs share the key %s", r.Key)
				}
				keys[r.Key] = true
			}
		})
	}
	wg.Wait()
}

func TestIdempotency(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	idem := func(subject, key, body string) *Idempotency {
		return &Idempotency{Subject: subject, Key: key, BodyHash: body}
	}
	first, err := s.Accept(ctx, []Submission{submission(), submission()}, idem("ana", "k", "body"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(ctx, CommandEntry, first.Jobs[1].ID); err != nil {
		t.Fatal(err)
	}

	again, err := s.Accept(ctx, []Submission{submission(), submission()}, idem("ana", "k", "body"))
	if err != nil {
		t.Fatal(err)
	}
	if !again.Replayed || !reflect.DeepEqual(again.Jobs, first.Jobs) {
		t.Errorf("the repeated request got %+v, want the first one's jobs, replayed", again)
	}
	if want := []string{first.Jobs[0].ID}; !reflect.DeepEqual(again.Unconfirmed, want) {
		t.Errorf("unconfirmed are %v, want the one whose command was not settled: %v", again.Unconfirmed, want)
	}

	_, err = s.Accept(ctx, []Submission{submission()}, idem("ana", "k", "other"))
	wantError(t, "the same key with another body", err, ErrIdempotencyMismatch)

	for _, unrelated := range []*Idempotency{idem("eva", "k", "other"), idem("ana", "k2", "other"), idem("an", "ak", "other")} {
		other, err := s.Accept(ctx, []Submission{submission()}, unrelated)
		if err != nil || other.Replayed {
			t.Errorf("%+v was taken for a repetition: %+v, %v", unrelated, other, err)
		}
	}

	ttl, err := s.client.PTTL(ctx, s.prefix+"idempotency:"+fieldOf(t, s, first.Jobs[0].ID, "idempotency")).Result()
	if err != nil || ttl <= 0 || ttl > s.cfg.IdempotencyTTL {
		t.Errorf("the record lives for %v (%v), want at most %v", ttl, err, s.cfg.IdempotencyTTL)
	}
}

func TestRecall(t *testing.T) {
	s := open(t, func(c *Config) { c.IdempotencyTTL, c.Retention = time.Minute, time.Hour })
	ctx := t.Context()
	idem := Idempotency{Subject: "ana", Key: "k", BodyHash: "body", Lasting: true}
	_, err := s.Recall(ctx, idem)
	wantError(t, "recalling what was never asked for", err, ErrNotFound)
	first, err := s.Accept(ctx, []Submission{submission()}, &idem)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Recall(ctx, idem)
	if err != nil || !again.Replayed || !reflect.DeepEqual(again.Jobs, first.Jobs) || !reflect.DeepEqual(again.Unconfirmed, first.Unconfirmed) {
		t.Errorf("recalled %+v, %v; want the job that was accepted, unconfirmed: %+v", again, err, first)
	}
	ttl, err := s.client.PTTL(ctx, s.prefix+"idempotency:"+fieldOf(t, s, first.Jobs[0].ID, "idempotency")).Result()
	if err != nil || ttl <= s.cfg.IdempotencyTTL || ttl > s.cfg.Retention {
		t.Errorf("the lasting record lives for %v (%v), want %v", ttl, err, s.cfg.Retention)
	}
	idem.BodyHash = "other"
	_, err = s.Recall(ctx, idem)
	wantError(t, "recalling another body", err, ErrIdempotencyMismatch)
	if gone, err := s.Discard(ctx, first.Jobs[0].ID); err != nil || !gone {
		t.Fatal(err)
	}
	_, err = s.Recall(ctx, idem)
	wantError(t, "recalling what was discarded", err, ErrNotFound)
	if fresh, err := s.Accept(ctx, []Submission{submission()}, &idem); err != nil || fresh.Replayed {
		t.Errorf("after recalling in vain, accepting gives %+v, %v; want a fresh job", fresh, err)
	}
}

func TestIdempotencyManyAtOnce(t *testing.T) {
	s := open(t)
	ids := make(chan string, 30)
	var wg sync.WaitGroup
	for range cap(ids) {
		wg.Go(func() {
			a, err := s.Accept(t.Context(), []Submission{submission()}, &Idempotency{Subject: "ana", Key: "k", BodyHash: "body"})
			if err != nil {
				t.Error(err)
				return
			}
			ids <- a.Jobs[0].ID
		})
	}
	wg.Wait()
	close(ids)
	distinct := map[string]bool{}
	for id := range ids {
		distinct[id] = true
	}
	if len(distinct) != 1 {
		t.Errorf("one idempotency key made %d jobs, want 1", len(distinct))
	}
}

// A request whose command the broker refused, and whose repetition elsewhere had it confirmed: the
// job was promised, and stays.
func TestDiscardAfterConfirmation(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	if err := s.Settle(t.Context(), CommandEntry, job.ID); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Discard(t.Context(), job.ID); err != nil || gone {
		t.Errorf("discarding a job whose command was confirmed: gone is %v, %v; want it left alone", gone, err)
	}
	if got := stored(t, s, job.ID).Status; got != ingest.Queued {
		t.Errorf("the job is %s, want queued", got)
	}
}

func TestDiscard(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	idem := &Idempotency{Subject: "ana", Key: "k", BodyHash: "body"}
	first, err := s.Accept(ctx, []Submission{submission(), submission()}, idem)
	if err != nil {
		t.Fatal(err)
	}
	claimed, waiting := accepted(t, s), accepted(t, s)
	claim(t, s, claimed, Claimed)
	if err := claim(t, s, waiting, Claimed).Lease.Release(ctx, Release{Outcome: ingest.OutcomeHandedBack}); err != nil {
		t.Fatal(err)
	}
	record := s.prefix + "idempotency:" + fieldOf(t, s, first.Jobs[0].ID, "idempotency")
	gone, kept := first.Jobs[0].ID, first.Jobs[1].ID
	for range 2 { // the second time there is nothing left to do
		if all, err := s.Discard(ctx, gone, claimed.ID, waiting.ID, "never-was"); err != nil || all {
			t.Fatalf("discarding jobs of which two must stay: all gone is %v, %v", all, err)
		}
	}
	_, err = s.Get(ctx, gone)
	wantError(t, "reading a discarded job", err, ErrNotFound)
	if got := outbox(t, s, gone); got != "" {
		t.Errorf("the outbox holds %q for a discarded job", got)
	}
	if got := stored(t, s, claimed.ID).Status; got != ingest.Running {
		t.Errorf("a claimed job became %s when discarded, want it left alone", got)
	}
	if got := stored(t, s, waiting.ID).Status; got != ingest.Queued {
		t.Errorf("a job between attempts became %s when discarded, want it left alone", got)
	}
	if s.client.Exists(ctx, record).Val() != 0 {
		t.Error("the idempotency record of a discarded job is still there")
	}
	if got := stored(t, s, kept).Status; got != ingest.Queued {
		t.Errorf("the job beside the discarded one is %s, want queued", got)
	}

	again, err := s.Accept(ctx, []Submission{submission()}, idem)
	if err != nil || again.Replayed {
		t.Errorf("the request repeated after a discard got %+v, %v; want a fresh job", again, err)
	}
	page, err := s.List(ctx, Query{})
	if err != nil || len(page.Jobs) != 4 {
		t.Errorf("%d jobs are listed (%v), want 4", len(page.Jobs), err)
	}
}

// A record that outlived its jobs means nothing.
func TestIdempotencyOfExpiredJobs(t *testing.T) {
	s := open(t, func(c *Config) { c.Retention = 20 * time.Millisecond })
	idem := &Idempotency{Subject: "ana", Key: "k", BodyHash: "body"}
	first, err := s.Accept(t.Context(), []Submission{submission()}, idem)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cancel(t.Context(), first.Jobs[0].ID); err != nil {
		t.Fatal(err)
	}
	stacktest.Eventually(t, "the job expires", func() bool {
		again, err := s.Accept(t.Context(), []Submission{submission()}, idem)
		if err != nil {
			t.Fatal(err)
		}
		return !again.Replayed
	})
}

// fieldOf returns a field of the job as Redis holds it.
func fieldOf(t testing.TB, s *Store, id, field string) string {
	t.Helper()
	value, err := s.client.HGet(t.Context(), s.prefix+"job:"+id, field).Result()
	if err != nil {
		t.Fatalf("reading field %s of job %s: %v", field, id, err)
	}
	return value
}

func BenchmarkAccept(b *testing.B) {
	s := open(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			sub := submission()
			if _, err := s.Accept(b.Context(), []Submission{sub}, &Idempotency{Subject: "ana", Key: rand.Text(), BodyHash: "body"}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
