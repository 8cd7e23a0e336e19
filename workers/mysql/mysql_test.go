package mysql

import (
	"testing"

	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

func TestConformance(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE una (id bigint PRIMARY KEY)")
	must(t, s.admin, "INSERT INTO una VALUES (1)")
	must(t, s.admin, "CREATE TABLE apuntes (id bigint)")
	must(t, s.admin, "CREATE FUNCTION apunta() RETURNS int DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO apuntes VALUES (1); RETURN 1; END")
	extracttest.Run(t, extracttest.Fixture{
		Source:    func(t *testing.T, access extracttest.Access) engine.Source { return s.source(t, access) },
		Server:    s,
		Secret:    readerPassword,
		Rows:      100_000,
		Slow:      "SELECT SLEEP(60) AS a FROM una",
		Failing:   "SELECT 9223372036854775807 + id AS a FROM una",
		Writing:   "SELECT apunta() AS a FROM una",
		Forbidden: "mysql.user",
	})
}
