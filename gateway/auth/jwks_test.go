package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway/auth/authtest"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

const never = 24 * time.Hour

// fetching returns a running guard that fetches the issuer's keys at other times than usual.
func fetching(t *testing.T, issuer *authtest.Issuer, every, pause, retry time.Duration) *Guard {
	t.Helper()
	var cfg Config
	if _, err := config.Load(&cfg, issuer.Environ()); err != nil {
		t.Fatal(err)
	}
	g := New(cfg, time.Now, slog.New(slog.DiscardHandler))
	g.keys.every, g.keys.pause, g.keys.retry, g.keys.limit = every, pause, retry, time.Second
	run(t, g)
	return g
}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // whoever asked may be gone
	}
}

func TestRotation(t *testing.T) {
	issuer := authtest.New(t)
	g := fetching(t, issuer, never, never, never)
	old := issuer.RS256(issuer.Claims("ana"))
	if _, refused := present(t, g, old); refused != nil {
		t.Fatal(refused)
	}
	asked := issuer.Asked()

	// Many requests with a new key bring about one fetch, and all are let in.
	issuer.Rotate()
	fresh := issuer.ES256(issuer.Claims("ana"))
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			if _, refused := present(t, g, fresh); refused != nil {
				t.Errorf("a new key is not known: %v", refused)
			}
		})
	}
	clients.Wait()
	if n := issuer.Asked() - asked; n != 1 {
		t.Errorf("the issuer was asked %d times, want once", n)
	}
	_, refused := present(t, g, old)
	wantRefusal(t, refused, Invalid, "does not publish")

	// Unknown keys soon after bring about none.
	issuer.Rotate()
	for range 20 {
		_, refused := present(t, g, issuer.RS256(issuer.Claims("ana")))
		wantRefusal(t, refused, Invalid, "does not publish")
	}
	if n := issuer.Asked() - asked; n != 1 {
		t.Errorf("the issuer was asked %d times, want once", n)
	}
	if _, refused := present(t, g, fresh); refused != nil {
		t.Error(refused)
	}
}

func TestUnknownKeysAfterThePause(t *testing.T) {
	issuer := authtest.New(t)
	g := fetching(t, issuer, never, 0, never)
	for range 3 {
		issuer.Rotate()
		if _, refused := present(t, g, issuer.RS256(issuer.Claims("ana"))); refused != nil {
			t.Error(refused)
		}
	}
}

func TestWithdrawnKeysEnd(t *testing.T) {
	issuer := authtest.New(t)
	g := fetching(t, issuer, 10*time.Millisecond, never, never)
	token := issuer.RS256(issuer.Claims("ana"))
	if _, refused := present(t, g, token); refused != nil {
		t.Fatal(refused)
	}
	issuer.Rotate()
	stacktest.Eventually(t, "the withdrawn key is refused", func() bool {
		_, refused := present(t, g, token)
		return refused != nil && refused.Reason == Invalid
	})
}

// What else than keys the issuer's address may answer with. None of it takes keys away.
func TestIssuerAway(t *testing.T) {
	elsewhere := authtest.New(t)
	others := string(elsewhere.Keys())
	tests := []struct {
		name   string
		answer http.HandlerFunc
		says   string // part of the cause
	}{
		{"an error with keys", answering(http.StatusServiceUnavailable, others), "answers 503"},
		{"a page", answering(http.StatusOK, "<html>maintenance</html>"), "not a set of keys"},
		{"no keys", answering(http.StatusOK, `{"keys":[]}`), "no key"},
		{"an object", answering(http.StatusOK, `{"error":"maintenance"}`), "no key"},
		{"null", answering(http.StatusOK, `null`), "no key"},
		{"no keys of use", answering(http.StatusOK, `{"keys":[{"kty":"oct","kid":"rsa-1","k":"AAAA"},7,{"kty":"OKP","kid":"x","crv":"Ed25519","x":"AAAA"}]}`), "no key"},
		{"far too much", answering(http.StatusOK, others+strings.Repeat(" ", largestSet)), "more than 1048576 bytes"},
		{"a cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.Environ()[1][len("AUTH_JWKS_URL="):], http.StatusFound)
		}, "answers 302"},
	}
	for _, tt := range tests {
		answer := tt.answer
		t.Run(tt.name, func(t *testing.T) {
			issuer := authtest.New(t)
			token := issuer.RS256(issuer.Claims("ana"))
			issuer.Answer(answer)
			g := fetching(t, issuer, 10*time.Millisecond, 0, 10*time.Millisecond)

			// Never fetched: nobody can tell what is good.
			_, refused := present(t, g, token)
			wantRefusal(t, refused, Unavailable, "cannot be asked for its keys")
			if refused != nil && (refused.Challenge() != "" || refused.Cause == nil || !strings.Contains(refused.Cause.Error(), tt.says)) {
				t.Errorf("the refusal is %+v: want no challenge, since no token helps, and the cause %q for the log", refused, tt.says)
			}
			if g.Ready() == nil {
				t.Error("a guard without keys says it is ready")
			}
			issuer.Answer(nil)
			stacktest.Eventually(t, "the keys are fetched", func() bool { return g.Ready() == nil })
			if _, refused := present(t, g, token); refused != nil {
				t.Error(refused)
			}

			// Away later: the old keys stay good, and of others nobody can tell.
			issuer.Answer(answer)
			asked := issuer.Asked()
			stacktest.Eventually(t, "the issuer was asked in vain", func() bool { return issuer.Asked() > asked+2 })
			if _, refused := present(t, g, token); refused != nil {
				t.Errorf("an old key is forgotten: %v", refused)
			}
			if err := g.Ready(); err != nil {
				t.Errorf("a guard with old keys is not ready: %v", err)
			}
			issuer.Rotate()
			fresh := issuer.ES256(issuer.Claims("ana"))
			_, refused = present(t, g, fresh)
			wantRefusal(t, refused, Unavailable, "cannot be asked for its keys")
			issuer.Answer(nil)
			stacktest.Eventually(t, "the new key is known", func() bool {
				_, refused := present(t, g, fresh)
				return refused == nil
			})
		})
	}
}

// An issuer that does not answer keeps nobody waiting for long, and nobody with a known key.
func TestSilentIssuer(t *testing.T) {
	issuer := authtest.New(t)
	g := fetching(t, issuer, never, 0, never)
	known := issuer.RS256(issuer.Claims("ana"))
	if _, refused := present(t, g, known); refused != nil {
		t.Fatal(refused)
	}
	asked, release := make(chan struct{}), make(chan struct{})
	issuer.Answer(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-release
	})
	issuer.Rotate()
	fresh := issuer.RS256(issuer.Claims("ana"))
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := g.Authenticate(ctx, http.Header{"Authorization": {"Bearer " + fresh}})
		gone <- err
	}()
	<-asked
	if _, refused := present(t, g, known); refused != nil {
		t.Error(refused)
	}
	cancel()
	err := <-gone
	if _, refused := errors.AsType[*Error](err); refused || !errors.Is(err, context.Canceled) {
		t.Errorf("a client that hangs up while the issuer is silent got %v, want nothing but that", err)
	}
	begun := time.Now()
	_, refused := present(t, g, fresh)
	wantRefusal(t, refused, Unavailable, "cannot be asked for its keys")
	if refused != nil && !strings.Contains(refused.Cause.Error(), "no answer within 1s") {
		t.Errorf("the cause is %v, want how long the issuer was silent", refused.Cause)
	}
	if took := time.Since(begun); took > lookupTimeout {
		t.Errorf("the wait took %s", took)
	}
	close(release)
}

// A guard that nobody runs refuses, rather than keep requests.
func TestGuardThatDoesNotRun(t *testing.T) {
	issuer := authtest.New(t)
	var cfg Config
	if _, err := config.Load(&cfg, issuer.Environ()); err != nil {
		t.Fatal(err)
	}
	g := New(cfg, time.Now, slog.New(slog.DiscardHandler))
	g.keys.patience = 50 * time.Millisecond
	_, refused := present(t, g, issuer.RS256(issuer.Claims("ana")))
	wantRefusal(t, refused, Unavailable, "cannot be asked for its keys")
}
