package jobstore

import (
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestHeartbeats(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	if got, err := s.Heartbeats(ctx); err != nil || len(got) != 0 {
		t.Fatalf("heartbeats of nobody: %+v, %v", got, err)
	}
	want := Heartbeat{
		Worker: "mysql-b", Database: ingest.MySQL, Version: "1", CatalogDigest: "d", StartedAt: time.Unix(1e9, 0).UTC(),
		Slots: 2, Busy: 1, SourceOK: true, SourceLatency: time.Millisecond, StorageError: "away", StorageLatency: time.Second,
	}
	for range 2 {
		if err := s.Heartbeat(ctx, want, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	brief := Heartbeat{Worker: "mysql-z", Database: ingest.MySQL}
	if err := s.Heartbeat(ctx, brief, 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	stacktest.Eventually(t, "the brief worker is forgotten", func() bool {
		got, err := s.Heartbeats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 2 && (got[0].Worker != "mysql-b" || got[1].Worker != "mysql-z") {
			t.Errorf("heartbeats are not in order: %+v", got)
		}
		if len(got) != 1 {
			return false
		}
		if since := time.Since(got[0].SeenAt).Abs(); since > time.Minute {
			t.Errorf("the heartbeat was seen at %v, want about now", got[0].SeenAt)
		}
		got[0].SeenAt = time.Time{}
		if got[0] != want {
			t.Errorf("the heartbeat is\n%+v, want\n%+v", got[0], want)
		}
		return true
	})
	if n := s.client.ZCard(ctx, s.prefix+"workers").Val(); n != 1 {
		t.Errorf("%d workers are remembered, want 1", n)
	}
	if err := s.Heartbeat(ctx, Heartbeat{Worker: "a b"}, time.Minute); err == nil {
		t.Error("a worker whose name has a space was accepted")
	}
}
