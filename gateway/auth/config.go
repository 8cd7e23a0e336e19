package auth

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/pharmavida/ingesta/shared/config"
)

// Mode says how callers prove who they are.
type Mode string

// The modes. With None everyone is let in, as "system".
const (
	None Mode = "none"
	JWT  Mode = "jwt"
)

// UnmarshalText accepts the names of the modes.
func (m *Mode) UnmarshalText(text []byte) error {
	switch got := Mode(text); got {
	case None, JWT:
		*m = got
		return nil
	default:
		return fmt.Errorf("unknown mode %q: use %q or %q", text, JWT, None)
	}
}

// Config says whose tokens are good.
type Config struct {
	Mode     Mode          `env:"AUTH_MODE"`       // must be said: whoever forgets it has decided nothing
	Secret   config.Secret `env:"AUTH_JWT_SECRET"` // of HS256; either it or JWKSURL
	JWKSURL  string        `env:"AUTH_JWKS_URL"`   // where the issuer publishes its keys, for RS256 and ES256
	Issuer   string        `env:"AUTH_ISSUER"`     // what iss must be
	Audience string        `env:"AUTH_AUDIENCE"`   // what aud must hold
	Leeway   time.Duration `env:"AUTH_LEEWAY" envDefault:"30s"`

	Environment config.Mode `env:"INGESTA_ENV" envDefault:"development"` // production trusts no token of our own making
}

const (
	shortestSecret = 32 // bytes, as RFC 7518 demands of HS256
	longestLeeway  = 5 * time.Minute
)

// Validate reports every value that cannot work. That nobody is asked for a token has to be said, as
// much as that everybody is.
func (c Config) Validate() error {
	var problems []error
	complain := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Leeway < 0 || c.Leeway > longestLeeway {
		complain("AUTH_LEEWAY (%s) must lie between 0 and %s", c.Leeway, longestLeeway)
	}
	if c.JWKSURL != "" {
		if err := checkURL(c.JWKSURL); err != nil {
			complain("AUTH_JWKS_URL %w", err)
		}
	}
	if n := len(c.Secret.Reveal()); n > 0 && n < shortestSecret {
		complain("AUTH_JWT_SECRET has %d bytes and needs %d at least", n, shortestSecret)
	}
	switch c.Mode {
	case JWT:
		if (c.Secret == "") == (c.JWKSURL == "") {
			complain("AUTH_MODE=jwt needs either AUTH_JWT_SECRET or AUTH_JWKS_URL")
		}
		if c.Issuer == "" {
			complain("AUTH_MODE=jwt needs AUTH_ISSUER")
		}
		if c.Audience == "" {
			complain("AUTH_MODE=jwt needs AUTH_AUDIENCE")
		}
	case "":
		complain("AUTH_MODE is not set: jwt asks callers for a token, none lets everyone in")
	}
	return errors.Join(problems...)
}

// ValidateProduction reports what is good enough for a laptop only.
func (c Config) ValidateProduction() error {
	if c.Mode == None {
		return errors.New("AUTH_MODE=none lets everyone in and is refused in production: set AUTH_MODE=jwt")
	}
	if u, err := url.Parse(c.JWKSURL); err == nil && u.Scheme == "http" {
		return errors.New("AUTH_JWKS_URL must be https in production: whoever can change the answer makes tokens")
	}
	return nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("must be an address that begins with https:// or http://")
	case u.User != nil:
		return errors.New("must hold no user and no password: keys that are public need none")
	}
	return nil
}
