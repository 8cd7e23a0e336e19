package state

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
)

func TestStateSurvivesAReopening(t *testing.T) {
	data := t.TempDir()
	open := func() *State {
		s, err := Open(data)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	record := process.Record{ID: process.ID{PID: 7, Start: 8, Boot: "b"}, Fingerprint: "f", Port: 9}
	if err := s.SetProcess("redis", record); err != nil {
		t.Fatal(err)
	}
	if err := s.SetPorts(map[string]int{"redis": 9}); err != nil {
		t.Fatal(err)
	}
	secret, err := s.Secret("s3")
	if err != nil || len(secret) < 20 {
		t.Fatalf("secret %q, %v; want a long one", secret, err)
	}

	s = open()
	if got := s.Process("redis"); got != record {
		t.Errorf("record %+v, want %+v", got, record)
	}
	if got := s.Ports()["redis"]; got != 9 {
		t.Errorf("port %d, want 9", got)
	}
	if again, err := s.Secret("s3"); err != nil || again != secret {
		t.Errorf("secret %q, %v; want the same %q", again, err, secret)
	}
	if other, err := s.Secret("mariadb"); err != nil || other == secret {
		t.Errorf("secret %q, %v; want another", other, err)
	}
	if err := s.ForgetProcess("redis"); err != nil {
		t.Fatal(err)
	}
	if got := open().Process("redis"); got != (process.Record{}) {
		t.Errorf("a forgotten record is still %+v", got)
	}
	info, err := os.Stat(filepath.Join(data, FileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 600: it holds secrets", info.Mode(), err)
	}
}

func TestOpenRefusesABrokenFile(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, FileName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(data); err == nil {
		t.Error("a broken state passes for an empty one: its servers would never be stopped")
	}
}
