// Package authtest is an issuer of tokens for tests: it publishes its keys at an address of its
// own, makes good tokens, and forges bad ones. A gateway in mode jwt, in the test's process or
// another, needs nothing but its Environ. It signs by itself, without the library that the product
// checks with.
package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Audience is what good tokens are for.
const Audience = "ingesta-of-a-test"

// Claims are what a token says.
type Claims map[string]any

// Issuer publishes keys and signs with them.
type Issuer struct {
	t           testing.TB
	server      *httptest.Server
	certificate string // file of its certificate, empty without TLS

	mu         sync.Mutex
	rsa        *rsa.PrivateKey
	ec         *ecdsa.PrivateKey
	generation int // of the keys: part of their names
	extra      []map[string]any
	answer     http.HandlerFunc // instead of the keys, when set
	asked      int
}

// New starts an issuer that ends with the test.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{t: t}
	i.Rotate()
	i.server = httptest.NewServer(i)
	t.Cleanup(i.server.Close)
	return i
}

// NewTLS is New with https. Only another process trusts it, by the variable SSL_CERT_FILE of its
// Environ.
func NewTLS(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{t: t, certificate: filepath.Join(t.TempDir(), "issuer.pem")}
	i.Rotate()
	i.server = httptest.NewTLSServer(i)
	t.Cleanup(i.server.Close)
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.server.Certificate().Raw})
	if err := os.WriteFile(i.certificate, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

// Environ returns the settings of a gateway that trusts the issuer.
func (i *Issuer) Environ() []string {
	environ := []string{"AUTH_MODE=jwt", "AUTH_JWKS_URL=" + i.server.URL + "/keys", "AUTH_ISSUER=" + i.name(), "AUTH_AUDIENCE=" + Audience}
	if i.certificate != "" {
		environ = append(environ, "SSL_CERT_FILE="+i.certificate)
	}
	return environ
}

func (i *Issuer) name() string { return i.server.URL + "/" }

// Claims returns what a good token of the subject says.
func (i *Issuer) Claims(subject string, scopes ...string) Claims {
	now := time.Now()
	return Claims{
		"iss": i.name(), "aud": Audience, "sub": subject, "scope": strings.Join(scopes, " "),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// RS256 returns a token signed with the issuer's RSA key.
func (i *Issuer) RS256(claims Claims) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.sign(map[string]any{"alg": "RS256", "kid": i.kid("rsa")}, claims, i.byRSA(i.rsa, crypto.SHA256))
}

// ES256 returns a token signed with the issuer's elliptic key.
func (i *Issuer) ES256(claims Claims) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.sign(map[string]any{"alg": "ES256", "kid": i.kid("ec")}, claims, i.byEC(i.ec))
}

// HS256 returns a token signed with a secret.
func (i *Issuer) HS256(claims Claims, secret string) string {
	return i.sign(map[string]any{"alg": "HS256"}, claims, bySecret([]byte(secret)))
}

// Rotate replaces the published keys by new ones of other names.
func (i *Issuer) Rotate() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rsa, i.generation = i.newRSA(2048), i.generation+1
	i.ec = i.newEC()
}

// Answer makes the issuer answer so instead of with its keys, until it is called with nil.
func (i *Issuer) Answer(instead http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = instead
}

// Asked returns how often somebody wanted the keys.
func (i *Issuer) Asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// Keys returns the set that the issuer publishes.
func (i *Issuer) Keys() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	keys := append([]map[string]any{
		rsaKey(i.kid("rsa"), &i.rsa.PublicKey, "use", "sig", "alg", "RS256"),
		i.ecKey(i.kid("ec"), &i.ec.PublicKey),
	}, i.extra...)
	return i.marshal(map[string]any{"keys": keys})
}

func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.asked++
	instead := i.answer
	i.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(i.Keys()) // the other side sees when it is cut
}

func (i *Issuer) kid(kind string) string { return fmt.Sprintf("%s-%d", kind, i.generation) }

func rsaKey(kid string, public *rsa.PublicKey, members ...string) map[string]any {
	key := map[string]any{"kty": "RSA", "kid": kid, "n": encode(public.N.Bytes()), "e": encode(big.NewInt(int64(public.E)).Bytes())}
	for pair := range slices.Chunk(members, 2) {
		key[pair[0]] = pair[1]
		if pair[0] == "key_ops" {
			key[pair[0]] = []string{pair[1]}
		}
	}
	return key
}

func (i *Issuer) ecKey(kid string, public *ecdsa.PublicKey) map[string]any {
	point, err := public.Bytes()
	if err != nil {
		i.t.Fatal(err)
	}
	size := len(point) / 2 // a byte for the form, and two coordinates
	return map[string]any{"kty": "EC", "kid": kid, "crv": public.Curve.Params().Name, "x": encode(point[1 : 1+size]), "y": encode(point[1+size:])}
}

func (i *Issuer) newRSA(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		i.t.Fatal(err)
	}
	return key
}

func (i *Issuer) newEC() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	return key
}

// A signer returns the signature of a text.
type signer func(text []byte) []byte

func (i *Issuer) byRSA(key *rsa.PrivateKey, hash crypto.Hash) signer {
	return func(text []byte) []byte {
		h := hash.New()
		h.Write(text)
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, hash, h.Sum(nil))
		if err != nil {
			i.t.Fatal(err)
		}
		return signature
	}
}

func (i *Issuer) byEC(key *ecdsa.PrivateKey) signer {
	return func(text []byte) []byte {
		sum := sha256.Sum256(text)
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			i.t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
}

func bySecret(secret []byte) signer {
	return func(text []byte) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write(text)
		return mac.Sum(nil)
	}
}

func byNobody([]byte) []byte { return nil }

// sign returns the token of header and claims, which may be anything.
func (i *Issuer) sign(header, claims any, sign signer) string {
	text := encode(i.marshal(header)) + "." + encode(i.marshal(claims))
	return text + "." + encode(sign([]byte(text)))
}

func (i *Issuer) marshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
