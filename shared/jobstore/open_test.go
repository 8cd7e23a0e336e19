package jobstore

import (
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

func TestOpenKeys(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	check := func(when string, jobs ...ingest.Job) {
		t.Helper()
		want := map[string]bool{}
		for _, job := range jobs {
			for _, r := range job.Results {
				want[r.Key] = true
			}
		}
		if got, err := s.OpenKeys(ctx, ingest.MySQL); err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: the keys are %v, %v; want %v", when, got, err, want)
		}
	}
	check("without jobs")
	queued, running, over := accepted(t, s), accepted(t, s), accepted(t, s)
	other := submission()
	other.Database, other.Targets = ingest.PostgreSQL, []ingest.Target{{Dataset: "productos", Key: "postgresql/productos_{stamp}.csv"}}
	if _, err := s.Accept(ctx, []Submission{other}, nil); err != nil {
		t.Fatal(err)
	}
	claim(t, s, running, Claimed)
	lease := claim(t, s, over, Claimed).Lease
	check("with jobs in every state before the end", queued, running, over)
	if _, err := lease.Finish(ctx, Finish{Status: ingest.Failed}); err != nil {
		t.Fatal(err)
	}
	check("after one ended", queued, running)

	// Keys in a command are final: there is no stamp.
	adopted := ingest.Command{JobID: "adopted", AcceptedAt: time.Unix(1, 0), Database: ingest.MySQL, Targets: []ingest.Target{{Dataset: "users", Key: "mysql/users_20260102_030405_2.csv"}}}
	c, err := s.Claim(ctx, ClaimRequest{Command: adopted, Worker: "w", Adopt: true})
	if err != nil {
		t.Fatal(err)
	}
	check("after one was adopted", queued, running, c.Job)
}

// Many jobs take several batches, between which jobs change.
func TestOpenKeysOfManyJobs(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	const n = 600
	submissions := make([]Submission, n)
	for i := range submissions {
		submissions[i] = submission()
		submissions[i].Targets = []ingest.Target{{Dataset: "users", Key: "mysql/" + strconv.Itoa(i)}}
	}
	a, err := s.Accept(ctx, submissions, nil)
	if err != nil {
		t.Fatal(err)
	}
	changing := make(chan error, 1)
	go func() {
		for _, job := range a.Jobs { // which moves it within the set
			if _, err := s.Claim(ctx, ClaimRequest{Command: job.Command(), Worker: "w"}); err != nil {
				changing <- err
				return
			}
		}
		close(changing)
	}()
	for over := false; !over; {
		select {
		case err := <-changing:
			if err != nil {
				t.Fatal(err)
			}
			over = true
		default:
		}
		if keys, err := s.OpenKeys(ctx, ingest.MySQL); err != nil || len(keys) != n {
			t.Fatalf("%d keys, %v; want %d", len(keys), err, n)
		}
	}
}
