package jobstore

import (
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// now returns the end of the history.
func now(t testing.TB, s *Store) Position {
	t.Helper()
	position, err := s.Now(t.Context())
	if err != nil {
		t.Fatalf("reading the history's end: %v", err)
	}
	return position
}

// since returns what the history has after the position.
func since(t testing.TB, s *Store, after Position) []Change {
	t.Helper()
	changes, _, err := s.History(t.Context(), after, 100)
	if err != nil {
		t.Fatalf("reading the history after %s: %v", after, err)
	}
	return changes
}

// Every transition is remembered, and progress is not.
func TestHistory(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	begin := now(t, s)
	if got := since(t, s, begin); len(got) > 0 || now(t, s) != begin {
		t.Fatalf("before anything happened the history has %+v, and ends at %s, then at %s", got, begin, now(t, s))
	}
	heard := listen(t, s)
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	exporting := ingest.Results{{Dataset: "users", State: ingest.Exporting, Rows: 1}}
	if _, err := lease.Renew(ctx, exporting); err != nil {
		t.Fatal(err)
	}
	if err := lease.Progress(ctx, exporting); err != nil {
		t.Fatal(err)
	}
	if err := lease.Commit(ctx, done("users", 1)); err != nil {
		t.Fatal(err)
	}
	if err := lease.Release(ctx, Release{Outcome: ingest.OutcomeRetry}); err != nil {
		t.Fatal(err)
	}
	lease = claim(t, s, job, Claimed).Lease
	for range 2 { // the second request is no transition
		if _, err := s.Cancel(ctx, job.ID); err != nil {
			t.Fatal(err)
		}
	}
	forget(t, s, job.ID)
	for range 2 { // restored by the first, and over since: the second repeats it
		if _, err := lease.Finish(ctx, Finish{Status: ingest.Cancelled}); err != nil {
			t.Fatal(err)
		}
	}
	want := []Change{
		{ID: job.ID, Status: ingest.Queued}, {ID: job.ID, Status: ingest.Running}, {ID: job.ID, Status: ingest.Queued},
		{ID: job.ID, Status: ingest.Running}, {ID: job.ID, Status: ingest.Running, CancelRequested: true},
		{ID: job.ID, Status: ingest.Running}, {ID: job.ID, Status: ingest.Cancelled},
	}
	got := since(t, s, begin)
	if len(got) != len(want) {
		t.Fatalf("the history has %+v, want %+v", got, want)
	}
	last := begin
	for i, change := range got {
		if !change.Position.After(last) {
			t.Errorf("transition %d is at %s, want it after %s", i, change.Position, last)
		}
		last, change.Position = change.Position, ""
		if change != want[i] {
			t.Errorf("transition %d is %+v, want %+v", i, change, want[i])
		}
	}
	if now(t, s) != last {
		t.Errorf("the history ends at %s, want the latest transition, %s", now(t, s), last)
	}
	if rest := since(t, s, got[4].Position); !slices.Equal(rest, got[5:]) {
		t.Errorf("after the fifth the history has %+v, want the last two", rest)
	}
	// Subscribers hear of each with its position, and of progress without.
	for position := Position(""); position != last; {
		change := <-heard
		if position = change.Position; position == "" {
			continue
		}
		if !slices.Contains(got, change) {
			t.Errorf("subscribers heard %+v, which is not in the history", change)
		}
	}
}

func TestHistoryPages(t *testing.T) {
	s := open(t)
	at := now(t, s)
	for range 7 {
		accepted(t, s)
	}
	seen := 0
	for {
		page, next, err := s.History(t.Context(), at, 3)
		if err != nil || len(page) > 3 {
			t.Fatalf("a page of %d, %v", len(page), err)
		}
		if seen += len(page); next == at {
			break
		}
		at = next
	}
	if seen != 7 {
		t.Errorf("the pages have %d transitions, want 7", seen)
	}
}

// The history says so when it cannot tell everything.
func TestPositionLost(t *testing.T) {
	s := open(t)
	begin := now(t, s)
	for range 3 {
		accepted(t, s)
	}
	all := since(t, s, begin)
	if err := s.client.XTrimMaxLen(t.Context(), s.prefix+"history", 2).Err(); err != nil {
		t.Fatal(err)
	}
	for position, lost := range map[Position]bool{
		begin: true, all[0].Position: true, all[1].Position: false, all[2].Position: false,
		"": true, "x": true, "1-1": true, "99999999999999-0": true, "18446744073709551616-0": true, "- +": true,
	} {
		_, _, err := s.History(t.Context(), position, 10)
		if lost {
			wantError(t, fmt.Sprintf("reading after %q", position), err, ErrPositionLost)
		} else if err != nil {
			t.Errorf("reading after %q: %v", position, err)
		}
	}
	last, _, _ := all[2].Position.parts()
	stacktest.Eventually(t, "another millisecond has begun", func() bool { // no flush is done within one
		return uint64(s.client.Time(t.Context()).Val().UnixMilli()) > last
	})
	if err := s.client.Del(t.Context(), s.prefix+"history").Err(); err != nil { // as a flush does
		t.Fatal(err)
	}
	_, _, err := s.History(t.Context(), all[2].Position, 10)
	wantError(t, "reading after a flush", err, ErrPositionLost)
	if again := now(t, s); again == all[2].Position {
		t.Errorf("after a flush the history ends at %s, as before", again)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	s := open(t)
	pipe := s.client.Pipeline()
	for range 11000 {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: s.prefix + "history", Values: []string{"change", "a queued 0"}})
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	accepted(t, s)
	if n := s.client.XLen(t.Context(), s.prefix+"history").Val(); n < 10000 || n > 10200 {
		t.Errorf("the history has %d entries, want about 10000", n)
	}
}

func TestPositionAfter(t *testing.T) {
	ascending := []Position{"", "9-1", "10-0", "10-9", "10-10", "1700000000000-0"}
	for i, p := range ascending {
		for j, q := range ascending {
			if got := p.After(q); got != (i > j) {
				t.Errorf("%q after %q is %v", p, q, got)
			}
		}
	}
}
