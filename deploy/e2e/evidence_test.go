package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// secrets are values that nobody may ever read, by what they are. Each consists of letters and digits
// alone, so that no quoting and no escaping changes it.
type secrets map[string]string

// add makes a secret up.
func (s secrets) add(what string) (value string) {
	value = rand.Text()
	s[what] = value
	return value
}

// evidence is everything that the system has said, by where it said it.
type evidence struct {
	mu    sync.Mutex
	texts map[string][]byte
}

func newEvidence() *evidence { return &evidence{texts: map[string][]byte{}} }

// add notes what was said; of the same place it may be called again.
func (e *evidence) add(where string, text []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.texts[where] = append(append(e.texts[where], '\n'), text...)
}

// leak is a secret that was said.
type leak struct{ secret, where, around string }

// leaks looks for the secrets in all that was said: as they are, in any case of their letters, in
// base64 wherever they begin in it, and in hex.
func (e *evidence) leaks(s secrets) (found []leak) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for where, text := range e.texts {
		text := append([]byte(where+"\n"), text...) // a name may be secret, too
		lower := bytes.ToLower(text)
		for what, value := range s {
			at := bytes.Index(lower, []byte(strings.ToLower(value)))
			if at < 0 {
				at = bytes.Index(lower, []byte(hex.EncodeToString([]byte(value))))
			}
			for _, form := range inBase64(value) {
				if at < 0 {
					at = bytes.Index(text, []byte(form))
				}
			}
			if at >= 0 {
				found = append(found, leak{what, where, string(text[max(0, at-120):min(len(text), at+80)])})
			}
		}
	}
	slices.SortFunc(found, func(a, b leak) int { return strings.Compare(a.where+a.secret, b.where+b.secret) })
	return found
}

// inBase64 returns what the value looks like within base64: how it looks depends on how many bytes
// stand before it, by threes. The characters at both ends that depend on its neighbours are left out.
func inBase64(value string) (forms []string) {
	for before := range 3 {
		length := (before + len(value)) / 3 * 3 // what the last whole group holds
		padded := append(make([]byte, before), value...)[:length]
		text := base64.StdEncoding.EncodeToString(padded)
		forms = append(forms, text[(before*8+5)/6:])
	}
	return forms
}

// places counts, by the first word of where it was said, what holds the text.
func (e *evidence) places(text string) map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	counts := map[string]int{}
	for where, said := range e.texts {
		if kind, _, _ := strings.Cut(where, " "); bytes.Contains(said, []byte(text)) {
			counts[kind]++
		}
	}
	return counts
}

// A secret is found in every form in which it could slip out.
func TestLeaksAreFound(t *testing.T) {
	s := secrets{}
	value := s.add("password")
	quoted, err := json.Marshal("<" + value + ">")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{
		"plainly":       "connecting as user:" + value + "@host",
		"in lower case": strings.ToLower("dialing " + value),
		"in JSON":       string(quoted),
		"in an address": "?dsn=" + url.QueryEscape("mysql://user:"+value+"@host/"),
		"in hex":        fmt.Sprintf("key %x", "\x00"+value),
		"in HEX":        fmt.Sprintf("key %X", value),
		"in a header":   "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+value)),
	}
	for before := range 4 {
		said[fmt.Sprintf("in base64 after %d bytes", before)] = base64.RawURLEncoding.EncodeToString([]byte("abcd"[:before] + value + "xyz"))
	}
	for how, text := range said {
		e := newEvidence()
		e.add("log", []byte("a line before"))
		e.add("log", []byte(text))
		if found := e.leaks(s); len(found) != 1 || found[0].secret != "password" || found[0].where != "log" {
			t.Errorf("said %s, it is found as %v: %s", how, found, text)
		}
	}
	name := newEvidence()
	name.add("object "+value+".csv", nil)
	silent := newEvidence()
	silent.add("log", []byte("connecting as user:***@host"))
	if len(name.leaks(s)) != 1 || len(silent.leaks(s)) != 0 {
		t.Errorf("in a name it is found as %v, where it is not as %v", name.leaks(s), silent.leaks(s))
	}
}
