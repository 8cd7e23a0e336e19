package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/pharmavida/ingesta/shared/config"
)

// Claims are what a token of our own making says.
type Claims struct {
	Subject string
	Scopes  []Scope // at least one
	TTL     time.Duration
}

// The times that a token of our own making may be good for.
const (
	shortestTTL = time.Second // what is less is no whole number in a token
	longestTTL  = 30 * 24 * time.Hour
)

// Scopes lists every scope.
func Scopes() []Scope { return []Scope{Run, Read, Admin} }

// ErrNotOurs means that this configuration's tokens are another's to make.
var ErrNotOurs = errors.New("tokens cannot be made here")

// Mint returns a token that a gateway of the same configuration lets in from now on, for development:
// there, the secret that checks tokens makes them too. Where an issuer publishes keys, and in
// production, tokens are the issuer's to make, who knows the caller: the error is ErrNotOurs then. Other
// errors say what is wrong with the claims; none holds the secret.
func Mint(cfg Config, claims Claims, now time.Time) (string, error) {
	switch {
	case cfg.Environment == config.Production:
		return "", fmt.Errorf("%w: INGESTA_ENV is production, where your identity provider issues them", ErrNotOurs)
	case cfg.Mode != JWT:
		return "", fmt.Errorf("%w: AUTH_MODE is %s, and nobody is asked for one", ErrNotOurs, cfg.Mode)
	case cfg.JWKSURL != "":
		return "", fmt.Errorf("%w: the keys of AUTH_JWKS_URL are your identity provider's, which issues them", ErrNotOurs)
	}
	if err := cfg.Validate(); err != nil {
		return "", err
	}
	if err := claims.Validate(); err != nil {
		return "", err
	}
	scopes := make([]string, len(claims.Scopes))
	for i, scope := range claims.Scopes {
		scopes[i] = string(scope)
	}
	begin := now.Truncate(time.Second)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": cfg.Issuer, "aud": cfg.Audience, "sub": claims.Subject, "scope": strings.Join(scopes, " "),
		"iat": begin.Unix(), "nbf": begin.Unix(), "exp": begin.Add(claims.TTL).Unix(),
	}).SignedString([]byte(cfg.Secret.Reveal()))
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return token, nil
}

// Validate reports the first claim that no token may have.
func (c Claims) Validate() error {
	switch {
	case c.Subject == "":
		return errors.New("a token needs a subject")
	case !fitSubject(c.Subject):
		return errors.New("the subject cannot be recorded: it may have 255 bytes, all printable, and no space at its ends")
	case len(c.Scopes) == 0:
		return fmt.Errorf("a token needs a scope: %v", Scopes())
	case c.TTL < shortestTTL || c.TTL > longestTTL:
		return fmt.Errorf("a token is good for %s to %s, not for %s", shortestTTL, longestTTL, c.TTL)
	}
	for _, scope := range c.Scopes {
		if !slices.Contains(Scopes(), scope) {
			return fmt.Errorf("there is no scope %q: use %v", scope, Scopes())
		}
	}
	return nil
}
