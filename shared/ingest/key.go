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

const stampMark = "{stamp}"

var keyForm = regexp.MustCompile(`^[A-Za-z0-9_.{}/=-]+$`)

// UnmarshalText refuses a template whose keys could collide or could not be written.
func (t *KeyTemplate) UnmarshalText(text []byte) error {
	template := string(text)
	rest := template
	for _, mark := range []string{"{database}", "{object}", stampMark} {
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
	return strings.NewReplacer("{database}", string(database), "{object}", object).Replace(string(t))
}

// ResolveKey fills in the stamp of a key: the second of acceptance in UTC, and for the second and later
// jobs of the same database in the same second their number, counted from 1.
func ResolveKey(key string, accepted time.Time, number int64) string {
	stamp := accepted.UTC().Format("20060102_150405")
	if number > 1 {
		stamp += "_" + strconv.FormatInt(number, 10)
	}
	return strings.ReplaceAll(key, stampMark, stamp)
}
