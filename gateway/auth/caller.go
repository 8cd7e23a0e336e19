package auth

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// Scope is a right that a token carries.
type Scope string

// The scopes.
const (
	Run   Scope = "ingesta:run"   // make jobs and end them
	Read  Scope = "ingesta:read"  // look at jobs, datasets and health
	Admin Scope = "ingesta:admin" // everything
)

// Anyone is the subject of every caller while nobody has to say who they are.
const Anyone = "system"

// Caller is who makes a request.
type Caller struct {
	Subject string    // 1 to 255 bytes, printable
	Until   time.Time // when the token is no longer good; zero: there is none
	scopes  []string
}

// Require returns an *Error unless the caller has the scope.
func (c Caller) Require(scope Scope) error {
	if slices.Contains(c.scopes, string(scope)) || slices.Contains(c.scopes, string(Admin)) {
		return nil
	}
	return &Error{Reason: Forbidden, Scope: scope, Message: "the token lacks the scope " + string(scope)}
}

// Has reports whether the caller has the scope.
func (c Caller) Has(scope Scope) bool { return c.Require(scope) == nil }

// longestSubject is what OpenID Connect allows a subject.
const longestSubject = 255

// callerOf reads the claims of a token that is good otherwise. Its errors are *Error.
func callerOf(claims jwt.MapClaims) (Caller, error) {
	subject, err := claims.GetSubject()
	switch {
	case err != nil:
		return Caller{}, invalid("the subject (sub) of the token is not a string")
	case subject == "":
		return Caller{}, invalid("the token has no subject (sub)")
	case !fitSubject(subject):
		return Caller{}, invalid("the subject (sub) of the token cannot be recorded: it may have 255 bytes, all printable, and no space at its ends")
	}
	scopes, ok := words(claims["scope"])
	more, okToo := words(claims["scp"])
	if !ok || !okToo {
		return Caller{}, invalid("the scopes of the token (scope, scp) are neither a string nor a list of strings")
	}
	return Caller{Subject: subject, scopes: append(scopes, more...)}, nil
}

// fitSubject accepts what jobs, events and manifests may show: no two subjects may look the same
// for want of characters that show.
func fitSubject(subject string) bool {
	if len(subject) > longestSubject || strings.TrimSpace(subject) != subject {
		return false
	}
	// What was not UTF-8 in the token has become the replacement character.
	return !strings.ContainsFunc(subject, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) })
}

// words reads a claim that is a list, or a string with spaces between its parts.
func words(claim any) (list []string, ok bool) {
	switch claim := claim.(type) {
	case nil:
		return nil, true
	case string:
		return strings.Fields(claim), true
	case []any:
		for _, element := range claim {
			word, isString := element.(string)
			if !isString {
				return nil, false
			}
			list = append(list, word)
		}
		return list, true
	default:
		return nil, false
	}
}
