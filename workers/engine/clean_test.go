package engine

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers/upload"
)

// The reconciler cannot see S3: it cancels a job whose dead worker was done but for the last step.
// The command that it sends out has a worker remove the manifest and all that it names.
func TestJobCancelledWithoutWorkerIsRemoved(t *testing.T) {
	s := newSystem(t, exports{}, "INGESTA_LEASE=50ms")
	var deleted []string
	proxy, settings := proxied(t)
	s.through(settings)
	proxy.seen = func(r *http.Request) {
		if r.Method == http.MethodDelete {
			deleted = append(deleted, r.URL.Path)
		}
	}
	job := s.submit()
	lease := s.died(job, "users", "compras")
	s.manifest(job, lease)
	s.upload(job.Results.Of("users").Key)
	s.requestCancel(job.ID)
	s.abandoned()
	s.start()
	s.publish(job.Command()) // as the reconciler does
	s.empty()
	s.drained()
	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	if len(deleted) == 0 || !strings.Contains(deleted[0], "_manifests") {
		t.Errorf("removed were %q in this order, want the manifest first", deleted)
	}
}

// A job that ended as partial or error, by an attempt that could not remove what it left: the
// redelivered command does. What is done stays.
func TestEndedJobIsCleaned(t *testing.T) {
	for _, test := range []struct {
		end  ingest.Status
		done []string
	}{{ingest.Partial, []string{"users"}}, {ingest.Failed, nil}} {
		t.Run(string(test.end), func(t *testing.T) {
			s := newSystem(t, exports{})
			job := s.submit()
			users, compras := job.Results.Of("users").Key, job.Results.Of("compras").Key
			lease := s.died(job, test.done...)
			if _, err := lease.Finish(t.Context(), jobstore.Finish{Status: test.end}); err != nil {
				t.Fatal(err)
			}
			s.complete(compras, upload.Owner{JobID: job.ID, Fence: lease.Fence()})
			s.upload(compras)
			s.start()
			stacktest.Eventually(t, "what the failed dataset left is gone", func() bool {
				return !slices.Contains(s.objects(), compras) && len(s.uploads()) == 0
			})
			s.drained()
			if _, ok := s.object(users); ok != (test.done != nil) {
				t.Errorf("the object of users is there: %v, want %v", ok, test.done != nil)
			}
		})
	}
}

// Duplicates of the command of a job that was a success cost nothing but their acknowledgement,
// and so does the command of a job that was cancelled before anyone began it.
func TestNothingIsAskedOfS3(t *testing.T) {
	for name, end := range map[string]func(*system, ingest.Job){
		"success": func(s *system, job ingest.Job) {
			if _, err := s.died(job, "users", "compras").Finish(s.t.Context(), jobstore.Finish{Status: ingest.Success}); err != nil {
				s.t.Fatal(err)
			}
		},
		"never claimed": func(s *system, job ingest.Job) {
			if _, err := s.jobs.Cancel(s.t.Context(), job.ID); err != nil {
				s.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t, exports{})
			proxy, settings := proxied(t)
			s.through(settings)
			job := s.submit()
			end(s, job)
			stop := s.start()
			s.publish(job.Command())
			s.drained()
			stop()
			if n := proxy.requests.Load(); n != 0 {
				t.Errorf("%d requests were made to S3, want none", n)
			}
		})
	}
}

// While S3 is away nothing is lost of what is to be removed: neither by the attempt that ends the
// job, nor by the deliveries that find it over.
func TestCleaningWaitsForS3(t *testing.T) {
	for _, test := range []struct {
		name    string
		setting string
		end     ingest.Status
		dead    int // commands among the dead letters
		ends    func(s *system, id string) error
	}{
		{"failed", "INGESTA_MAX_FAILURES=3", ingest.Failed, 0, func(*system, string) error { return permanent }},
		{"exhausted", "INGESTA_MAX_FAILURES=1", ingest.Failed, 1, func(*system, string) error { return passing }},
		{"cancelled", "INGESTA_MAX_FAILURES=3", ingest.Cancelled, 0, func(s *system, id string) error {
			s.requestCancel(id)
			return nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			proxy, settings := proxied(t)
			s := newSystem(t, exports{}, test.setting)
			s.through(settings)
			job := s.submit()
			s.source.exports["users"] = func(ctx context.Context, _ int, sink Sink) (Tally, error) {
				proxy.away.Store(true)
				if err := test.ends(s, job.ID); err != nil {
					return Tally{}, err
				}
				<-ctx.Done()
				return Tally{}, ctx.Err()
			}
			s.complete(job.Results.Of("compras").Key, upload.Owner{JobID: job.ID, Fence: 1})
			s.start()
			if got := s.end(job.ID); got.Status != test.end {
				t.Errorf("the job ended as %s, want %s", got.Status, test.end)
			}
			s.dead(test.dead)
			before := proxy.requests.Load()
			stacktest.Eventually(t, "it is tried in vain", func() bool { return proxy.requests.Load() > before+1 })
			if len(s.objects()) != 1 || len(s.uploads()) != 1 {
				t.Fatalf("objects at %q and uploads at %q are left while S3 is away, want one each", s.objects(), s.uploads())
			}
			proxy.away.Store(false)
			s.empty()
			s.dead(test.dead)
		})
	}
}

// A command is not kept beyond the job, which it would run anew.
func TestCleaningGivesUp(t *testing.T) {
	proxy, settings := proxied(t)
	s := newSystem(t, exports{}, "INGESTA_RETENTION=30s")
	s.through(settings)
	job := s.submit()
	if _, err := s.died(job, "users").Finish(t.Context(), jobstore.Finish{Status: ingest.Cancelled}); err != nil {
		t.Fatal(err)
	}
	proxy.away.Store(true)
	stop := s.start()
	stacktest.Eventually(t, "it is tried", func() bool { return proxy.requests.Load() > 0 })
	stop()
	if waiting, err := s.waiting(); err != nil || waiting != 0 {
		t.Errorf("%d commands wait (%v), want none", waiting, err)
	}
	if len(s.objects()) != 1 {
		t.Errorf("objects are left at %q, want the one that could not be removed", s.objects())
	}
}

func TestWorthCleaning(t *testing.T) {
	const longest = 30 * time.Minute
	for _, test := range []struct {
		since, kept time.Duration
		want        bool
	}{
		{0, time.Hour, true},
		{-time.Minute, time.Hour, true}, // this clock is behind
		{23 * time.Hour, 7 * 24 * time.Hour, true},
		{24 * time.Hour, 7 * 24 * time.Hour, false},
		{0, 30 * time.Minute, false},
		{0, 31*time.Minute + 1, true},
	} {
		if got := worthCleaning(test.since, test.kept, longest); got != test.want {
			t.Errorf("over for %v, kept for %v: %v, want %v", test.since, test.kept, got, test.want)
		}
	}
}

// After the manifest, success wins: also when the worker that wrote it, or was about to, died
// before it could end the job, and the cancellation was asked for then.
func TestCancelAfterACrash(t *testing.T) {
	for _, test := range []struct {
		name      string
		committed []string
		manifest  bool
		want      ingest.Status
	}{
		{"all committed", []string{"users", "compras"}, false, ingest.Success},
		{"all committed, with the manifest", []string{"users", "compras"}, true, ingest.Success},
		{"some committed, with the manifest", []string{"users"}, true, ingest.Partial},
		{"some committed", []string{"users"}, false, ingest.Cancelled},
		{"none committed", nil, false, ingest.Cancelled},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSystem(t, exports{}, "INGESTA_LEASE=50ms")
			job := s.submit()
			lease := s.died(job, test.committed...)
			if test.manifest {
				s.manifest(job, lease)
			}
			s.requestCancel(job.ID)
			s.start()
			ended := s.end(job.ID)
			if ended.Status != test.want {
				t.Errorf("the job ended as %s, want %s", ended.Status, test.want)
			}
			if test.want == ingest.Cancelled {
				s.empty()
				return
			}
			body, _ := s.object(upload.ManifestKey(ingest.MySQL, job.ID))
			manifest, err := upload.DecodeManifest([]byte(body))
			if err != nil || manifest.Status != test.want || len(manifest.Objects) != len(test.committed) {
				t.Errorf("the manifest is %s (%v)", body, err)
			}
			for _, o := range manifest.Objects {
				if _, ok := s.object(o.Key); !ok {
					t.Errorf("the manifest names %s, which is not there", o.Key)
				}
			}
			if test.want == ingest.Partial && ended.Results.Of("compras").Code != ingest.QueryFailed {
				t.Errorf("the failed dataset is told as %+v, want it as in the manifest", ended.Results.Of("compras"))
			}
		})
	}
}

// The same when Redis forgot the job, and the cancellation comes while the worker that adopts it
// still looks for the manifest.
func TestCancelOfAForgottenJob(t *testing.T) {
	proxy, settings := proxied(t)
	s := newSystem(t, exports{})
	s.through(settings)
	command := ingest.Command{
		Version: ingest.CommandVersion, JobID: uuid.NewString(), Database: ingest.MySQL, RequestedBy: "ana", AcceptedAt: time.Now().UTC(),
		Targets: []ingest.Target{{Dataset: "users", Key: "mysql/users_x.csv"}},
	}
	owner := upload.Owner{JobID: command.JobID, Fence: 1}
	s.complete("mysql/users_x.csv", owner)
	m := upload.Manifest{JobID: command.JobID, Database: ingest.MySQL, Status: ingest.Success}
	m.AddResults(ingest.Results{{Dataset: "users", Key: "mysql/users_x.csv", State: ingest.Done}})
	body, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.lake.PutManifest(t.Context(), upload.ManifestKey(ingest.MySQL, command.JobID), owner, body); err != nil {
		t.Fatal(err)
	}
	asked := false
	proxy.seen = func(r *http.Request) {
		if asked || r.Method != http.MethodGet {
			return
		}
		asked = true
		s.requestCancel(command.JobID)
		<-r.Context().Done() // the attempt hangs up
	}
	s.start()
	s.publish(command)
	if job := s.end(command.JobID); job.Status != ingest.Success {
		t.Errorf("the job ended as %s, want success", job.Status)
	}
	if len(s.objects()) != 2 {
		t.Errorf("objects are at %q, want that of the dataset and the manifest", s.objects())
	}
}

// An attempt that removes what it committed, and dies on the way, leaves a job that no later one
// takes for complete.
func TestCancelWithdrawsBeforeItRemoves(t *testing.T) {
	proxy, settings := proxied(t)
	s := newSystem(t, exports{"users": rows(3)})
	s.through(settings)
	began := make(chan struct{}, 1)
	s.source.exports["compras"] = stuck(began)
	job := s.submit()
	var removing ingest.Results // as committed when the first object is removed
	proxy.seen = func(r *http.Request) {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/users_") && removing == nil {
			got, err := s.jobs.Get(context.WithoutCancel(t.Context()), job.ID)
			if err != nil {
				t.Error(err)
			}
			removing = got.Results
		}
	}
	s.start()
	<-began
	s.requestCancel(job.ID)
	if ended := s.end(job.ID); ended.Status != ingest.Cancelled {
		t.Errorf("the job ended as %s, want cancelled", ended.Status)
	}
	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	if r := removing.Of("users"); r == nil || r.State == ingest.Done {
		t.Errorf("while its object was removed, dataset users stood as %+v, want it withdrawn", r)
	}
	s.empty()
}

// Redis forgot a job that had ended, and S3, which knows of it, is away when its command comes again.
// The job waits until S3 can tell, however often that fails: it neither runs anew nor ends as an error
// that would remove what readers rely on.
func TestForgottenJobWaitsForS3(t *testing.T) {
	proxy, settings := proxied(t)
	s := newSystem(t, exports{}, "INGESTA_MAX_FAILURES=2")
	s.through(settings)
	job := s.submit()
	lease := s.died(job, "users", "compras")
	s.manifest(job, lease)
	if _, err := lease.Finish(t.Context(), jobstore.Finish{Status: ingest.Success}); err != nil {
		t.Fatal(err)
	}
	s.forget()
	proxy.away.Store(true)
	s.start()
	stacktest.Eventually(t, "S3 was asked in vain more often than a job may fail", func() bool { return proxy.requests.Load() > 4 })
	if got, err := s.jobs.Get(t.Context(), job.ID); err != nil || got.Status.Terminal() {
		t.Errorf("while S3 is away the job is %s (%v), want it to wait", got.Status, err)
	}
	proxy.away.Store(false)
	if got := s.end(job.ID); got.Status != ingest.Success || s.source.tried("users") != 0 {
		t.Errorf("the job ended as %s after %d exports; want the success that the manifest tells of", got.Status, s.source.tried("users"))
	}
	for _, r := range job.Results {
		if _, ok := s.object(r.Key); !ok {
			t.Errorf("the object of %s is gone", r.Dataset)
		}
	}
}

// An attempt that finds nothing left to do but the end makes that end, however often those before it
// failed; and a job that succeeded has no dead letter.
func TestLastAttemptSucceeds(t *testing.T) {
	s := newSystem(t, exports{}, "INGESTA_LEASE=50ms", "INGESTA_MAX_FAILURES=1")
	job := s.submit()
	s.died(job, "users", "compras")
	stop := s.start()
	if got := s.end(job.ID); got.Status != ingest.Success {
		t.Errorf("the job ended as %s (%s), want success: every dataset was committed", got.Status, got.Error)
	}
	stop() // the delivery is settled
	if waiting, err := s.waiting(); err != nil || waiting != 0 {
		t.Errorf("%d messages wait (%v), want none, and no dead letter", waiting, err)
	}
}
