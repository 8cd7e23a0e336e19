package lake

import (
	"fmt"
	"strings"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// duckColumn is how DuckDB sees a column.
type duckColumn struct {
	read string // the type as which it is read from the file
	as   string // the expression of what is shown, with %s for the column; empty is the column itself
	note string // what is to know of it
}

// duckTime is the expression for points in time: DuckDB has the era between date and time, and takes one
// that stands elsewhere for nothing.
const duckTime = `CAST(regexp_replace(%%s, '^(\S+)(.*) BC$', '\1 (BC)\2') AS %s)`

// duckDBColumn maps a type of the dialect to DuckDB.
func duckDBColumn(c ingest.Column) duckColumn {
	const text = "VARCHAR"
	switch c.Type {
	case ingest.TypeInteger:
		if wide(c) {
			return duckColumn{read: "HUGEINT"}
		}
		return duckColumn{read: "BIGINT"}
	case ingest.TypeDecimal:
		if size, ok := digits(c); ok {
			return duckColumn{text, "CAST(NULLIF(%s, 'NaN') AS DECIMAL(" + size + "))", "NaN, which a DECIMAL cannot be, comes as NULL"}
		}
		return duckColumn{read: text, note: "a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits"}
	case ingest.TypeFloat:
		return duckColumn{read: "DOUBLE"}
	case ingest.TypeBoolean:
		if loose(c) {
			return duckColumn{text, "TRY_CAST(%s AS BOOLEAN)", "a number other than 0 and 1 comes as NULL"}
		}
		return duckColumn{read: "BOOLEAN"}
	case ingest.TypeDate:
		return duckColumn{read: text, as: fmt.Sprintf(duckTime, "DATE")}
	case ingest.TypeTimestamp:
		return duckColumn{read: text, as: fmt.Sprintf(duckTime, "TIMESTAMP")}
	case ingest.TypeInstant:
		return duckColumn{read: text, as: fmt.Sprintf(duckTime, "TIMESTAMPTZ")}
	case ingest.TypeTime:
		switch source := strings.ToLower(c.SourceType); {
		case strings.HasSuffix(source, "with time zone"):
			return duckColumn{read: "TIMETZ"}
		case strings.HasSuffix(source, "without time zone"):
			return duckColumn{read: "TIME"}
		default:
			return duckColumn{read: "INTERVAL", note: "a time of day is the span since midnight: the source's may be negative, and longer than a day"}
		}
	case ingest.TypeInterval:
		return duckColumn{read: text, note: "ISO 8601, which DuckDB does not read as an INTERVAL"}
	case ingest.TypeUUID:
		return duckColumn{read: "UUID"}
	case ingest.TypeBinary:
		return duckColumn{read: text, as: "unhex(substr(%s, 3))"}
	case ingest.TypeJSON:
		return duckColumn{read: "JSON"}
	case ingest.TypeBits:
		return duckColumn{read: text, note: "bits as text: CAST it to BIT where none is empty"}
	default: // text, objectid, and what later versions add
		return duckColumn{read: text}
	}
}

// duckFile is the column in which DuckDB says which object a row is of. Its name cannot be chosen: only
// by this one it leaves out objects without reading them.
const duckFile = "filename"

// duckDB writes the statements for DuckDB.
func duckDB(source Source, at location) string {
	columns := source.Export.Columns
	labels := make([]string, len(columns))
	for i, c := range columns {
		labels[i] = c.Name
	}
	labels = distinct(labels)
	names := distinct(labels, duckFile) // as they are read: the file's own header is not looked at
	types, shown := make([]string, len(columns)), make([]string, len(columns))
	var remarks []string
	for i, c := range columns {
		duck := duckDBColumn(c)
		types[i] = literal(names[i]) + ": " + literal(duck.read)
		shown[i] = quoted(names[i])
		if duck.as != "" {
			shown[i] = fmt.Sprintf(duck.as, shown[i])
		}
		if shown[i] != quoted(labels[i]) {
			shown[i] += " AS " + quoted(labels[i])
		}
		if duck.note != "" {
			remarks = append(remarks, printable(labels[i])+": "+duck.note)
		}
	}
	view := quoted(string(source.Database)) + "." + quoted(source.Dataset.Name)

	var b strings.Builder
	comment(&b, fmt.Sprintf("The newest export of %s of %s, for DuckDB 1.4 and later.", printable(source.Dataset.Name), source.Database),
		"",
		"Once in each session, to read S3 with the credentials that the AWS tools find:",
		"  INSTALL httpfs; LOAD httpfs; INSTALL aws; LOAD aws;",
		"  CREATE SECRET (TYPE s3, PROVIDER credential_chain);",
		"A server other than Amazon's needs in it ENDPOINT 'host:port', URL_STYLE 'path' and, without TLS, USE_SSL false too.",
		"",
		"The newest export is the one whose job was accepted last. A query reads all exports from that of "+at.stamp()+" on:",
		"fetch and run these statements again from time to time, and whenever the catalog changes the dataset's columns.",
		"A job that is cancelled takes its exports away again; the manifests say which ones stand.")
	notes(&b, remarks)
	fmt.Fprintf(&b, "\nCREATE SCHEMA IF NOT EXISTS %s;\n\n", quoted(string(source.Database)))
	fmt.Fprintf(&b, "CREATE OR REPLACE VIEW %s AS\nSELECT\n  %s\n", view, strings.Join(shown, ",\n  "))
	fmt.Fprintf(&b, "FROM read_csv(%s,\n", literal(at.glob()))
	fmt.Fprintf(&b, "  columns = {\n    %s\n  },\n", strings.Join(types, ",\n    "))
	b.WriteString(`  header = true, auto_detect = false, delim = ',', quote = '"', escape = '"', new_line = '\n',
  nullstr = '', allow_quoted_nulls = false, -- an empty field is NULL, "" is the empty text
  parallel = false, max_line_size = 16777216, buffer_size = 33554432, -- text may be long and hold line breaks
  filename = true) AS export
`)
	fmt.Fprintf(&b, "WHERE export.filename >= %s\n  AND export.filename < %s\n", literal(at.exactly), literal(at.beyond()))
	fmt.Fprintf(&b, `  AND export.filename = (
    SELECT arg_max(file, key.stamp || lpad(key.number, 10, '0'))
    FROM (SELECT file, regexp_extract(file, %s, ['stamp', 'number']) AS key
          FROM glob(%s))
    WHERE key.stamp <> '');
`, literal(at.key), literal(at.glob()))
	return b.String()
}
