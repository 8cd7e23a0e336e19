package postgresql

import (
	"testing"

	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

func TestConformance(t *testing.T) {
	conformance(t, extracttest.Fixture{}, func(*Source) {})
}

// TestConformanceInRanges holds tables of some pages, which are not worth it, to the same contract
// when several connections read them.
func TestConformanceInRanges(t *testing.T) {
	conformance(t, extracttest.Fixture{Pieces: true}, cutSmall)
}

// cutSmall has a source read every table of more than a few pages over three connections.
func cutSmall(s *Source) { s.parallel, s.large, s.rangeOf = 3, 1, 64<<10 }

func conformance(t *testing.T, f extracttest.Fixture, change func(*Source)) {
	s := newServer(t)
	must(t, s.admin, "CREATE SEQUENCE cuenta")
	must(t, s.admin, "CREATE TABLE secreta (id bigint)")
	must(t, s.admin, "REVOKE ALL ON secreta FROM "+s.reader)
	f.Source = func(t *testing.T, access extracttest.Access) engine.Source {
		source := s.source(t, access)
		change(source)
		return source
	}
	f.Server, f.Secret = s, readerPassword
	f.Rows, f.Batches = 100_000, true
	f.Slow = "SELECT pg_sleep(60)::text AS a"
	f.Failing = "SELECT 1 / (random() * 0)::int AS a FROM generate_series(1, 10)"
	f.Writing = "SELECT nextval('cuenta') AS a"
	f.Forbidden = "secreta"
	extracttest.Run(t, f)
}
