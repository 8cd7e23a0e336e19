package jobstore

import (
	"reflect"
	"testing"

	"github.com/pharmavida/ingesta/shared/ingest"
)

func TestLatest(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	broken := ingest.Result{Dataset: "compras", State: ingest.Broken, Code: ingest.TableNotFound}
	finish := func(job ingest.Job, fin Finish, commit ...ingest.Result) ingest.Job {
		t.Helper()
		lease := claim(t, s, job, Claimed).Lease
		for _, r := range commit {
			if err := lease.Commit(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		ended, err := lease.Finish(ctx, fin)
		if err != nil {
			t.Fatal(err)
		}
		return ended
	}
	latest := func(database ingest.Database) map[string]Exported {
		t.Helper()
		all, err := s.Latest(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return all[database]
	}
	if got := latest(ingest.MySQL); got != nil {
		t.Errorf("before any export there is %+v", got)
	}
	first := finish(accepted(t, s), Finish{Status: ingest.Success, Results: ingest.Results{done("users", 1), done("compras", 2)}})
	want := map[string]Exported{}
	for _, r := range first.Results {
		r.Key = "" // it stands in the job, and in the URL
		want[r.Dataset] = Exported{JobID: first.ID, Result: r}
	}
	if got := latest(ingest.MySQL); !reflect.DeepEqual(got, want) {
		t.Errorf("after a success there is\n%+v\nwant\n%+v", got, want)
	}

	// A dataset that failed leaves what there was; one that was committed before counts like another.
	second := finish(accepted(t, s), Finish{Status: ingest.Partial, Results: ingest.Results{broken}}, done("users", 3))
	got := latest(ingest.MySQL)
	if got["users"].JobID != second.ID || got["users"].Result.Rows != 3 || got["compras"].JobID != first.ID {
		t.Errorf("after a partial job there is %+v, want users of it alone", got)
	}

	// One that an earlier attempt committed, too.
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	if err := lease.Commit(ctx, done("compras", 5)); err != nil {
		t.Fatal(err)
	}
	if err := lease.Release(ctx, Release{Outcome: ingest.OutcomeRetry}); err != nil {
		t.Fatal(err)
	}
	third := finish(job, Finish{Status: ingest.Success, Results: ingest.Results{done("users", 4)}})
	if got = latest(ingest.MySQL); got["compras"].JobID != third.ID || got["compras"].Result.Rows != 5 || got["users"].JobID != third.ID {
		t.Errorf("after a second attempt there is %+v, want both of job %s", got, third.ID)
	}

	// What did not end well changes nothing, whatever was committed.
	finish(accepted(t, s), Finish{Status: ingest.Failed}, done("users", 6))
	finish(accepted(t, s), Finish{Status: ingest.Cancelled}, done("users", 7))
	// A dataset that was withdrawn after its commit is not done.
	finish(accepted(t, s), Finish{Status: ingest.Partial}, done("compras", 8), broken)
	if after := latest(ingest.MySQL); !reflect.DeepEqual(after, got) {
		t.Errorf("after jobs that exported nothing there is %+v, want %+v", after, got)
	}
	if other := latest(ingest.PostgreSQL); other != nil {
		t.Errorf("of another database there is %+v", other)
	}
}
