package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/deploy/e2e/testbed"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// system is the product with something to show: a table that takes as long as a test wants, one of
// which nobody has heard, and the demo data of the stack.
type system struct {
	*testbed.System
	wire    *testbed.Wire // to PostgreSQL
	guarded string        // address of a second gateway, which asks for tokens
	issuer  auth.Config
}

// rows are those of the large table; at rate bytes a second its export takes some seconds.
const (
	rows = 20_000
	rate = 700_000
)

// newSystem starts the product. Everything ends with the test.
func newSystem(t *testing.T) *system {
	t.Helper()
	bed := testbed.Join(t)
	s := &system{wire: bed.NewWire(t, "POSTGRES")}
	table := "navegador_" + strings.ReplaceAll(stacktest.VHost(t), "-", "_") // no other test's
	fill(t, bed, table)
	catalog := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(catalog, fmt.Appendf(nil, `
version: 1
databases:
  - name: mongodb
    datasets:
      - {name: medicos, collection: medicos, columns: [_id, {name: cmp, mask: hash}, nombre, especialidad]}
  - name: mysql
    datasets:
      - {name: users, table: users}
      - {name: recargas, table: recargas_que_no_existen}
  - name: postgresql
    datasets:
      - {name: grande, table: %s}
      - {name: productos, table: productos}
`, table), 0o600); err != nil {
		t.Fatal(err)
	}
	s.System = bed.NewSystem(t, "CATALOG_FILE="+catalog, "INGESTA_MASK_SALT=0123456789abcdef0123456789abcdef",
		"AUTH_MODE=none", "INGESTA_RETRY_DELAYS=100ms", "INGESTA_MAX_FAILURES=2", "INGESTA_POSTGRES_PARALLEL=1")
	s.Work(ingest.PostgreSQL, s.wire.Env()...)
	s.Work(ingest.MySQL)
	s.Work(ingest.MongoDB)

	port := stacktest.FreePort(t)
	s.guarded = fmt.Sprintf("http://127.0.0.1:%d", port)
	s.issuer = auth.Config{
		Mode: auth.JWT, Secret: config.Secret(strings.Repeat("k", 40)), Issuer: "https://issuer.example", Audience: "ingesta", Leeway: time.Second,
	}
	guarded := s.Spawn("gateway-guarded", "gateway", s.guarded, fmt.Sprintf("GATEWAY_PORT=%d", port),
		"AUTH_MODE=jwt", "AUTH_JWT_SECRET="+s.issuer.Secret.Reveal(), "AUTH_ISSUER="+s.issuer.Issuer, "AUTH_AUDIENCE="+s.issuer.Audience, "AUTH_LEEWAY=1s")
	s.Eventually("the guarded gateway is ready", guarded.Ready)
	return s
}

// fill makes the large table. It is dropped when the test ends.
func fill(t *testing.T, bed *testbed.Servers, table string) {
	t.Helper()
	statement := func(text string) {
		ctx := context.WithoutCancel(t.Context())
		conn, err := bed.PostgreSQL(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	statement(fmt.Sprintf(`
		CREATE TABLE %[1]s (id integer PRIMARY KEY, texto text, clave_interna text);
		INSERT INTO %[1]s SELECT i, repeat('abcdefghij', 20), 'x' FROM generate_series(1, %[2]d) i;
		GRANT SELECT ON %[1]s TO %[3]s; ANALYZE %[1]s`, table, rows, bed.Env["POSTGRES_USER"]))
	t.Cleanup(func() { statement("DROP TABLE " + table) })
}

// token makes a token of the guarded gateway that is good for so long; a negative time is over.
func (s *system) token(t *testing.T, ttl time.Duration, scopes ...auth.Scope) string {
	t.Helper()
	begin := time.Now()
	if ttl < 0 {
		begin, ttl = begin.Add(ttl-time.Hour), time.Hour
	}
	token, err := auth.Mint(s.issuer, auth.Claims{Subject: "ana.perez", Scopes: scopes, TTL: ttl}, begin)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// run has a job done and returns its id once it is over.
func (s *system) run(t *testing.T, db ingest.Database, want ingest.Status, datasets ...string) (id string) {
	t.Helper()
	id = s.Submit(db, datasets...)
	if job := s.Ended(id); job.Status != want {
		t.Fatalf("the job of %v ended as %s, want %s: %+v", datasets, job.Status, want, job.Results)
	}
	return id
}

// letter has a command become a dead letter that can be replayed: its source is away until it has no
// attempt left.
func (s *system) letter(t *testing.T) {
	t.Helper()
	s.wire.Cut()
	s.run(t, ingest.PostgreSQL, ingest.Failed, "productos")
	s.wire.Mend()
}
