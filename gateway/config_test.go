package gateway

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
)

func TestConfig(t *testing.T) {
	production := []string{"INGESTA_ENV=production", "REDIS_PASSWORD=s0me-0wn", "RABBITMQ_PASSWORD=s0me-0wn"}
	production = slices.Clip(production)
	jwt := slices.Clip(append(production, "AUTH_MODE=jwt", "AUTH_ISSUER=https://id.example/", "AUTH_AUDIENCE=ingesta"))
	tests := []struct {
		name    string
		environ []string
		want    string // part of the error, empty for none
	}{
		{"nothing is said of auth", nil, "AUTH_MODE is not set"},
		{"no auth in development", []string{"AUTH_MODE=none"}, ""},
		{"jwt without settings", []string{"AUTH_MODE=jwt"}, "AUTH_MODE=jwt needs AUTH_ISSUER"},
		{"unknown auth", []string{"AUTH_MODE=basic"}, `unknown mode "basic"`},
		{"production without a decision", production, "AUTH_MODE is not set"},
		{"production with an open door", append(production, "AUTH_MODE=none"), "refused in production"},
		{"production with a secret", append(jwt, "AUTH_JWT_SECRET=0123456789abcdef0123456789abcdef"), ""},
		{"production with a known secret", append(jwt, "AUTH_JWT_SECRET=a-string-secret-at-least-256-bits-long"), "AUTH_JWT_SECRET is a sample"},
		{"production with published keys", append(jwt, "AUTH_JWKS_URL=https://id.example/keys"), ""},
		{"production with keys over http", append(jwt, "AUTH_JWKS_URL=http://id.example/keys"), "AUTH_JWKS_URL must be https in production"},
		{"port", []string{"GATEWAY_PORT=70000"}, "GATEWAY_PORT 70000 is not a port"},
		{"key template", []string{"INGESTA_KEY_TEMPLATE={database}/{object}.csv"}, "lacks {stamp}"},
		{"climbing key template", []string{"INGESTA_KEY_TEMPLATE=../{database}/{object}_{stamp}.csv"}, "INGESTA_KEY_TEMPLATE"},
		{"default wait beyond the longest", []string{"INGESTA_DEFAULT_WAIT=10m"}, "INGESTA_DEFAULT_WAIT (10m0s) must lie between"},
		{"negative wait", []string{"INGESTA_DEFAULT_WAIT=-1s"}, "INGESTA_DEFAULT_WAIT"},
		{"rates", []string{"AUTH_MODE=none", "INGESTA_RATE_RUN=600/m", "INGESTA_RATE_READ=off"}, ""},
		{"a rate with a burst", []string{"AUTH_MODE=none", "INGESTA_RATE_RUN=1/h,burst=10"}, ""},
		{"no rate", []string{"INGESTA_RATE_RUN=0/s"}, "INGESTA_RATE_RUN: "},
		{"a rate of no unit", []string{"INGESTA_RATE_RUN=20"}, `INGESTA_RATE_RUN: "20" is not a rate: use a form like 20/s`},
		{"a rate in days", []string{"INGESTA_RATE_READ=20/d"}, "INGESTA_RATE_READ: "},
		{"a rate with a space", []string{"INGESTA_RATE_READ=20/s, burst=5"}, "INGESTA_RATE_READ: "},
		{"a rate without a burst's number", []string{"INGESTA_RATE_READ=20/s,burst="}, "like burst=500"},
		{"a negative rate", []string{"INGESTA_RATE_READ=-1/s"}, "INGESTA_RATE_READ: "},
		{"an origin", []string{"AUTH_MODE=none", "INGESTA_CORS_ORIGINS=https://a.example, http://localhost:3000"}, ""},
		{"every origin", []string{"INGESTA_CORS_ORIGINS=*"}, "INGESTA_CORS_ORIGINS: * would let every page"},
		{"an origin with a path", []string{"INGESTA_CORS_ORIGINS=https://a.example/"}, "INGESTA_CORS_ORIGINS"},
		{"an origin in upper case", []string{"INGESTA_CORS_ORIGINS=https://A.example"}, "INGESTA_CORS_ORIGINS"},
		{"an origin twice", []string{"INGESTA_CORS_ORIGINS=https://a.example,https://a.example"}, "named twice"},
		{"an address for a network", []string{"INGESTA_TRUSTED_PROXIES=10.0.0.1"}, "INGESTA_TRUSTED_PROXIES"},
		{"a network that is none", []string{"INGESTA_TRUSTED_PROXIES=10.0.0.1/8"}, "INGESTA_TRUSTED_PROXIES"},
		{"networks", []string{"AUTH_MODE=none", "INGESTA_TRUSTED_PROXIES=10.0.0.0/8,fd00::/8"}, ""},
		{"no interval", []string{"INGESTA_RECONCILE_INTERVAL=0s"}, "INGESTA_RECONCILE_INTERVAL must be positive"},
		{"no outbox age", []string{"INGESTA_OUTBOX_AGE=-1s"}, "INGESTA_OUTBOX_AGE must be positive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var cfg Config
			_, err := config.Load(&cfg, tt.environ)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused with %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error that says %q", err, tt.want)
			}
		})
	}
	var cfg Config
	if _, err := config.Load(&cfg, []string{"AUTH_MODE=none"}); err != nil || cfg.Port != 8000 || cfg.API.DefaultWait != 0 || cfg.API.MaxWait != 5*time.Minute ||
		cfg.Jobs.KeyTemplate != ingest.DefaultKeyTemplate {
		t.Errorf("the defaults are %+v, %v", cfg, err)
	}
}
