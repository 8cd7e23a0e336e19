package auth

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway/auth/authtest"
)

// Whatever an issuer publishes, what is taken from it are keys that a check can use.
func FuzzParseKeySet(f *testing.F) {
	issuer := authtest.New(f)
	issuer.Forgeries() // with keys of no use
	f.Add(issuer.Keys())
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"a","n":"","e":""},{"kty":"EC","kid":"b","crv":"P-256"},null,[]]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		keys, err := parseKeySet(document)
		if (err == nil) == (len(keys) == 0) {
			t.Errorf("%d keys, and the error %v", len(keys), err)
		}
		for name, key := range keys {
			switch key := key.(type) {
			case *rsa.PublicKey:
				if name.algorithm != "RS256" || key.N.BitLen() < smallestModulus || key.E < 3 {
					t.Errorf("%v is an RSA key of %d bits with the exponent %d", name, key.N.BitLen(), key.E)
				}
			case *ecdsa.PublicKey:
				if _, err := key.ECDH(); name.algorithm != "ES256" || err != nil {
					t.Errorf("%v is an elliptic key that is none: %v", name, err)
				}
			default:
				t.Errorf("%v is a %T", name, key)
			}
		}
	})
}

// Nothing but a token with the secret's signature lets anyone in, and none of it comes back.
func FuzzAuthenticate(f *testing.F) {
	const secret = "a secret that no corpus of inputs can hold"
	g := New(Config{Mode: JWT, Secret: secret, Issuer: "us", Audience: authtest.Audience}, time.Now, slog.New(slog.DiscardHandler))
	issuer := authtest.New(f)
	for _, forgery := range issuer.Forgeries() {
		f.Add("Bearer " + forgery.Token)
	}
	f.Add("Bearer " + issuer.HS256(issuer.Claims("ana"), secret)) // of another issuer
	f.Fuzz(func(t *testing.T, header string) {
		caller, err := g.Authenticate(t.Context(), http.Header{"Authorization": {header}})
		refused, ok := errors.AsType[*Error](err)
		if !ok || caller.Subject != "" {
			t.Fatalf("%q gave %+v, %v", header, caller, err)
		}
		wantRefusal(t, refused, refused.Reason, "")
	})
}
