package jobstore

import (
	"encoding/base64"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// pages reads all pages of a query.
func pages(t *testing.T, s *Store, q Query) (ids []string, count int) {
	t.Helper()
	for {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatalf("listing %+v: %v", q, err)
		}
		count++
		for _, j := range page.Jobs {
			ids = append(ids, j.ID)
		}
		if page.Next == "" {
			return ids, count
		}
		if q.Limit > 0 && len(page.Jobs) != q.Limit {
			t.Errorf("a page that is not the last holds %d jobs, want %d", len(page.Jobs), q.Limit)
		}
		q.Cursor = page.Next
	}
}

func TestList(t *testing.T) {
	s := open(t)
	if page, err := s.List(t.Context(), Query{}); err != nil || len(page.Jobs) != 0 || page.Next != "" {
		t.Fatalf("listing nothing: %+v, %v", page, err)
	}
	databases := []ingest.Database{ingest.MongoDB, ingest.MySQL, ingest.PostgreSQL}
	var all []ingest.Job
	for i := range 10 { // several per millisecond: accepted together, three at a time
		subs := []Submission{submission(), submission(), submission()}
		for k := range subs {
			subs[k].Database = databases[k]
		}
		a, err := s.Accept(t.Context(), subs, nil)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			claim(t, s, a.Jobs[0], Claimed)
			a.Jobs[0] = stored(t, s, a.Jobs[0].ID)
		}
		all = append(all, a.Jobs...)
	}
	slices.SortFunc(all, func(a, b ingest.Job) int { // newest first, by id within a millisecond
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		return -slices.Compare([]byte(a.ID), []byte(b.ID))
	})
	for _, database := range append(databases, "", "oracle") {
		for _, status := range append(ingest.Statuses(), "") {
			var want []string
			for _, j := range all {
				if (database == "" || j.Database == database) && (status == "" || j.Status == status) {
					want = append(want, j.ID)
				}
			}
			for _, limit := range []int{0, 1, 3, 10, 1000} {
				got, count := pages(t, s, Query{Database: database, Status: status, Limit: limit})
				if !slices.Equal(got, want) {
					t.Errorf("database %q, status %q, limit %d: got %v, want %v", database, status, limit, got, want)
				}
				if limit > 0 && limit < 200 && count != max(1, (len(want)+limit-1)/limit) {
					t.Errorf("database %q, status %q, limit %d: %d jobs came on %d pages", database, status, limit, len(want), count)
				}
			}
		}
	}
}

// While jobs arrive, a reader that follows the cursor sees each job that was there once.
func TestListWhileJobsArrive(t *testing.T) {
	s := open(t)
	var before []string
	for range 30 {
		before = append(before, accepted(t, s).ID)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if _, err := s.Accept(t.Context(), []Submission{submission()}, nil); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	got, _ := pages(t, s, Query{Limit: 2})
	close(stop)
	wg.Wait()
	seen := map[string]int{}
	for _, id := range got {
		seen[id]++
		if seen[id] > 1 {
			t.Errorf("job %s came twice", id)
		}
	}
	for _, id := range before {
		if seen[id] != 1 {
			t.Errorf("job %s was left out", id)
		}
	}
}

func TestListSkipsExpired(t *testing.T) {
	s := open(t)
	var jobs []ingest.Job
	for range 5 {
		jobs = append(jobs, accepted(t, s))
	}
	for _, i := range []int{1, 2, 4} {
		if _, err := s.Cancel(t.Context(), jobs[i].ID); err != nil {
			t.Fatal(err)
		}
		if err := s.client.PExpire(t.Context(), s.prefix+"job:"+jobs[i].ID, time.Millisecond).Err(); err != nil {
			t.Fatal(err)
		}
		stacktest.Eventually(t, "the job expires", func() bool {
			return s.client.Exists(t.Context(), s.prefix+"job:"+jobs[i].ID).Val() == 0
		})
	}
	got, _ := pages(t, s, Query{Limit: 1})
	if jobs[0].CreatedAt.Equal(jobs[3].CreatedAt) { // of one millisecond: the ids decide
		slices.Sort(got)
		jobs[0].ID, jobs[3].ID = max(jobs[0].ID, jobs[3].ID), min(jobs[0].ID, jobs[3].ID)
	}
	if want := []string{jobs[3].ID, jobs[0].ID}; !slices.Equal(got, want) {
		t.Errorf("listed are %v, want those not expired: %v", got, want)
	}
}

func TestListBadCursor(t *testing.T) {
	s := open(t)
	for _, cursor := range []string{"*", "x", base64.RawURLEncoding.EncodeToString([]byte("nothing")),
		base64.RawURLEncoding.EncodeToString([]byte("000000000000001:")), base64.RawURLEncoding.EncodeToString([]byte("+"))} {
		_, err := s.List(t.Context(), Query{Cursor: cursor})
		wantError(t, "listing from "+cursor, err, ErrBadCursor)
	}
	_, err := s.Get(t.Context(), "never-was")
	wantError(t, "reading an unknown job", err, ErrNotFound)
}

func BenchmarkList(b *testing.B) {
	s := open(b)
	for range 50 {
		subs := make([]Submission, 100)
		for i := range subs {
			subs[i] = submission()
		}
		if _, err := s.Accept(b.Context(), subs, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.List(b.Context(), Query{Database: ingest.MySQL, Status: ingest.Queued}); err != nil {
			b.Fatal(err)
		}
	}
}
