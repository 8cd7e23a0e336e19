package postgresql

import (
	"testing"

	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

func TestConformance(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE SEQUENCE cuenta")
	must(t, s.admin, "CREATE TABLE secreta (id bigint)")
	must(t, s.admin, "REVOKE ALL ON secreta FROM "+s.reader)
	extracttest.Run(t, extracttest.Fixture{
		Source:    func(t *testing.T, access extracttest.Access) engine.Source { return s.source(t, access) },
		Server:    s,
		Secret:    readerPassword,
		Rows:      100_000,
		Slow:      "SELECT pg_sleep(60)::text AS a",
		Failing:   "SELECT 1 / (random() * 0)::int AS a FROM generate_series(1, 10)",
		Writing:   "SELECT nextval('cuenta') AS a",
		Forbidden: "secreta",
	})
}
