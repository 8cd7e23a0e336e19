package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // of the algorithms that are not accepted
	"crypto/x509"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// Forgery is a token that nobody may be let in with.
type Forgery struct {
	Name  string
	Token string
	Says  string // part of what the refusal must tell
}

// Forgeries returns tokens of every kind that has ever been taken for good somewhere. From then on
// the issuer also publishes keys that are no use for signing: call it before a gateway starts. Each
// claims every scope.
func (i *Issuer) Forgeries() []Forgery {
	secret := []byte("a secret that the issuer publishes by mistake")
	encryption, weak, attacker := i.newRSA(2048), i.newRSA(1024), i.newRSA(2048)
	i.mu.Lock()
	i.extra = []map[string]any{
		rsaKey("encryption", &encryption.PublicKey, "use", "enc"),
		rsaKey("weak", &weak.PublicKey, "use", "sig"),
		rsaKey("wrapping", &encryption.PublicKey, "key_ops", "wrapKey"),
		rsaKey("pss", &encryption.PublicKey, "alg", "PS256"),
		{"kty": "oct", "kid": "secret", "k": encode(secret), "alg": "HS256"},
		{"kty": "RSA", "kid": "broken", "n": "%", "e": "AQAB"},
		{"kty": "EC", "kid": "off-curve", "crv": "P-256", "x": encode(make([]byte, 32)), "y": encode(make([]byte, 32))},
	}
	key, elliptic, rsaName, ecName := i.rsa, i.ec, i.kid("rsa"), i.kid("ec")
	i.mu.Unlock()

	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		i.t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(&key.PublicKey)
	inPEM := func(kind string, b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}) }

	good := i.Claims("mallory", "ingesta:run", "ingesta:read", "ingesta:admin")
	with := func(changes Claims) Claims { // nil takes a claim away
		claims := maps.Clone(good)
		maps.Copy(claims, changes)
		maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
		return claims
	}
	header := func(pairs ...any) map[string]any {
		h := map[string]any{"typ": "JWT"}
		for n := 0; n < len(pairs); n += 2 {
			h[pairs[n].(string)] = pairs[n+1]
		}
		return h
	}
	rs256, es256 := header("alg", "RS256", "kid", rsaName), header("alg", "ES256", "kid", ecName)
	byIssuer := i.byRSA(key, crypto.SHA256)
	genuine := i.sign(rs256, good, byIssuer)
	parts := strings.Split(genuine, ".")
	claiming := func(changes Claims) string { return i.sign(rs256, with(changes), byIssuer) }
	confused := func(secret []byte) string {
		return i.sign(header("alg", "HS256", "kid", rsaName), good, bySecret(secret))
	}

	// Keys of the attacker's, for those who look where the token says.
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.t.Error("somebody fetched keys from where a token said")
		_, _ = w.Write(i.marshal(map[string]any{"keys": []any{rsaKey("attacker", &attacker.PublicKey)}}))
	}))
	i.t.Cleanup(elsewhere.Close)
	byAttacker := i.byRSA(attacker, crypto.SHA256)

	hour := func(d time.Duration) int64 { return time.Now().Add(d * time.Hour).Unix() }
	const method, unknown, signature, malformed = "not signed with RS256 or ES256", "a key that its issuer does not publish", "signature of the token is wrong", "malformed"
	return []Forgery{
		{"alg none", i.sign(header("alg", "none"), good, byNobody), method},
		{"alg none with a signature", i.sign(header("alg", "none", "kid", rsaName), good, byIssuer), method},
		{"alg nOnE", i.sign(header("alg", "nOnE", "kid", rsaName), good, byNobody), method},
		{"alg empty", i.sign(header("alg", "", "kid", rsaName), good, byIssuer), method},
		{"alg missing", i.sign(header("kid", rsaName), good, byIssuer), malformed},
		{"alg a number", i.sign(header("alg", 256, "kid", rsaName), good, byIssuer), malformed},
		{"alg in lower case", i.sign(header("alg", "rs256", "kid", rsaName), good, byIssuer), method},
		{"HS256 with the RSA key as PEM", confused(inPEM("PUBLIC KEY", der)), method},
		{"HS256 with the RSA key as PKCS #1 PEM", confused(inPEM("RSA PUBLIC KEY", pkcs1)), method},
		{"HS256 with the RSA key as DER", confused(der), method},
		{"HS256 with the RSA modulus", confused(key.N.Bytes()), method},
		{"HS256 with the whole key set", confused(i.Keys()), method},
		{"HS256 with nothing", confused(nil), method},
		{"HS256 with a published secret", i.sign(header("alg", "HS256", "kid", "secret"), good, bySecret(secret)), method},
		{"RS512 with the right key", i.sign(header("alg", "RS512", "kid", rsaName), good, i.byRSA(key, crypto.SHA512)), method},
		{"PS256 with the right key", i.sign(header("alg", "PS256", "kid", rsaName), good, i.byPSS(key)), method},

		{"unknown key", i.sign(header("alg", "RS256", "kid", "attacker"), good, byAttacker), unknown},
		{"key of another algorithm", i.sign(header("alg", "ES256", "kid", rsaName), good, i.byEC(elliptic)), unknown},
		{"key for encryption", i.sign(header("alg", "RS256", "kid", "encryption"), good, i.byRSA(encryption, crypto.SHA256)), unknown},
		{"key for other operations", i.sign(header("alg", "RS256", "kid", "wrapping"), good, i.byRSA(encryption, crypto.SHA256)), unknown},
		{"key for PS256", i.sign(header("alg", "RS256", "kid", "pss"), good, i.byRSA(encryption, crypto.SHA256)), unknown},
		{"key of 1024 bits", i.sign(header("alg", "RS256", "kid", "weak"), good, i.byRSA(weak, crypto.SHA256)), unknown},
		{"no key named", i.sign(header("alg", "RS256"), good, byIssuer), "(kid)"},
		{"key named by a number", i.sign(header("alg", "RS256", "kid", 1), good, byIssuer), "(kid)"},
		{"key by path", i.sign(header("alg", "RS256", "kid", "../../../../dev/null"), good, bySecret(nil)), unknown},
		{"key in the token", i.sign(header("alg", "RS256", "kid", "attacker", "jwk", rsaKey("attacker", &attacker.PublicKey)), good, byAttacker), unknown},
		{"key where the token says", i.sign(header("alg", "RS256", "kid", "attacker", "jku", elsewhere.URL), good, byAttacker), unknown},
		{"certificate where the token says", i.sign(header("alg", "RS256", "kid", "attacker", "x5u", elsewhere.URL), good, byAttacker), unknown},

		{"another's RSA signature", i.sign(rs256, good, byAttacker), signature},
		{"another's elliptic signature", i.sign(es256, good, i.byEC(i.newEC())), signature},
		{"elliptic signature of zeros", i.sign(es256, good, func([]byte) []byte { return make([]byte, 64) }), signature},
		{"elliptic signature in ASN.1", i.sign(es256, good, i.byASN1(elliptic)), signature},
		{"no signature", parts[0] + "." + parts[1] + ".", signature},
		{"cut signature", i.sign(rs256, good, func(text []byte) []byte { return byIssuer(text)[:252] }), signature},
		{"signature written otherwise", otherwise(genuine), malformed},
		{"claims changed", parts[0] + "." + encode(i.marshal(with(Claims{"sub": "admin"}))) + "." + parts[2], signature},
		{"header changed", encode(i.marshal(header("alg", "RS256", "kid", rsaName, "x", 1))) + "." + parts[1] + "." + parts[2], signature},
		{"unknown extension", i.sign(header("alg", "RS256", "kid", rsaName, "crit", []string{"b64"}, "b64", false), good, byIssuer), "(crit)"},

		{"no exp", claiming(Claims{"exp": nil}), "lacks the claim exp"},
		{"exp in another case", claiming(Claims{"exp": nil, "EXP": hour(1)}), "lacks the claim exp"},
		{"exp zero", claiming(Claims{"exp": 0}), "empty"},
		{"exp a string", claiming(Claims{"exp": "2099-01-01"}), "wrong type"},
		{"expired", claiming(Claims{"exp": hour(-1)}), "has expired"},
		{"expired before 1970", claiming(Claims{"exp": -1}), "has expired"},
		{"not valid yet", claiming(Claims{"nbf": hour(1), "exp": hour(2)}), "not valid yet"},
		{"other audience", claiming(Claims{"aud": "billing"}), "(aud)"},
		{"other audiences", claiming(Claims{"aud": []string{"billing", Audience + "-2"}}), "(aud)"},
		{"audience in another case", claiming(Claims{"aud": strings.ToUpper(Audience)}), "(aud)"},
		{"no audience", claiming(Claims{"aud": nil}), "lacks the claim aud"},
		{"empty audience", claiming(Claims{"aud": []string{}}), "empty"},
		{"other issuer", claiming(Claims{"iss": "https://issuer.example/"}), "(iss)"},
		{"issuer without its slash", claiming(Claims{"iss": strings.TrimSuffix(i.name(), "/")}), "(iss)"},
		{"no issuer", claiming(Claims{"iss": nil}), "lacks the claim iss"},
		{"no subject", claiming(Claims{"sub": nil}), "no subject"},
		{"empty subject", claiming(Claims{"sub": ""}), "no subject"},
		{"subject a number", claiming(Claims{"sub": 7}), "not a string"},
		{"subject too long", claiming(Claims{"sub": strings.Repeat("m", 256)}), "cannot be recorded"},
		{"subject with a line break", claiming(Claims{"sub": "mallory\nadmin"}), "cannot be recorded"},
		{"subject with a NUL", claiming(Claims{"sub": "mallory\x00"}), "cannot be recorded"},
		{"subject that shows nothing", claiming(Claims{"sub": "\u200b"}), "cannot be recorded"},
		{"subject with a space at its end", claiming(Claims{"sub": "mallory "}), "cannot be recorded"},
		{"subject not UTF-8", i.raw(rs256, `{"sub":"mall`+"\xff"+`ory"`, with(Claims{"sub": nil}), byIssuer), "cannot be recorded"},
		{"scope a number", claiming(Claims{"scope": 7}), "scopes"},
		{"scopes numbers", claiming(Claims{"scp": []int{7}}), "scopes"},
		{"claims null", i.sign(rs256, nil, byIssuer), "lacks the claim exp"},
		{"claims a list", i.sign(rs256, []any{good}, byIssuer), malformed},

		{"not a token", "mallory", malformed},
		{"two parts", parts[0] + "." + parts[1], malformed},
		{"five parts", genuine + ".a.b", malformed},
		{"empty parts", "..", malformed},
		{"padded", parts[0] + "=." + parts[1] + "." + parts[2], malformed},
		{"two tokens", genuine + " " + genuine, malformed},
		{"too long", claiming(Claims{"x": strings.Repeat("x", 8<<10)}), "more than 8192 bytes"},
	}
}

func (i *Issuer) byPSS(key *rsa.PrivateKey) signer {
	return func(text []byte) []byte {
		sum := sha256.Sum256(text)
		signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], nil)
		if err != nil {
			i.t.Fatal(err)
		}
		return signature
	}
}

func (i *Issuer) byASN1(key *ecdsa.PrivateKey) signer {
	return func(text []byte) []byte {
		sum := sha256.Sum256(text)
		signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
		if err != nil {
			i.t.Fatal(err)
		}
		return signature
	}
}

// raw returns a token whose claims begin with text that no encoder would write.
func (i *Issuer) raw(header any, begin string, claims Claims, sign signer) string {
	rest, _ := strings.CutPrefix(string(i.marshal(claims)), "{")
	text := encode(i.marshal(header)) + "." + encode([]byte(begin+","+rest))
	return text + "." + encode(sign([]byte(text)))
}

// otherwise returns the token with other letters that a lenient reader takes for the same bytes: the
// last of an RSA signature of 256 bytes stands for two bits, and has four to spare.
func otherwise(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + string(alphabet[strings.IndexByte(alphabet, token[last])+1])
}
