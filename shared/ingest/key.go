package ingest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// KeyTemplate makes the keys of objects: {database}, {object} and {stamp} are filled in.
type KeyTemplate string

// DefaultKeyTemplate makes keys such as mysql/users_20250102_153045.csv.
const DefaultKeyTemplate KeyTemplate = "{database}/{object}_{stamp}.csv"

const (
	databaseMark = "{database}"
	objectMark   = "{object}"
	stampMark    = "{stamp}"
)

const stampLayout = "20060102_150405"

var keyForm = regexp.MustCompile(`^[A-Za-z0-9_.{}/=-]+$`)

// UnmarshalText refuses a template whose keys could collide or could not be written.
func (t *KeyTemplate) UnmarshalText(text []byte) error {
	template := string(text)
	rest := template
	for _, mark := range []string{databaseMark, objectMark, stampMark} {
		if !strings.Contains(template, mark) {
			return fmt.Errorf("the key template %q lacks %s: without it two objects could share a key", template, mark)
		}
		rest = strings.ReplaceAll(rest, mark, "")
	}
	switch {
	case strings.ContainsAny(rest, "{}"):
		return fmt.Errorf("the key template %q has a placeholder that is not {database}, {object} or {stamp}", template)
	case !keyForm.MatchString(template):
		return fmt.Errorf("the key template %q has characters other than letters, digits and _ . / = -", template)
	case strings.HasPrefix(template, "/"), strings.Contains(template, "//"), strings.Contains(template, ".."):
		return fmt.Errorf("the key template %q must neither begin with a slash nor hold two dots or two slashes in a row", template)
	}
	*t = KeyTemplate(template)
	return nil
}

// Key fills in all of the template but the stamp, which is known at acceptance.
func (t KeyTemplate) Key(database Database, object string) string {
	return strings.NewReplacer(databaseMark, string(database), objectMark, object).Replace(string(t))
}

// Prefix returns what all keys of the database begin with.
func (t KeyTemplate) Prefix(database Database) string {
	fixed := string(t)
	for _, mark := range []string{objectMark, stampMark} {
		fixed, _, _ = strings.Cut(fixed, mark)
	}
	return strings.ReplaceAll(fixed, databaseMark, string(database))
}

// What the marks stand for in a key: the name of an object, and a stamp of ResolveKey.
const (
	objectForm = `([A-Za-z0-9][A-Za-z0-9_-]*)`
	stampForm  = `([0-9]{8}_[0-9]{6}(?:_[1-9][0-9]*)?)`
)

// Recognizer returns a function that tells the keys of the database, as jobs write them, from all
// others. Where the template has an object's name twice with nothing in between that no name has, it
// may fail to see a key of ours; it never takes another for one.
func (t KeyTemplate) Recognizer(database Database) func(key string) bool {
	var form strings.Builder
	var stamps []bool // for each group whether it is a stamp, else an object
	for rest := string(t); rest != ""; {
		switch {
		case strings.HasPrefix(rest, databaseMark):
			form.WriteString(regexp.QuoteMeta(string(database)))
			rest = rest[len(databaseMark):]
		case strings.HasPrefix(rest, objectMark):
			form.WriteString(objectForm)
			stamps, rest = append(stamps, false), rest[len(objectMark):]
		case strings.HasPrefix(rest, stampMark):
			form.WriteString(stampForm)
			stamps, rest = append(stamps, true), rest[len(stampMark):]
		default:
			form.WriteString(regexp.QuoteMeta(rest[:1]))
			rest = rest[1:]
		}
	}
	keys := regexp.MustCompile("^" + form.String() + "$")
	return func(key string) bool {
		groups := keys.FindStringSubmatch(key)
		if groups == nil {
			return false
		}
		var object, stamp string
		for i, isStamp := range stamps {
			seen := &object
			if isStamp {
				seen = &stamp
			}
			if got := groups[i+1]; *seen == "" {
				*seen = got
			} else if *seen != got {
				return false
			}
		}
		_, err := time.Parse(stampLayout, stamp[:len(stampLayout)])
		return err == nil
	}
}

// ResolveKey fills in the stamp of a key: the second of acceptance in UTC, and for the second and later
// jobs of the same database in the same second their number, counted from 1.
func ResolveKey(key string, accepted time.Time, number int64) string {
	stamp := accepted.UTC().Format(stampLayout)
	if number > 1 {
		stamp += "_" + strconv.FormatInt(number, 10)
	}
	return strings.ReplaceAll(key, stampMark, stamp)
}
