package engine

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers/upload"
)

type exports = map[string]func(context.Context, int, Sink) (Tally, error)

var (
	passing   = ingest.Transient(ingest.SourceUnavailable, errors.New("connection reset"), "the database went away")
	permanent = ingest.Permanent(ingest.QueryFailed, errors.New("syntax"), "the database refused the statement")
)

func TestJobSucceeds(t *testing.T) {
	s := newSystem(t, exports{"users": rows(3), "compras": rows(2)})
	s.start()
	accepted := s.submit()
	job := s.end(accepted.ID)

	if job.Status != ingest.Success || job.Attempt != 1 || job.Progress.Rows != 5 {
		t.Errorf("got status %s, attempt %d, %d rows; want success, 1, 5", job.Status, job.Attempt, job.Progress.Rows)
	}
	r := job.Results.Of("users")
	if body, _ := s.object(r.Key); body != "id\n1\n2\n3\n" || r.Bytes != int64(len(body)) || r.Rows != 3 {
		t.Errorf("the object is %q, the record says %d rows and %d bytes", body, r.Rows, r.Bytes)
	}
	if r.URL != "s3://"+s.bucket+"/"+r.Key || r.Key != accepted.Results.Of("users").Key || len(r.SHA256) != 64 {
		t.Errorf("the result is %+v", r)
	}
	body, ok := s.object(upload.ManifestKey(ingest.MySQL, job.ID))
	if !ok {
		t.Fatal("there is no manifest")
	}
	manifest, err := upload.DecodeManifest([]byte(body))
	if err != nil || manifest.Status != ingest.Success || len(manifest.Objects) != 2 || manifest.Objects[0].SHA256 != r.SHA256 {
		t.Errorf("the manifest is %s (%v)", body, err)
	}
	for _, o := range manifest.Objects {
		if told := strings.Contains(strings.Join(o.Warnings, " "), "condition"); told != (o.Dataset == "compras") {
			t.Errorf("the warnings of %s are %q; only compras lacks the rows that do not meet its condition", o.Dataset, o.Warnings)
		}
	}
	s.noUploads()
}

// One dataset's failure leaves the others alone, and nothing of it in S3.
func TestOneDatasetFails(t *testing.T) {
	s := newSystem(t, exports{"users": failing(100, permanent), "compras": rows(2)})
	s.start()
	job := s.end(s.submit().ID)
	if job.Status != ingest.Partial || job.Attempt != 1 {
		t.Errorf("got status %s after %d attempts, want partial after 1: a permanent failure is not retried", job.Status, job.Attempt)
	}
	if r := job.Results.Of("users"); r.State != ingest.Broken || r.Code != ingest.QueryFailed || r.Error != permanent.Message {
		t.Errorf("the failed dataset is told as %+v", r)
	}
	if _, ok := s.object(job.Results.Of("users").Key); ok {
		t.Error("a truncated object is visible")
	}
	s.noUploads()
}

// What an attempt completed and did not live to commit goes with the dataset that failed after it,
// however many of the job's datasets fail. Nobody else's object does.
func TestFailedDatasetLeavesNothing(t *testing.T) {
	for _, test := range []struct {
		name    string
		compras func(context.Context, int, Sink) (Tally, error)
		want    ingest.Status
	}{
		{"partial", rows(2), ingest.Partial},
		{"error", failing(100, permanent), ingest.Failed},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSystem(t, exports{"users": failing(100, permanent), "compras": test.compras})
			accepted := s.submit()
			users, compras := accepted.Results.Of("users").Key, accepted.Results.Of("compras").Key
			s.complete(users, upload.Owner{JobID: accepted.ID, Fence: 1})
			s.complete(users+"_2", upload.Owner{JobID: "another", Fence: 1})
			s.upload(users)
			s.start()
			if job := s.end(accepted.ID); job.Status != test.want {
				t.Errorf("got status %s, want %s", job.Status, test.want)
			}
			for key, want := range map[string]bool{users: false, users + "_2": true, compras: test.want == ingest.Partial} {
				if _, ok := s.object(key); ok != want {
					t.Errorf("an object is at %s: %v, want %v", key, ok, want)
				}
			}
			s.noUploads()
		})
	}
}

// An attempt that lost the job does not say any more what of it may stay.
func TestStaleAttemptRemovesNothing(t *testing.T) {
	s := newSystem(t, exports{}, "INGESTA_LEASE=50ms") // and no renewal while the test runs
	job := s.submit()
	key := job.Results.Of("users").Key
	s.source.exports["users"] = func(ctx context.Context, _ int, _ Sink) (Tally, error) {
		var successor jobstore.Claim
		stacktest.Eventually(t, "the lease is dead", func() bool {
			var err error
			successor, err = s.jobs.Claim(ctx, jobstore.ClaimRequest{Command: job.Command(), Worker: "successor"})
			return err == nil && successor.Outcome == jobstore.Claimed
		})
		s.upload(key)
		if _, err := successor.Lease.Finish(ctx, jobstore.Finish{Status: ingest.Success}); err != nil {
			t.Error(err)
		}
		return Tally{}, permanent
	}
	stop := s.start()
	stacktest.Eventually(t, "the successor has ended the job", func() bool {
		got, err := s.jobs.Get(t.Context(), job.ID)
		return err == nil && got.Status == ingest.Success
	})
	stop()
	if left := s.uploads(); len(left) != 1 || left[0] != key {
		t.Errorf("the uploads are at %q, want the one that the successor began", left)
	}
}

func TestMissingTable(t *testing.T) {
	s := newSystem(t, exports{})
	s.start()
	job := s.end(s.submit().ID)
	if job.Status != ingest.Failed || job.Code != ingest.TableNotFound || !strings.Contains(job.Error, "users") {
		t.Errorf("got status %s, code %s, error %q; want error, table_not_found and the table's name", job.Status, job.Code, job.Error)
	}
	if _, ok := s.object(upload.ManifestKey(ingest.MySQL, job.ID)); ok {
		t.Error("a job without any object has a manifest")
	}
}

// A failure that may pass is retried, and only what was not committed runs again.
func TestRetry(t *testing.T) {
	s := newSystem(t, exports{"users": rows(3), "compras": failing(1, passing)})
	s.start()
	job := s.end(s.submit().ID)
	if job.Status != ingest.Success || job.Attempt != 2 {
		t.Errorf("got status %s after %d attempts, want success after 2", job.Status, job.Attempt)
	}
	if users, compras := s.source.tried("users"), s.source.tried("compras"); users != 1 || compras != 2 {
		t.Errorf("users ran %d times and compras %d, want 1 and 2", users, compras)
	}
	if first := job.Attempts[0]; first.Outcome != ingest.OutcomeRetry || first.Code != ingest.SourceUnavailable {
		t.Errorf("the first attempt is told as %+v", first)
	}
	s.noUploads()
}

// A source that stays away ends the job as an error with its own code, and its command among the
// dead letters.
func TestAttemptsRunOut(t *testing.T) {
	s := newSystem(t, exports{"users": rows(1), "compras": rows(1)})
	s.source.open = passing
	s.start()
	job := s.end(s.submit().ID)
	if job.Status != ingest.Failed || job.Attempt != 3 || job.Code != ingest.SourceUnavailable {
		t.Errorf("got status %s, code %s after %d attempts; want error, source_unavailable, 3", job.Status, job.Code, job.Attempt)
	}
	s.dead(1)
}

// A source that sends nothing any more, and never says that it is gone, is given up and asked again.
func TestSilentSource(t *testing.T) {
	began := make(chan struct{}, 1)
	silent := func(ctx context.Context, try int, sink Sink) (Tally, error) {
		if try > 1 {
			return rows(1)(ctx, try, sink)
		}
		return stuck(began)(ctx, try, sink)
	}
	s := newSystem(t, exports{"users": silent, "compras": rows(1)}, "INGESTA_SOURCE_SILENCE=200ms")
	s.start()
	job := s.end(s.submit().ID)
	if job.Status != ingest.Success || len(job.Attempts) != 2 || job.Attempts[0].Code != ingest.SourceUnavailable {
		t.Errorf("the job ended as %s after %+v; want a success after a first attempt that failed with %s", job.Status, job.Attempts, ingest.SourceUnavailable)
	}
	s.noUploads()
}

// A dataset at which the worker panics is tried as often as any that fails, and harms no other.
func TestPanicIsAFailureThatMayPass(t *testing.T) {
	s := newSystem(t, exports{
		"users":   func(context.Context, int, Sink) (Tally, error) { panic("poison") },
		"compras": rows(1),
	})
	s.start()
	job := s.end(s.submit().ID)
	if job.Status != ingest.Partial || job.Attempt != 3 || job.Results.Of("users").Code != ingest.Internal {
		t.Errorf("got status %s after %d attempts, users %+v; want partial after 3, and an internal failure", job.Status, job.Attempt, job.Results.Of("users"))
	}
	if users, compras := s.source.tried("users"), s.source.tried("compras"); users != 3 || compras != 1 {
		t.Errorf("users ran %d times and compras %d, want 3 and 1", users, compras)
	}
	s.dead(1)
	s.noUploads()
}

func TestCancelRunning(t *testing.T) {
	began := make(chan struct{}, 1)
	s := newSystem(t, exports{"users": rows(3), "compras": stuck(began)})
	s.start()
	id := s.submit().ID
	<-began
	asked := time.Now()
	if _, err := s.jobs.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	job := s.end(id)
	if job.Status != ingest.Cancelled {
		t.Errorf("got status %s, want cancelled", job.Status)
	}
	if took := time.Since(asked); took > 2*time.Second {
		t.Errorf("the cancellation took %v, want at most 2 s", took)
	}
	if _, ok := s.object(job.Results.Of("users").Key); ok {
		t.Error("an object of a cancelled job is left")
	}
	s.noUploads()
}

// A worker that stops hands its jobs back, and the next one finishes them without counting it as
// a failure.
func TestShutdownHandsBack(t *testing.T) {
	began := make(chan struct{}, 1)
	s := newSystem(t, exports{"users": rows(3), "compras": stuck(began)}, "INGESTA_GRACE=50ms", "INGESTA_MAX_FAILURES=1")
	stop := s.start()
	id := s.submit().ID
	<-began
	stop()
	job, err := s.jobs.Get(t.Context(), id)
	if err != nil || job.Status != ingest.Queued {
		t.Fatalf("after the shutdown the job is %s (%v), want queued", job.Status, err)
	}
	s.noUploads()

	s.source.mu.Lock()
	s.source.exports["compras"] = rows(2)
	s.source.mu.Unlock()
	s.start()
	job = s.end(id)
	if job.Status != ingest.Success || s.source.tried("users") != 1 {
		t.Errorf("got status %s, users ran %d times; want success and 1", job.Status, s.source.tried("users"))
	}
	if first := job.Attempts[0]; first.Outcome != ingest.OutcomeHandedBack {
		t.Errorf("the first attempt is told as %+v", first)
	}
}

// A command that is delivered many times runs once.
func TestDuplicates(t *testing.T) {
	s := newSystem(t, exports{"users": rows(3), "compras": rows(2)}, "INGESTA_CONCURRENCY=4")
	id := s.submit().ID
	job, err := s.jobs.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		s.publish(job.Command())
	}
	s.start()
	if job = s.end(id); job.Status != ingest.Success || job.Attempt != 1 || s.source.tried("users") != 1 {
		t.Errorf("got status %s, attempt %d, users ran %d times; want success, 1, 1", job.Status, job.Attempt, s.source.tried("users"))
	}
	s.drained()
	select {
	case e := <-s.events:
		if ingest.Status(e.Kind).Terminal() {
			t.Errorf("a second completion event: %+v", e)
		}
	default:
	}
}

// Redis forgot a job: its command is enough to run it, and what a worker that died has left of it is
// removed.
func TestUnknownJobIsAdopted(t *testing.T) {
	s := newSystem(t, exports{"users": rows(3), "compras": rows(2)})
	s.upload("mysql/users_x.csv")
	s.start()
	c := ingest.Command{
		Version: ingest.CommandVersion, JobID: "0194f3c0-0000-7000-8000-00f069077e40", Database: ingest.MySQL, RequestedBy: "ana", AcceptedAt: time.Now().UTC(),
		Targets: []ingest.Target{{Dataset: "users", Key: "mysql/users_x.csv"}, {Dataset: "compras", Key: "mysql/compras_x.csv"}},
	}
	s.publish(c)
	job := s.end(c.JobID)
	if job.Status != ingest.Success || job.RequestedBy != "ana" || job.Results.Of("users").Key != "mysql/users_x.csv" {
		t.Errorf("the adopted job ended as %+v", job)
	}
	s.noUploads()
}

// What waits for the job store waits until it answers, or its context ends.
func TestWhileAway(t *testing.T) {
	away := fmt.Errorf("checking: %w", jobstore.ErrUnavailable)
	tries := 0
	err := whileAway(t.Context(), func(context.Context) error {
		if tries++; tries < 3 {
			return away
		}
		return jobstore.ErrLeaseLost
	})
	if !errors.Is(err, jobstore.ErrLeaseLost) || tries != 3 {
		t.Errorf("after %d tries: %v; want the first answer, which is the third", tries, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = whileAway(ctx, func(context.Context) error { cancel(); return away })
	if !errors.Is(err, jobstore.ErrUnavailable) {
		t.Errorf("when the attempt is over: %v; want the store's error", err)
	}
}

// Redis forgot a finished job: the manifest is proof of it, and nothing is exported again.
func TestManifestSpeaksForAForgottenJob(t *testing.T) {
	s := newSystem(t, exports{"users": rows(3)})
	stop := s.start()
	first := s.end(s.submit().ID)
	stop()

	s.forget()
	s.start()
	s.publish(first.Command())
	job := s.end(first.ID)
	if job.Status != ingest.Partial || s.source.tried("users") != 1 {
		t.Errorf("got status %s, users ran %d times; want partial as before, and 1", job.Status, s.source.tried("users"))
	}
	if got, want := job.Results.Of("users").SHA256, first.Results.Of("users").SHA256; got != want {
		t.Errorf("the checksum is %s, want %s", got, want)
	}
	if r := job.Results.Of("compras"); r.Code != ingest.TableNotFound {
		t.Errorf("the failed dataset is told as %+v", r)
	}
}

// A manifest that S3 refuses for good keeps no job from ending: as an error, and with nothing that
// readers would never be told of.
func TestManifestRefused(t *testing.T) {
	s := newSystem(t, exports{"users": rows(3), "compras": rows(2)})
	job := s.submit()
	foreign := upload.ManifestKey(ingest.MySQL, job.ID)
	s.complete(foreign, upload.Owner{JobID: "another", Fence: 1})
	s.start()
	job = s.end(job.ID)
	if job.Status != ingest.Failed || job.Code != ingest.ObjectConflict || job.Attempt != 1 {
		t.Errorf("got status %s, code %s after %d attempts; want error, object_conflict and 1", job.Status, job.Code, job.Attempt)
	}
	for _, r := range job.Results {
		if r.State != ingest.Broken || r.Code != ingest.ObjectConflict {
			t.Errorf("dataset %s is told as %+v, and it is not there to be read", r.Dataset, r)
		}
	}
	if left := s.objects(); len(left) != 1 || left[0] != foreign {
		t.Errorf("the objects are %q, want what stood in the manifest's place alone", left)
	}
}

// What cannot be read goes to the dead letters as it is, and does not stop what follows.
func TestUnreadableCommands(t *testing.T) {
	s := newSystem(t, exports{"users": rows(3), "compras": rows(2)})
	s.start()
	bodies := []string{"hello", `{"version":99,"job_id":"x"}`,
		`{"version":1,"job_id":"0194f3c0-0000-7000-8000-00000000000a","database":"postgresql","datasets":[{"name":"a","key":"b"}]}`,
		`{"version":1,"job_id":"pedido-7","database":"mysql","datasets":[{"name":"a","key":"b"}]}`}
	for _, body := range bodies {
		stacktest.Management(t, http.MethodPost, "/api/exchanges/"+s.vhost+"/ingesta.commands/publish", map[string]any{
			"routing_key": "mysql", "payload": base64.StdEncoding.EncodeToString([]byte(body)), "payload_encoding": "base64",
			"properties": map[string]any{"delivery_mode": 2},
		}, nil)
	}
	s.dead(len(bodies))
	if job := s.end(s.submit().ID); job.Status != ingest.Success {
		t.Errorf("the command behind them ended as %s", job.Status)
	}
}

func TestRunOnce(t *testing.T) {
	s := newSystem(t, exports{"users": rows(3)})
	db, _ := s.parts.Catalog.Database(ingest.MySQL)
	report := RunOnce(t.Context(), db.Name, db.Datasets, ingest.DefaultKeyTemplate, s.source, s.lake, s.parts.Log)
	out, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var original struct {
		Status, Database string
		Result           map[string]struct {
			URL, Error string
			Registros  int
		}
	}
	if err := json.Unmarshal(out, &original); err != nil {
		t.Fatal(err)
	}
	users, compras := original.Result["users"], original.Result["compras"]
	if original.Status != "partial" || original.Database != "mysql" || users.Registros != 3 || compras.Error == "" {
		t.Errorf("got %s", out)
	}
	if body, ok := s.object(strings.TrimPrefix(users.URL, "s3://"+s.bucket+"/")); !ok || body != "id\n1\n2\n3\n" {
		t.Errorf("the object is %q", body)
	}

	stopped, stop := context.WithCancel(t.Context())
	stop()
	report = RunOnce(stopped, db.Name, db.Datasets, ingest.DefaultKeyTemplate, s.source, s.lake, s.parts.Log)
	if users := report.Results.Of("users"); report.Status != ingest.Failed || users.Code != ingest.Shutdown {
		t.Errorf("after an interrupt: got status %s and %+v, want an error that says so", report.Status, users)
	}
}
