package jobstore

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// joining returns a submission that is to join a job that does the same.
func joining() Submission {
	sub := submission()
	sub.OnConflict = Join
	return sub
}

func rejecting() Submission {
	sub := submission()
	sub.OnConflict = Reject
	return sub
}

func TestJoin(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	first, err := s.Accept(ctx, []Submission{joining()}, nil)
	if err != nil || first.Joined != nil {
		t.Fatalf("joining nothing: %+v, %v; want a job of its own", first, err)
	}
	again := joining()
	slices.Reverse(again.Targets)
	other := joining()
	other.Database = ingest.PostgreSQL
	a, err := s.Accept(ctx, []Submission{other, again, submission()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []bool{false, true, false}; !reflect.DeepEqual(a.Joined, want) {
		t.Errorf("joined are %v, want %v: the database of another job, the same work in another order, one that is not to join", a.Joined, want)
	}
	if !reflect.DeepEqual(a.Jobs[1], first.Jobs[0]) {
		t.Errorf("joined\n%+v\nwant\n%+v", a.Jobs[1], first.Jobs[0])
	}
	if !slices.Contains(a.Unconfirmed, first.Jobs[0].ID) {
		t.Errorf("unconfirmed are %v: nobody has confirmed the job that was joined", a.Unconfirmed)
	}
	_, err = s.Get(ctx, again.ID)
	wantError(t, "reading the job that was not made", err, ErrNotFound)
}

// What a job must not have to be joined, and what must not keep it from that.
func TestJoinPassesOver(t *testing.T) {
	release := func(t *testing.T, s *Store, job ingest.Job) {
		if err := claim(t, s, job, Claimed).Lease.Release(t.Context(), Release{Outcome: ingest.OutcomeRetry}); err != nil {
			t.Fatal(err)
		}
	}
	requested := func(t *testing.T, s *Store, job ingest.Job) {
		claim(t, s, job, Claimed)
		if _, err := s.Cancel(t.Context(), job.ID); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		happens func(*testing.T, *Store, ingest.Job)
		joined  bool
	}{
		"nothing":         {func(*testing.T, *Store, ingest.Job) {}, true},
		"claimed":         {func(t *testing.T, s *Store, job ingest.Job) { claim(t, s, job, Claimed) }, true},
		"released":        {release, true},
		"to be cancelled": {requested, false},
		"cancelled": {func(t *testing.T, s *Store, job ingest.Job) {
			if _, err := s.Cancel(t.Context(), job.ID); err != nil {
				t.Fatal(err)
			}
		}, false},
		"finished": {func(t *testing.T, s *Store, job ingest.Job) {
			if _, err := claim(t, s, job, Claimed).Lease.Finish(t.Context(), Finish{Status: ingest.Failed}); err != nil {
				t.Fatal(err)
			}
		}, false},
		"discarded": {func(t *testing.T, s *Store, job ingest.Job) {
			if gone, err := s.Discard(t.Context(), job.ID); err != nil || !gone {
				t.Fatal(gone, err)
			}
		}, false},
		"ended by a version before, which knows of no such set": {func(t *testing.T, s *Store, job ingest.Job) {
			set, add := s.prefix+"same:"+fieldOf(t, s, job.ID, "same"), s.client.ZRangeWithScores
			members, err := add(t.Context(), set, 0, -1).Result()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Cancel(t.Context(), job.ID); err != nil {
				t.Fatal(err)
			}
			if err := s.client.ZAdd(t.Context(), set, members...).Err(); err != nil {
				t.Fatal(err)
			}
		}, false},
		"forgotten and restored": {func(t *testing.T, s *Store, job ingest.Job) {
			lease := claim(t, s, job, Claimed).Lease
			forget(t, s, job.ID)
			if _, err := lease.Renew(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}, true},
		"forgotten and adopted": {func(t *testing.T, s *Store, job ingest.Job) {
			forget(t, s, job.ID)
			c, err := s.Claim(t.Context(), ClaimRequest{Command: job.Command(), Adopt: true})
			if err != nil || c.Outcome != Claimed {
				t.Fatal(c, err)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			job := accepted(t, s)
			test.happens(t, s, job)
			a, err := s.Accept(t.Context(), []Submission{joining()}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if joined := a.Jobs[0].ID == job.ID; joined != test.joined || joined != (a.Joined != nil) {
				t.Errorf("got job %s, joined %v; want that of before, %s: %v", a.Jobs[0].ID, a.Joined, job.ID, test.joined)
			}
			_, err = s.Accept(t.Context(), []Submission{rejecting()}, nil)
			conflict, ok := errors.AsType[*ConflictError](err)
			if !ok || !slices.Equal(conflict.JobIDs, []string{a.Jobs[0].ID}) {
				t.Errorf("with %s there, one to be rejected got %v", a.Jobs[0].ID, err)
			}
		})
	}
}

func TestJoinManyAtOnce(t *testing.T) {
	s := open(t)
	const requests = 100
	answers := make([]Acceptance, requests)
	var wg sync.WaitGroup
	for i := range requests {
		wg.Go(func() {
			var err error
			if answers[i], err = s.Accept(t.Context(), []Submission{joining()}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	made := 0
	for _, a := range answers {
		if len(a.Jobs) != 1 || a.Jobs[0].ID != answers[0].Jobs[0].ID {
			t.Fatalf("got %+v, want the job that the others got: %s", a, answers[0].Jobs[0].ID)
		}
		if a.Joined == nil {
			made++
		}
	}
	if page, err := s.List(t.Context(), Query{}); err != nil || made != 1 || len(page.Jobs) != 1 {
		t.Errorf("%d requests made a job, %d jobs are listed, %v; want one", made, len(page.Jobs), err)
	}
}

// One conflict refuses the whole request, and leaves nothing of it.
func TestReject(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	job := accepted(t, s)
	other := rejecting()
	other.Database = ingest.PostgreSQL
	idem := &Idempotency{Subject: "ana", Key: "k", BodyHash: "b"}
	_, err := s.Accept(ctx, []Submission{joining(), other, rejecting()}, idem)
	conflict, ok := errors.AsType[*ConflictError](err)
	if !ok || !slices.Equal(conflict.JobIDs, []string{job.ID}) {
		t.Fatalf("got %v, want a conflict with %s", err, job.ID)
	}
	_, err = s.Get(ctx, other.ID)
	wantError(t, "reading the job beside the rejected one", err, ErrNotFound)
	if _, err := s.Cancel(ctx, job.ID); err != nil {
		t.Fatal(err)
	}
	sub := rejecting()
	for range 2 { // the second time it is the job itself that does the same
		a, err := s.Accept(ctx, []Submission{sub, other}, idem)
		if err != nil || a.Replayed || a.Joined != nil || len(a.Jobs) != 2 || a.Jobs[0].ID != sub.ID {
			t.Errorf("without a conflict: %+v, %v; want both jobs", a, err)
		}
	}
}

// The reply of a request that joined is lost, or its client repeats it: it gets the same.
func TestJoinTwice(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	job := accepted(t, s)
	if err := s.Settle(ctx, CommandEntry, job.ID); err != nil {
		t.Fatal(err)
	}
	idem := Idempotency{Subject: "ana", Key: "k", BodyHash: "b"}
	fresh := joining()
	fresh.Database = ingest.PostgreSQL
	subs := []Submission{fresh, joining()}
	first, err := s.Accept(ctx, subs, &idem)
	if err != nil || first.Replayed {
		t.Fatal(first, err)
	}
	claim(t, s, job, Claimed)
	want := first
	want.Jobs = []ingest.Job{first.Jobs[0], stored(t, s, job.ID)}
	for name, repeat := range map[string]func() (Acceptance, error){
		"run twice": func() (Acceptance, error) { return s.Accept(ctx, subs, &idem) },
		"without its key": func() (Acceptance, error) {
			return s.Accept(ctx, subs, nil)
		},
		"repeated": func() (Acceptance, error) {
			again := []Submission{joining(), joining()}
			again[0].Database = ingest.PostgreSQL
			return s.Accept(ctx, again, &idem)
		},
		"recalled": func() (Acceptance, error) { return s.Recall(ctx, idem) },
	} {
		got, err := repeat()
		want.Replayed = name == "repeated" || name == "recalled"
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%+v, %v\nwant\n%+v", name, got, err, want)
		}
	}
	// Once the joined job is over, the repetition still gets it.
	if _, err := s.Cancel(ctx, first.Jobs[0].ID); err != nil {
		t.Fatal(err)
	}
	got, err := s.Accept(ctx, subs, &idem)
	if err != nil || got.Jobs[0].ID != first.Jobs[0].ID || got.Jobs[1].ID != job.ID {
		t.Errorf("after the end of a job: got %+v, %v", got, err)
	}
}

// A job that another request joined is promised to both.
func TestDiscardAfterJoin(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	if _, err := s.Accept(t.Context(), []Submission{joining()}, nil); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Discard(t.Context(), job.ID); err != nil || gone {
		t.Errorf("discarding a job that was joined: gone is %v, %v; want it left alone", gone, err)
	}
}

// The reply to one that joins is lost, and the client runs the script again.
func TestJoinLostReply(t *testing.T) {
	s := open(t)
	spoiled, p := through(t, s)
	job := accepted(t, s)
	if err := spoiled.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.swallow.Store(1)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	a, err := spoiled.Accept(ctx, []Submission{joining()}, &Idempotency{Subject: "ana", Key: "k", BodyHash: "b"})
	if p.swallow.Load() > 0 {
		t.Fatal("no reply was lost, the test proves nothing")
	}
	if err != nil || a.Replayed || a.Jobs[0].ID != job.ID || !reflect.DeepEqual(a.Joined, []bool{true}) {
		t.Errorf("got %+v, %v; want %s, joined", a, err, job.ID)
	}
}

func TestSameness(t *testing.T) {
	targets := func(names ...string) (targets []ingest.Target) {
		for _, name := range names {
			targets = append(targets, ingest.Target{Dataset: name, Key: time.Now().String()})
		}
		return targets
	}
	same := sameness(ingest.MySQL, targets("a", "b"), "d")
	if got := sameness(ingest.MySQL, targets("b", "a"), "d"); got != same {
		t.Error("the order of datasets makes a difference")
	}
	for name, got := range map[string]string{
		"another database": sameness(ingest.MongoDB, targets("a", "b"), "d"),
		"another catalog":  sameness(ingest.MySQL, targets("a", "b"), "e"),
		"fewer datasets":   sameness(ingest.MySQL, targets("a"), "d"),
		"other names":      sameness(ingest.MySQL, targets("a1 b"), "d"),
		"moved bounds":     sameness(ingest.MySQL, targets("ab"), "d"),
	} {
		if got == same {
			t.Errorf("%s is taken for the same", name)
		}
	}
}
