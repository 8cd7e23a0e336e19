package auth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/config"
)

func shared() Config {
	return Config{Mode: JWT, Secret: secret, Issuer: "us", Audience: "ingesta", Environment: config.Development}
}

func TestMintedTokensAreLetIn(t *testing.T) {
	now := time.Date(2025, 1, 2, 15, 30, 45, 678_000_000, time.UTC)
	clock := now
	g, _ := guarding(t, func() time.Time { return clock }, "AUTH_MODE=jwt", "AUTH_JWT_SECRET="+secret, "AUTH_ISSUER=us", "AUTH_AUDIENCE=ingesta", "AUTH_LEEWAY=0s")
	token, err := Mint(shared(), Claims{Subject: "ana", Scopes: []Scope{Run, Read}, TTL: time.Hour}, now)
	if err != nil {
		t.Fatal(err)
	}
	caller, refused := present(t, g, token)
	if refused != nil || caller.Subject != "ana" || caller.Require(Run) != nil || caller.Require(Read) != nil || caller.Require(Admin) == nil {
		t.Errorf("%+v, %v; want ana, who may run and read and no more", caller, refused)
	}
	clock = now.Add(time.Hour)
	_, refused = present(t, g, token)
	wantRefusal(t, refused, Invalid, "expired")

	other := shared()
	other.Audience = "another"
	clock = now
	if token, err = Mint(other, Claims{Subject: "ana", Scopes: []Scope{Run}, TTL: time.Hour}, now); err != nil {
		t.Fatal(err)
	}
	_, refused = present(t, g, token)
	wantRefusal(t, refused, Invalid, "audience")
}

func TestMintRefuses(t *testing.T) {
	good := Claims{Subject: "ana", Scopes: []Scope{Read}, TTL: time.Hour}
	tests := []struct {
		name    string
		cfg     func(*Config)
		claims  func(*Claims)
		notOurs bool
		want    string
	}{
		{"production", func(c *Config) { c.Environment = config.Production }, nil, true, "production"},
		{"published keys", func(c *Config) { c.Secret, c.JWKSURL = "", "https://id.example/keys" }, nil, true, "AUTH_JWKS_URL"},
		{"keys beside the secret", func(c *Config) { c.JWKSURL = "https://id.example/keys" }, nil, true, "AUTH_JWKS_URL"},
		{"nobody asks", func(c *Config) { c.Mode = None }, nil, true, "AUTH_MODE is none"},
		{"no secret", func(c *Config) { c.Secret = "" }, nil, false, "AUTH_JWT_SECRET"},
		{"short secret", func(c *Config) { c.Secret = config.Secret(secret[1:]) }, nil, false, "31 bytes"},
		{"no issuer", func(c *Config) { c.Issuer = "" }, nil, false, "AUTH_ISSUER"},
		{"no subject", nil, func(c *Claims) { c.Subject = "" }, false, "needs a subject"},
		{"subject with a line", nil, func(c *Claims) { c.Subject = "a\nb" }, false, "printable"},
		{"no scope", nil, func(c *Claims) { c.Scopes = nil }, false, "needs a scope"},
		{"unknown scope", nil, func(c *Claims) { c.Scopes = []Scope{"ingesta:all"} }, false, `no scope "ingesta:all"`},
		{"no time", nil, func(c *Claims) { c.TTL = 0 }, false, "not for 0s"},
		{"a year", nil, func(c *Claims) { c.TTL = 366 * 24 * time.Hour }, false, "good for 1s to 720h0m0s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, claims := shared(), good
			if tt.cfg != nil {
				tt.cfg(&cfg)
			}
			if tt.claims != nil {
				tt.claims(&claims)
			}
			token, err := Mint(cfg, claims, time.Now())
			if err == nil || token != "" || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrNotOurs) != tt.notOurs {
				t.Errorf("got %q, %v; want an error that says %q", token, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), secret[1:]) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}
