package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Mask hides what a column holds and keeps something of its use. It works on the text that the file
// would have. A NULL stays NULL under every mask, see encode.Writer; the empty text is masked like
// any other. The zero Mask hides nothing.
//
//   - hash: the hex SHA-256 of the salt followed by the value's text. Equal values have equal
//     hashes, in all datasets and jobs that share a salt, so that they can still be joined.
//   - redact: four asterisks.
//   - last4: four asterisks and the last four characters; of values with fewer than eight
//     characters nothing but the asterisks, for four would be too much of them.
type Mask struct {
	kind string
	salt string
}

// The kinds of masks.
const (
	hash   = "hash"
	redact = "redact"
	last4  = "last4"
)

var maskKinds = []string{hash, redact, last4}

const (
	stars    = "****"
	kept     = 4 // characters that last4 shows
	lastFrom = 8 // characters that a value must have for that
)

// IsZero reports whether the mask hides nothing.
func (m Mask) IsZero() bool { return m.kind == "" }

// String returns the mask's kind as the catalog spells it, "" for none.
func (m Mask) String() string { return m.kind }

// Append appends what the mask makes of a value's text, and keeps nothing of it.
func (m Mask) Append(dst, text []byte) []byte {
	switch m.kind {
	case hash:
		start := len(dst)
		dst = append(append(dst, m.salt...), text...)
		sum := sha256.Sum256(dst[start:])
		return hex.AppendEncode(dst[:start], sum[:])
	case redact:
		return append(dst, stars...)
	case last4:
		dst = append(dst, stars...)
		if utf8.RuneCount(text) < lastFrom {
			return dst
		}
		at := len(text)
		for range kept {
			_, n := utf8.DecodeLastRune(text[:at])
			at -= n
		}
		return append(dst, text[at:]...)
	default:
		return append(dst, text...)
	}
}

// shortestSalt is how many bytes of salt make guessing pointless.
const shortestSalt = 16

// Salted returns the catalog with the salt of its hashes in place. Only what reads data needs it.
// It is an error when a column is masked by hash and the salt is missing or too short: without it
// whoever guesses a value can prove the guess.
func (c *Catalog) Salted(salt string) (*Catalog, error) {
	salted := &Catalog{digest: c.digest, databases: slices.Clone(c.databases)}
	var hashed []string
	for i, db := range salted.databases {
		db.Datasets = slices.Clone(db.Datasets)
		for j, d := range db.Datasets {
			d.Columns = slices.Clone(d.Columns)
			for k := range d.Columns {
				if d.Columns[k].Mask.kind == hash {
					d.Columns[k].Mask.salt = salt
					hashed = append(hashed, fmt.Sprintf("%s of %s/%s", d.Columns[k].Name, db.Name, d.Name))
				}
			}
			db.Datasets[j] = d
		}
		salted.databases[i] = db
	}
	if len(hashed) == 0 || len(salt) >= shortestSalt {
		return salted, nil
	}
	problem := "is not set"
	if salt != "" {
		problem = fmt.Sprintf("has fewer than %d bytes", shortestSalt)
	}
	return nil, errors.New("the salt " + problem + ", and the catalog masks by hash: " + strings.Join(hashed, ", "))
}
