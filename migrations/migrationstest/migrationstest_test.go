package migrationstest

import (
	"testing"

	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestDatabase(t *testing.T) {
	var cfg struct {
		URL      string `env:"DATABASE_URL"`
		Database string `env:"MYSQL_DATABASE"`
	}
	admin := Admin(t, "")
	exists := func() (n int) {
		t.Helper()
		if err := admin.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?", cfg.Database).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Run("of a test", func(t *testing.T) {
		stacktest.Load(t, &cfg, Database(t)...)
		if exists() != 1 || cfg.URL != "" {
			t.Errorf("got database %q (there: %d) and address %q, want a new database and no address beside it", cfg.Database, exists(), cfg.URL)
		}
	})
	if n := exists(); n != 0 {
		t.Errorf("the database %s outlives its test", cfg.Database)
	}
}
