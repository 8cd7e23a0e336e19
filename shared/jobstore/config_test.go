package jobstore

import (
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/config"
)

func TestConfig(t *testing.T) {
	var cfg Config
	if _, err := config.Load(&cfg, nil); err != nil {
		t.Fatalf("the defaults are refused: %v", err)
	}
	if cfg.Lease != 45*time.Second || cfg.Retention != 7*24*time.Hour || cfg.MaxFailures != 5 {
		t.Errorf("defaults are %+v", cfg)
	}
	for name, spoil := range map[string]func(*Config){
		"REDIS_HOST":            func(c *Config) { c.Host = "" },
		"REDIS_PORT":            func(c *Config) { c.Port = 65536 },
		"REDIS_DB":              func(c *Config) { c.DB = -1 },
		"INGESTA_REDIS_PREFIX":  func(c *Config) { c.Prefix = "a{b}" },
		"INGESTA_MAX_FAILURES":  func(c *Config) { c.MaxFailures = 0 },
		"INGESTA_LEASE":         func(c *Config) { c.Lease = time.Microsecond },
		"INGESTA_RETENTION":     func(c *Config) { c.Retention = -time.Hour },
		"INGESTA_REDIS_TIMEOUT": func(c *Config) { c.Timeout = 0 },
	} {
		bad := cfg
		spoil(&bad)
		if _, err := Open(bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a bad %s: error is %v, want one that names it", name, err)
		}
	}
}
