package auth

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/gateway/auth/authtest"
	"github.com/pharmavida/ingesta/shared/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guarding returns a running guard with the settings, and its log.
func guarding(t *testing.T, now func() time.Time, environ ...string) (*Guard, *bytes.Buffer) {
	t.Helper()
	var cfg Config
	if _, err := config.Load(&cfg, environ); err != nil {
		t.Fatal(err)
	}
	var logs bytes.Buffer // complete once the guard has ended
	g := New(cfg, now, slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	run(t, g)
	return g, &logs
}

// run lets the guard run until the test ends.
func run(t *testing.T, g *Guard) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// present authenticates with a bearer token.
func present(t *testing.T, g *Guard, token string) (Caller, *Error) {
	t.Helper()
	return presentHeader(t, g, http.Header{"Authorization": {"Bearer " + token}})
}

func presentHeader(t *testing.T, g *Guard, header http.Header) (Caller, *Error) {
	t.Helper()
	caller, err := g.Authenticate(t.Context(), header)
	refused, ok := errors.AsType[*Error](err)
	if err != nil && !ok {
		t.Fatalf("the error is no *Error: %v", err)
	}
	return caller, refused
}

// wantRefusal checks reason and message of a refusal, and that it fits a header.
func wantRefusal(t *testing.T, refused *Error, reason Reason, says string) {
	t.Helper()
	switch {
	case refused == nil:
		t.Error("let in")
	case refused.Reason != reason || !strings.Contains(refused.Message, says):
		t.Errorf("refused with reason %d, %v; want %d and %q", refused.Reason, refused, reason, says)
	case strings.ContainsFunc(refused.Message, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }):
		t.Errorf("the message cannot stand in a header: %q", refused.Message)
	}
}

const secret = "0123456789abcdef0123456789abcdef"

func TestForgeriesAreRefused(t *testing.T) {
	issuer := authtest.New(t)
	forgeries := issuer.Forgeries()
	g, _ := guarding(t, time.Now, issuer.Environ()...)
	for _, forgery := range forgeries {
		t.Run(forgery.Name, func(t *testing.T) {
			_, refused := present(t, g, forgery.Token)
			wantRefusal(t, refused, Invalid, forgery.Says)
			if refused == nil {
				return
			}
			for _, part := range strings.Split(forgery.Token, ".") {
				if len(part) > 8 && strings.Contains(refused.Error()+refused.Challenge(), part) {
					t.Errorf("the refusal shows a part of the token: %v", refused)
				}
			}
			if strings.Contains(refused.Error()+refused.Challenge(), "mall") {
				t.Errorf("the refusal shows a claim: %v", refused)
			}
		})
	}
	for name, token := range map[string]string{"RS256": issuer.RS256(issuer.Claims("ana", "a")), "ES256": issuer.ES256(issuer.Claims("ana", "a"))} {
		if caller, refused := present(t, g, token); refused != nil || caller.Subject != "ana" {
			t.Errorf("%s: %+v, %v; want ana let in", name, caller, refused)
		}
	}
}

func TestSecret(t *testing.T) {
	issuer := authtest.New(t)
	g, _ := guarding(t, time.Now, "AUTH_MODE=jwt", "AUTH_JWT_SECRET="+secret, "AUTH_ISSUER=us", "AUTH_AUDIENCE="+authtest.Audience)
	claims := issuer.Claims("ana")
	claims["iss"] = "us"
	if caller, refused := present(t, g, issuer.HS256(claims, secret)); refused != nil || caller.Subject != "ana" {
		t.Errorf("%+v, %v; want ana let in", caller, refused)
	}
	_, refused := present(t, g, issuer.HS256(claims, secret+" "))
	wantRefusal(t, refused, Invalid, "signature")
	_, refused = present(t, g, issuer.RS256(claims))
	wantRefusal(t, refused, Invalid, "not signed with HS256")
	if err := g.Ready(); err != nil {
		t.Errorf("a guard with a secret is not ready: %v", err)
	}
	if issuer.Asked() > 0 {
		t.Error("a guard with a secret asked for keys")
	}
}

// Ours or the issuer's clock may be wrong by the leeway, and by no more.
func TestClocks(t *testing.T) {
	issuer := authtest.New(t)
	var now time.Time
	g, _ := guarding(t, func() time.Time { return now }, append(issuer.Environ(), "AUTH_LEEWAY=1m")...)
	begin := time.Now().Truncate(time.Second)
	claims := issuer.Claims("ana")
	claims["nbf"], claims["exp"] = begin.Unix(), begin.Add(time.Hour).Unix()
	token := issuer.RS256(claims)
	for _, tt := range []struct {
		at   time.Duration
		says string // empty: let in
	}{
		{-10 * time.Minute, "not valid yet"}, {-61 * time.Second, "not valid yet"}, {-59 * time.Second, ""}, {0, ""},
		{time.Hour + 59*time.Second, ""}, {time.Hour + 61*time.Second, "has expired"}, {time.Hour + 10*time.Minute, "has expired"},
	} {
		now = begin.Add(tt.at)
		_, refused := present(t, g, token)
		if tt.says != "" {
			wantRefusal(t, refused, Invalid, tt.says)
		} else if refused != nil {
			t.Errorf("at %s: %v", tt.at, refused)
		}
	}
}

func TestHeader(t *testing.T) {
	issuer := authtest.New(t)
	g, _ := guarding(t, time.Now, issuer.Environ()...)
	good := issuer.RS256(issuer.Claims("ana"))
	tests := []struct {
		name   string
		values []string
		reason Reason
		says   string // empty: let in
	}{
		{"bearer", []string{"Bearer " + good}, 0, ""},
		{"in lower case", []string{"bearer " + good}, 0, ""},
		{"in upper case", []string{"BEARER  " + good}, 0, ""},
		{"none", nil, Missing, "carries no token"},
		{"empty", []string{""}, Missing, "no bearer token"},
		{"another scheme", []string{"Basic YW5hOmFuYQ=="}, Missing, "no bearer token"},
		{"the token alone", []string{good}, Missing, "no bearer token"},
		{"no token", []string{"Bearer"}, Invalid, "is empty"},
		{"nothing but spaces", []string{"Bearer   "}, Invalid, "is empty"},
		{"twice", []string{"Bearer " + good, "Bearer " + good}, Invalid, "twice"},
		{"twice, by scheme", []string{"Basic YW5hOmFuYQ==", "Bearer " + good}, Invalid, "twice"},
		{"too long", []string{"Bearer " + strings.Repeat("x", 8193)}, Invalid, "more than 8192 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, refused := presentHeader(t, g, http.Header{"Authorization": tt.values})
			if tt.says != "" {
				wantRefusal(t, refused, tt.reason, tt.says)
			} else if refused != nil {
				t.Error(refused)
			}
		})
	}
}

func TestScopes(t *testing.T) {
	issuer := authtest.New(t)
	g, _ := guarding(t, time.Now, issuer.Environ()...)
	tests := []struct {
		name       string
		scope, scp any
		run, read  bool
	}{
		{"none", nil, nil, false, false},
		{"run", "ingesta:run", nil, true, false},
		{"read among others", "openid  ingesta:read profile", nil, false, true},
		{"a list", []string{"ingesta:run", "ingesta:read"}, nil, true, true},
		{"scp", nil, "ingesta:read", false, true},
		{"scp, a list", nil, []string{"openid", "ingesta:run"}, true, false},
		{"both claims", "ingesta:run", []string{"ingesta:read"}, true, true},
		{"admin", "ingesta:admin", nil, true, true},
		{"beginnings", "ingesta: ingesta ingesta:rea ingesta:running ingesta:adm", nil, false, false},
		{"in another case", "INGESTA:RUN Ingesta:Admin", nil, false, false},
		{"joined otherwise", "ingesta:run,ingesta:read", nil, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			claims := issuer.Claims("ana")
			delete(claims, "scope")
			if tt.scope != nil {
				claims["scope"] = tt.scope
			}
			if tt.scp != nil {
				claims["scp"] = tt.scp
			}
			caller, refused := present(t, g, issuer.ES256(claims))
			if refused != nil {
				t.Fatal(refused)
			}
			for scope, want := range map[Scope]bool{Run: tt.run, Read: tt.read} {
				err := caller.Require(scope)
				if (err == nil) != want {
					t.Errorf("%s: %v, want %t", scope, err, want)
				}
				refused, isRefusal := errors.AsType[*Error](err)
				if err != nil && (!isRefusal || refused.Reason != Forbidden || !strings.Contains(refused.Challenge(), `scope="`+string(scope)+`"`)) {
					t.Errorf("%s: the refusal is %+v", scope, err)
				}
			}
		})
	}
}

func TestSubjects(t *testing.T) {
	issuer := authtest.New(t)
	g, _ := guarding(t, time.Now, issuer.Environ()...)
	for _, subject := range []string{"7", "auth0|5f7c", "ana@example.com", "CN=Ana Pérez, O=Botica", strings.Repeat("x", 255)} {
		if caller, refused := present(t, g, issuer.RS256(issuer.Claims(subject))); refused != nil || caller.Subject != subject {
			t.Errorf("%q became %q, %v", subject, caller.Subject, refused)
		}
	}
}

func TestNone(t *testing.T) {
	for _, environ := range [][]string{{"AUTH_MODE=none"}, {"AUTH_MODE=none", "AUTH_JWKS_URL=http://127.0.0.1:1"}} {
		g, _ := guarding(t, time.Now, environ...)
		caller, refused := presentHeader(t, g, http.Header{"Authorization": {"Bearer nonsense"}})
		if refused != nil || caller.Subject != "system" || caller.Require(Run) != nil || caller.Require(Read) != nil || g.Ready() != nil {
			t.Errorf("%v: %+v, %v; want everyone let in as system", environ, caller, refused)
		}
	}
}

func TestNothingIsLogged(t *testing.T) {
	issuer := authtest.New(t)
	forgeries := issuer.Forgeries()
	var logs *bytes.Buffer
	var tokens []string
	t.Run("tokens", func(t *testing.T) {
		var g *Guard
		g, logs = guarding(t, time.Now, issuer.Environ()...)
		for _, forgery := range forgeries {
			_, _ = present(t, g, forgery.Token)
			tokens = append(tokens, strings.Split(forgery.Token, ".")...)
		}
	})
	if !strings.Contains(logs.String(), "fetched") {
		t.Fatalf("this is not the guard's log: %s", logs)
	}
	for _, part := range tokens {
		if len(part) > 8 && strings.Contains(logs.String(), part) {
			t.Fatalf("the log shows a part of a token: %s", logs)
		}
	}
}

func TestConfig(t *testing.T) {
	jwt := func(more ...string) []string {
		return append([]string{"AUTH_MODE=jwt", "AUTH_ISSUER=https://id.example/", "AUTH_AUDIENCE=ingesta"}, more...)
	}
	const ofSecret, ofKeys = "AUTH_JWT_SECRET=" + secret, "AUTH_JWKS_URL=https://id.example/keys"
	tests := []struct {
		name    string
		environ []string
		want    string // part of the error, empty for none
	}{
		{"nothing", nil, "AUTH_MODE is not set: jwt asks callers for a token, none lets everyone in"},
		{"nothing said", []string{"AUTH_MODE="}, "AUTH_MODE is not set"},
		{"nobody is asked", []string{"AUTH_MODE=none"}, ""},
		{"secret", jwt(ofSecret), ""},
		{"keys", jwt(ofKeys), ""},
		{"keys over http", jwt("AUTH_JWKS_URL=http://id.example/keys"), ""},
		{"neither", jwt(), "either AUTH_JWT_SECRET or AUTH_JWKS_URL"},
		{"both", jwt(ofSecret, ofKeys), "either AUTH_JWT_SECRET or AUTH_JWKS_URL"},
		{"short secret", jwt("AUTH_JWT_SECRET=" + secret[1:]), "AUTH_JWT_SECRET has 31 bytes"},
		{"no issuer", []string{"AUTH_MODE=jwt", "AUTH_AUDIENCE=ingesta", ofKeys}, "AUTH_ISSUER"},
		{"no audience", []string{"AUTH_MODE=jwt", "AUTH_ISSUER=x", ofKeys}, "AUTH_AUDIENCE"},
		{"unknown mode", []string{"AUTH_MODE=basic"}, `unknown mode "basic"`},
		{"forgotten mode", []string{ofKeys}, "AUTH_MODE is not set"},
		{"forgotten mode with a secret", []string{ofSecret}, "AUTH_MODE is not set"},
		{"off for a while", []string{"AUTH_MODE=none", ofKeys}, ""},
		{"no URL", jwt("AUTH_JWKS_URL=id.example/keys"), "AUTH_JWKS_URL must be an address"},
		{"a file", jwt("AUTH_JWKS_URL=file:///etc/keys"), "AUTH_JWKS_URL must be an address"},
		{"a password in the URL", jwt("AUTH_JWKS_URL=https://ana:pw@id.example/keys"), "AUTH_JWKS_URL must hold no user"},
		{"negative leeway", []string{"AUTH_MODE=none", "AUTH_LEEWAY=-1s"}, "AUTH_LEEWAY (-1s)"},
		{"long leeway", []string{"AUTH_MODE=none", "AUTH_LEEWAY=5m1s"}, "AUTH_LEEWAY (5m1s)"},
		{"longest leeway", []string{"AUTH_MODE=none", "AUTH_LEEWAY=5m"}, ""},
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
			case err != nil && (strings.Contains(err.Error(), secret[1:]) || strings.Contains(err.Error(), "pw@")):
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}
