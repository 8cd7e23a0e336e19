package postgresql

import (
	"regexp"
	"testing"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

func TestVersion(t *testing.T) {
	s := newServer(t)
	version, err := s.source(t, extracttest.Granted).(*Source).Version(t.Context())
	if err != nil || !regexp.MustCompile(`^\d+\.\d+`).MatchString(version) {
		t.Errorf("the version is %q, %v; want one that begins with two numbers", version, err)
	}
	if _, err = s.source(t, extracttest.WrongPassword).(*Source).Version(t.Context()); !ingest.HasCode(err, ingest.SourceDenied) {
		t.Errorf("asking with a wrong password: %v, want %s", err, ingest.SourceDenied)
	}
	if _, err = s.source(t, extracttest.ClosedPort).(*Source).Version(t.Context()); !ingest.HasCode(err, ingest.SourceUnavailable) {
		t.Errorf("asking where nobody listens: %v, want %s", err, ingest.SourceUnavailable)
	}
}
