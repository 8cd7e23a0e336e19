package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/pharmavida/ingesta/shared/config"
)

// longestToken bounds what is decoded for somebody who may be nobody.
const longestToken = 8 << 10

// Guard checks who makes a request.
type Guard struct {
	parser  *jwt.Parser // nil: everyone is let in
	methods []string    // the algorithms that are accepted
	secret  []byte
	keys    *keySet // nil with a secret
	secure  bool    // cookies are for https alone
	leeway  time.Duration
}

// New returns the guard of a valid configuration. now is the time by which tokens are judged.
func New(cfg Config, now func() time.Time, log *slog.Logger) *Guard {
	if cfg.Mode != JWT {
		return &Guard{}
	}
	g := &Guard{
		secret: []byte(cfg.Secret.Reveal()), methods: []string{jwt.SigningMethodHS256.Alg()},
		secure: cfg.Environment == config.Production, leeway: cfg.Leeway,
	}
	if cfg.JWKSURL != "" {
		g.keys = newKeySet(cfg.JWKSURL, log)
		g.methods = []string{jwt.SigningMethodRS256.Alg(), jwt.SigningMethodES256.Alg()}
	}
	g.parser = jwt.NewParser(jwt.WithValidMethods(g.methods), jwt.WithStrictDecoding(), jwt.WithTimeFunc(now), jwt.WithLeeway(cfg.Leeway),
		jwt.WithExpirationRequired(), jwt.WithIssuer(cfg.Issuer), jwt.WithAudience(cfg.Audience))
	return g
}

// Run keeps the issuer's keys fresh until ctx ends. Without it a guard that needs keys has none.
func (g *Guard) Run(ctx context.Context) {
	if g.keys != nil {
		g.keys.run(ctx)
	}
}

// Ready returns nil when tokens can be checked, else why not, safe to show.
func (g *Guard) Ready() error {
	if g.keys != nil && !g.keys.known() {
		return errors.New("the keys of the tokens' issuer have not been fetched yet")
	}
	return nil
}

// Authenticate returns who sent a request with the header: whose token it carries under Authorization,
// or else in a cookie. Its errors are *Error, or what the end of ctx says while it waits for the
// issuer's keys.
func (g *Guard) Authenticate(ctx context.Context, header http.Header) (Caller, error) {
	if g.parser == nil {
		return everyone(), nil
	}
	if len(header.Values("Authorization")) == 0 {
		if token, err := g.carried(header); err != nil {
			return Caller{}, err
		} else if token != "" {
			return g.check(ctx, token)
		}
	}
	token, err := bearer(header)
	if err != nil {
		return Caller{}, err
	}
	return g.check(ctx, token)
}

func everyone() Caller { return Caller{Subject: Anyone, scopes: []string{string(Admin)}} }

// check returns whose the token is, with the errors of Authenticate.
func (g *Guard) check(ctx context.Context, raw string) (Caller, error) {
	claims := jwt.MapClaims{} // a struct would take "EXP" for "exp"
	token, err := g.parser.ParseWithClaims(raw, claims, func(t *jwt.Token) (any, error) { return g.key(ctx, t) })
	if err != nil {
		return Caller{}, g.refusal(token, claims, err)
	}
	caller, err := callerOf(claims)
	if end, _ := claims.GetExpirationTime(); err == nil && end != nil { // the parser has demanded one
		caller.Until = end.Add(g.leeway)
	}
	return caller, err
}

// bearer returns the token that the header carries, or an *Error.
func bearer(header http.Header) (string, error) {
	values := header.Values("Authorization")
	if len(values) == 0 {
		return "", &Error{Reason: Missing, Message: "the request carries no token: send one in the header Authorization, after the word Bearer"}
	}
	if len(values) > 1 {
		return "", invalid("the header Authorization is given twice")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return "", &Error{Reason: Missing, Message: "the header Authorization carries no bearer token: its first word must be Bearer"}
	case token == "":
		return "", invalid("the token is empty")
	case len(token) > longestToken:
		return "", tooLong()
	}
	return token, nil
}

func tooLong() *Error { return invalid(fmt.Sprintf("the token has more than %d bytes", longestToken)) }

// key returns the key that must have signed the token, or an *Error. Its algorithm is one of ours
// by now.
func (g *Guard) key(ctx context.Context, token *jwt.Token) (any, error) {
	if _, demands := token.Header["crit"]; demands {
		return nil, invalid("the token demands extensions (crit), and none is known here")
	}
	if g.keys == nil {
		return g.secret, nil
	}
	kid, _ := token.Header["kid"].(string)
	if kid == "" {
		return nil, invalid("the token does not name the key that signed it (kid)")
	}
	return g.keys.lookup(ctx, keyName{kid: kid, algorithm: token.Method.Alg()})
}

// refusal puts the library's error into words of our own: its text may hold parts of the token.
func (g *Guard) refusal(token *jwt.Token, claims jwt.MapClaims, err error) error {
	if refused, ok := errors.AsType[*Error](err); ok {
		return refused
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if token != nil {
		if algorithm, ok := token.Header["alg"].(string); ok && !slices.Contains(g.methods, algorithm) {
			return invalid("the token is not signed with " + strings.Join(g.methods, " or "))
		}
	}
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed), errors.Is(err, jwt.ErrTokenUnverifiable):
		return invalid("the token is malformed")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return invalid("the signature of the token is wrong")
	case errors.Is(err, jwt.ErrInvalidType):
		return invalid("a claim of the token is of the wrong type")
	case errors.Is(err, jwt.ErrTokenExpired):
		return invalid("the token has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return invalid("the token is not valid yet (nbf)")
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return invalid("the token is of another issuer (iss)")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return invalid("the token is not for this audience (aud)")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		for _, name := range []string{"exp", "iss", "aud"} {
			if _, given := claims[name]; !given {
				return invalid("the token lacks the claim " + name)
			}
		}
		return invalid("a claim of the token is empty")
	default:
		return invalid("the token is not valid")
	}
}
