package postgresql

import (
	"fmt"
	"testing"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// A table that was emptied or rewritten since the snapshot would be exported as empty: the attempt
// fails instead, and the next one has every row.
func TestRewrittenTables(t *testing.T) {
	s := newServer(t)
	for _, statement := range []string{
		"CREATE TABLE cuentas (id bigint, saldo int)",
		"CREATE TABLE partes (id bigint, saldo int) PARTITION BY RANGE (id)",
		"CREATE TABLE partes_1 PARTITION OF partes FOR VALUES FROM (0) TO (50)",
		"CREATE TABLE partes_2 PARTITION OF partes FOR VALUES FROM (50) TO (1000)",
		"CREATE VIEW vista AS SELECT id, saldo FROM cuentas",
		"CREATE MATERIALIZED VIEW copia AS SELECT id, saldo FROM generate_series(1, 100) id, LATERAL (SELECT 1 AS saldo) s",
		"GRANT SELECT ON ALL TABLES IN SCHEMA public TO " + quoteColumn(s.config.User),
	} {
		must(t, s.admin, statement)
	}
	const refill = "INSERT INTO %[1]s SELECT i, 1 FROM generate_series(1, 100) i"
	for _, test := range []struct{ name, table, query, change string }{
		{"truncated", "cuentas", "", "TRUNCATE cuentas; " + fmt.Sprintf(refill, "cuentas")},
		{"altered", "partes", "", "ALTER TABLE partes ALTER saldo TYPE bigint; ALTER TABLE partes ALTER saldo TYPE int"},
		{"a truncated partition", "partes", "", "TRUNCATE partes_2; INSERT INTO partes SELECT i, 1 FROM generate_series(50, 100) i"},
		{"under a view", "vista", "", "TRUNCATE cuentas; " + fmt.Sprintf(refill, "cuentas")},
		{"refreshed", "copia", "", "REFRESH MATERIALIZED VIEW copia"},
		{"in a query", "", "SELECT c.id, p.saldo FROM cuentas c JOIN partes p USING (id)", "TRUNCATE partes_1; INSERT INTO partes SELECT i, 1 FROM generate_series(1, 49) i"},
	} {
		t.Run(test.name, func(t *testing.T) {
			must(t, s.admin, "TRUNCATE cuentas, partes")
			must(t, s.admin, fmt.Sprintf(refill, "cuentas"))
			must(t, s.admin, fmt.Sprintf(refill, "partes"))
			d := catalog.Dataset{Name: "d", Table: test.table, Query: test.query}
			if test.query != "" {
				d.Requires, d.Columns = []string{"cuentas", "partes"}, []catalog.Column{{Name: "id"}}
			}
			source := s.source(t, extracttest.Granted)
			before := opened(t, source)
			must(t, s.admin, test.change)
			if _, err := before.Prepare(t.Context(), d); !ingest.HasCode(err, ingest.SourceUnavailable) || !ingest.IsTransient(err) {
				t.Errorf("got %v, want a failure that may pass: the snapshot no longer shows the rows", err)
			}

			after := opened(t, source)
			extraction := prepared(t, after, d)
			if _, err := s.admin.Exec(t.Context(), "SET lock_timeout = '50ms'; "+test.change); err == nil {
				t.Error("the tables can still be rewritten between preparing and reading")
			}
			must(t, s.admin, "SET lock_timeout = 0")
			var out file
			tally, err := extraction.Run(t.Context(), &out)
			if err != nil || tally.Rows != 100 {
				t.Errorf("got %d rows and %v, want 100", tally.Rows, err)
			}
		})
	}
}
