package lake

import (
	"regexp"
	"strings"
)

// stampMark is what ingest.KeyTemplate leaves in a key until its job is accepted.
const stampMark = "{stamp}"

// stampForm is the form of a stamp, see ingest.ResolveKey, in the syntax that Go, DuckDB and Athena share.
const stampForm = `([0-9]{8}_[0-9]{6})(?:_([1-9][0-9]*))?`

// location says where the exports of a dataset lie, and how to tell them from all other objects.
type location struct {
	url     string // s3://bucket/ and the key, with its stamp marks
	key     string // the same without the bucket: a regular expression for the end of a URL. Its groups are stamp and number
	exactly string // what the URL of the last export begins with, to the end of the stamp's seconds
	shared  bool   // exports of other datasets are in the same folder
}

// locate finds the exports by the last one and the template. It reports false where the last one is not
// the template's.
func locate(source Source) (location, bool) {
	rest, ok := strings.CutPrefix(source.Export.URL, "s3://")
	bucket, last, cut := strings.Cut(rest, "/")
	if !ok || !cut || bucket == "" {
		return location{}, false
	}
	key := source.Template.Key(source.Database, source.Dataset.Object)
	var form strings.Builder
	for i, fixed := range strings.Split(key, stampMark) {
		switch i {
		case 0:
		case 1:
			form.WriteString(stampForm)
		default: // of a stamp that stands again, nobody needs the groups
			form.WriteString(`[0-9]{8}_[0-9]{6}(?:_[1-9][0-9]*)?`)
		}
		form.WriteString(regexp.QuoteMeta(fixed))
	}
	stamp := regexp.MustCompile("^" + form.String() + "$").FindStringSubmatch(last)
	if stamp == nil {
		return location{}, false
	}
	at := location{url: "s3://" + bucket + "/" + key, key: "/" + form.String() + "$"}
	at.exactly = at.before() + stamp[1]
	other := location{url: "s3://" + bucket + "/" + source.Template.Key(source.Database, source.Dataset.Object+"0")}
	at.shared = other.folder() == at.folder()
	return at, true
}

// before returns what all URLs begin with, up to the stamp.
func (l location) before() string {
	fixed, _, _ := strings.Cut(l.url, stampMark)
	return fixed
}

// beyond returns a text that comes after all URLs of the dataset in the order of their characters.
func (l location) beyond() string { return l.before() + ":" } // what follows 9

// folder returns the URL of the deepest folder that holds all exports, with a slash at its end.
func (l location) folder() string {
	return l.before()[:strings.LastIndex(l.before(), "/")+1]
}

// stamp returns the stamp of the last export, without its number.
func (l location) stamp() string { return strings.TrimPrefix(l.exactly, l.before()) }

// glob returns a pattern that matches all URLs of the dataset, and perhaps others. The * is for the
// number of a stamp.
func (l location) glob() string {
	const digit = "[0-9]"
	stamp := strings.Repeat(digit, 8) + "_" + strings.Repeat(digit, 6) + "*"
	return strings.ReplaceAll(globEscapes.Replace(l.url), stampMark, stamp)
}

// globEscapes takes their meaning from the characters that have one in a pattern.
var globEscapes = strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]")
