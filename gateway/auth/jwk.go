package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// jwk is one key of a set, with the members that matter here (RFC 7517, RFC 7518).
type jwk struct {
	Type       string   `json:"kty"`
	ID         string   `json:"kid"`
	Use        string   `json:"use"`
	Operations []string `json:"key_ops"`
	Algorithm  string   `json:"alg"`

	N     string `json:"n"`
	E     string `json:"e"`
	Curve string `json:"crv"`
	X     string `json:"x"`
	Y     string `json:"y"`
}

// parseKeySet returns those public keys of a set that check RS256 or ES256. Others are for other
// purposes and left out; a set without any is an error.
func parseKeySet(document []byte) (map[keyName]any, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, errors.New("the answer is not a set of keys")
	}
	keys := map[keyName]any{}
	for _, raw := range set.Keys {
		var k jwk
		if err := json.Unmarshal(raw, &k); err != nil || k.ID == "" {
			continue
		}
		if algorithm, key := k.public(); key != nil {
			keys[keyName{k.ID, algorithm}] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the answer holds no key that checks RS256 or ES256 and has a name (kid)")
	}
	return keys, nil
}

// public returns the algorithm that the key is for, and the key as its check wants it, or nil when
// it is of no use.
func (k jwk) public() (algorithm string, key any) {
	if k.Use != "" && k.Use != "sig" || k.Operations != nil && !slices.Contains(k.Operations, "verify") {
		return "", nil
	}
	switch k.Type {
	case "RSA":
		if public := k.rsa(); public != nil {
			algorithm, key = jwt.SigningMethodRS256.Alg(), public
		}
	case "EC":
		if public := k.ecdsa(); public != nil {
			algorithm, key = jwt.SigningMethodES256.Alg(), public
		}
	}
	if k.Algorithm != "" && k.Algorithm != algorithm {
		return "", nil
	}
	return algorithm, key
}

// The sizes of RSA keys that are taken: smaller ones can be broken, larger ones only cost time.
const (
	smallestModulus = 2048 // bits
	largestModulus  = 8192
)

func (k jwk) rsa() *rsa.PublicKey {
	n, errN := base64.RawURLEncoding.DecodeString(k.N)
	e, errE := base64.RawURLEncoding.DecodeString(k.E)
	if errN != nil || errE != nil || len(e) > 4 {
		return nil
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e).Int64()
	if bits := modulus.BitLen(); bits < smallestModulus || bits > largestModulus || exponent < 3 || exponent%2 == 0 || exponent > 1<<31-1 {
		return nil
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent)}
}

func (k jwk) ecdsa() *ecdsa.PublicKey {
	const coordinate = 32 // bytes of P-256
	x, errX := base64.RawURLEncoding.DecodeString(k.X)
	y, errY := base64.RawURLEncoding.DecodeString(k.Y)
	if k.Curve != "P-256" || errX != nil || errY != nil || len(x) != coordinate || len(y) != coordinate {
		return nil
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil // not on the curve
	}
	return public
}
