package lake

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// Dialect names an engine by its SQL.
type Dialect string

// The dialects.
const (
	Athena Dialect = "athena"
	DuckDB Dialect = "duckdb"
)

// Dialects lists all of them.
func Dialects() []Dialect { return []Dialect{Athena, DuckDB} }

// UnmarshalText accepts the names of the dialects.
func (d *Dialect) UnmarshalText(text []byte) error {
	switch got := Dialect(text); got {
	case Athena, DuckDB:
		*d = got
		return nil
	default:
		return fmt.Errorf("unknown dialect %q: use %q or %q", text, Athena, DuckDB)
	}
}

// Source is what the statements for a dataset are made from.
type Source struct {
	Database ingest.Database
	Dataset  catalog.Dataset
	Export   ingest.Result      // the last one that is done
	Template ingest.KeyTemplate // of the keys of exports to come
}

// Error says why there are no statements for a dataset yet. Message is safe to show.
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

// Statement returns the statements for a dataset in a dialect. The error is an *Error while no export has
// told the types, or none since the key template was changed: another export mends both.
func Statement(dialect Dialect, source Source) (string, error) {
	if source.Export.State != ingest.Done || source.Export.URL == "" || len(source.Export.Columns) == 0 {
		return "", &Error{Message: fmt.Sprintf("the dataset %s of %s has never been exported: its columns and their types are not known yet", source.Dataset.Name, source.Database)}
	}
	at, ok := locate(source)
	if !ok {
		return "", &Error{Message: fmt.Sprintf("the dataset %s of %s was last exported under another key template: export it once more", source.Dataset.Name, source.Database)}
	}
	switch dialect {
	case Athena:
		return athena(source, at), nil
	case DuckDB:
		return duckDB(source, at), nil
	default:
		return "", fmt.Errorf("there are no statements in the dialect %q", dialect)
	}
}

// narrow are the source types whose integers fit 64 bits with a sign; those of 32 bits do so without one too.
var narrow = regexp.MustCompile(`^(unsigned )?(tinyint|smallint|mediumint|int|integer|year)( unsigned)?( zerofill)?$|^(bigint|long)$`)

var size = regexp.MustCompile(`\([^)]*\)`)

// wide reports whether an integer column may need all 64 bits for digits. What is not known may.
func wide(c ingest.Column) bool {
	for source := range strings.SplitSeq(size.ReplaceAllString(strings.ToLower(c.SourceType), ""), ", ") {
		if !narrow.MatchString(source) {
			return true
		}
	}
	return false
}

var sized = regexp.MustCompile(`^(?i:numeric|decimal)\(([0-9]+)(?:, ?([0-9]+))?\)`)

// maxDigits is what a decimal of either engine holds.
const maxDigits = 38

// digits returns the precision and scale of a decimal column as "10, 2", and whether the source has
// declared some that the engines can hold.
func digits(c ingest.Column) (string, bool) {
	declared := sized.FindStringSubmatch(c.SourceType)
	if declared == nil {
		return "", false
	}
	var precision, scale int
	if _, err := fmt.Sscan(declared[1], &precision); err != nil || precision < 1 || precision > maxDigits {
		return "", false
	}
	if declared[2] != "" {
		if _, err := fmt.Sscan(declared[2], &scale); err != nil || scale > precision {
			return "", false
		}
	}
	return fmt.Sprintf("%d, %d", precision, scale), true
}

// loose reports whether a boolean column may hold numbers: MySQL's is a small integer.
func loose(c ingest.Column) bool { return strings.HasPrefix(strings.ToLower(c.SourceType), "tinyint") }
