package engine

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers/upload"
)

const forgotten = "mysql/users_20250102_153045.csv" // a key of no job

// engine returns an engine that does not run.
func (s *system) engine() *Engine {
	s.t.Helper()
	s.parts.Metrics = prometheus.NewRegistry()
	e, err := New(s.cfg, ingest.MySQL, s.parts)
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// aged waits until every upload of the bucket is as old as the reaper wants them: the server tells
// its time in seconds.
func (s *system) aged() {
	s.t.Helper()
	stranger := s.store()
	stacktest.Eventually(s.t, "all uploads are old enough", func() bool {
		all := func(string) bool { return true }
		uploads, err := stranger.StaleUploads(s.t.Context(), "", s.cfg.ReapAge, all)
		return err == nil && len(uploads) == len(s.uploads())
	})
}

// reaped returns how many uploads the engine says that it reaped.
func reaped(t *testing.T, e *Engine) float64 {
	t.Helper()
	families, err := e.Metrics.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "ingesta_uploads_reaped_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("there is no metric of reaped uploads")
	return 0
}

func TestReaper(t *testing.T) {
	s := newSystem(t, exports{}, "INGESTA_REAP_AGE=10ms")
	queued, over := s.submit(), s.submit()
	if _, err := s.jobs.Cancel(t.Context(), over.ID); err != nil {
		t.Fatal(err)
	}
	elsewhere := s.submit() // and being worked on
	s.died(elsewhere)
	kept := []string{
		queued.Results.Of("users").Key, elsewhere.Results.Of("compras").Key,
		"mysql/notes.csv", "postgresql/productos_20250102_153045.csv", "users_20250102_153045.csv",
	}
	for _, key := range append([]string{forgotten, over.Results.Of("users").Key}, kept...) {
		s.upload(key)
	}
	// This process is writing it, in nobody's name.
	mine, err := s.lake.Create(t.Context(), forgotten, upload.Owner{JobID: "once-1", Fence: 1}, func(context.Context) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := mine.Abort(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	kept = append(kept, forgotten)
	slices.Sort(kept)
	s.aged()

	e := s.engine()
	for range 2 {
		if err := e.reapRound(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := reaped(t, e); got != 2 {
		t.Errorf("%v uploads were reaped, want 2", got)
	}
	left := s.uploads()
	slices.Sort(left)
	if !slices.Equal(left, kept) {
		t.Errorf("the uploads left are at %q, want %q", left, kept)
	}
}

// A running engine reaps.
func TestEngineReaps(t *testing.T) {
	s := newSystem(t, exports{}, "INGESTA_REAP_INTERVAL=50ms", "INGESTA_REAP_AGE=10ms")
	s.upload(forgotten)
	s.start()
	s.empty()
}

func TestReaperSparesTheYoung(t *testing.T) {
	s := newSystem(t, exports{}) // by default a day
	s.upload(forgotten)
	if err := s.engine().reapRound(t.Context()); err != nil || len(s.uploads()) != 1 {
		t.Errorf("reaping: %v, %d uploads are left, want the one", err, len(s.uploads()))
	}
}

// Who cannot be asked has not said that an upload may go.
func TestReaperNeedsBothServers(t *testing.T) {
	s := newSystem(t, exports{}, "INGESTA_REAP_AGE=10ms")
	job := s.submit()
	s.upload(job.Results.Of("users").Key)
	s.upload(forgotten)
	s.aged()

	var cfg struct{ Jobs jobstore.Config }
	stacktest.Load(t, &cfg, "REDIS_PORT=1", "INGESTA_REDIS_TIMEOUT=500ms")
	away, err := jobstore.Open(cfg.Jobs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { away.Close() })
	e := s.engine()
	e.Jobs = away
	if err := e.reapRound(t.Context()); err == nil {
		t.Error("reaping without Redis succeeded")
	}

	proxy, settings := proxied(t)
	proxy.away.Store(true)
	s.through(settings)
	if err := s.engine().reapRound(t.Context()); err == nil {
		t.Error("reaping without S3 succeeded")
	}
	if len(s.uploads()) != 2 {
		t.Errorf("the uploads left are at %q, want both", s.uploads())
	}
}

// A job that is accepted while the reaper looks has its uploads spared.
func TestReaperSparesAJobOfTheMoment(t *testing.T) {
	proxy, settings := proxied(t)
	s := newSystem(t, exports{}, "INGESTA_REAP_AGE=10ms")
	s.through(settings)
	s.upload(forgotten)
	s.aged()
	proxy.seen = func(r *http.Request) {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.RawQuery, "uploads") {
			return
		}
		_, err := s.jobs.Accept(context.WithoutCancel(t.Context()), []jobstore.Submission{{
			ID: uuid.NewString(), Database: ingest.MySQL, RequestedBy: "system",
			Targets: []ingest.Target{{Dataset: "users", Key: forgotten}},
		}}, nil)
		if err != nil {
			t.Error(err)
		}
	}
	if err := s.engine().reapRound(t.Context()); err != nil || len(s.uploads()) != 1 {
		t.Errorf("reaping: %v, %d uploads are left, want that of the new job", err, len(s.uploads()))
	}
}

// An upload that S3 does not let go keeps none of the others from going, in this round already.
func TestReaperGoesOn(t *testing.T) {
	proxy, settings := proxied(t)
	s := newSystem(t, exports{}, "INGESTA_REAP_AGE=10ms")
	s.through(settings)
	const stuck = "mysql/compras_20250102_153045.csv" // the first that S3 lists
	s.upload(stuck)
	s.upload(forgotten)
	s.aged()
	proxy.seen = func(r *http.Request) {
		proxy.away.Store(r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, stuck))
	}
	e := s.engine()
	if err := e.reapRound(t.Context()); err == nil {
		t.Error("the round does not tell of the upload that stays")
	}
	if left := s.uploads(); !slices.Equal(left, []string{stuck}) || reaped(t, e) != 1 {
		t.Errorf("the uploads left are at %q, and %v were reaped", left, reaped(t, e))
	}
}

// A round whose time is over aborts no more.
func TestReaperEnds(t *testing.T) {
	proxy, settings := proxied(t)
	s := newSystem(t, exports{}, "INGESTA_REAP_AGE=10ms")
	s.through(settings)
	s.upload(forgotten)
	s.upload(forgotten)
	s.aged()
	ctx, cancel := context.WithCancel(t.Context())
	proxy.seen = func(r *http.Request) {
		if r.Method == http.MethodDelete {
			cancel()
			proxy.away.Store(true)
		}
	}
	err := s.engine().reapRound(ctx)
	if problems, ok := err.(interface{ Unwrap() []error }); !ok || len(problems.Unwrap()) != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("the round ended with %v, want one upload that could not be aborted", err)
	}
}
