package lake

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// athenaColumn maps a type of the dialect to Athena: the expression of what is shown, with %s for the
// column of text, and what is to know of it. Only types that the Glue catalog has are of use in a view.
func athenaColumn(c ingest.Column) (expression, note string) {
	const text = "NULLIF(%s, '')"
	switch c.Type {
	case ingest.TypeInteger:
		if wide(c) {
			return "TRY_CAST(%s AS decimal(20, 0))", ""
		}
		return "TRY_CAST(%s AS bigint)", ""
	case ingest.TypeDecimal:
		if size, ok := digits(c); ok {
			return "TRY_CAST(%s AS decimal(" + size + "))", ""
		}
		return text, "a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits"
	case ingest.TypeFloat:
		return "TRY_CAST(%s AS double)", ""
	case ingest.TypeBoolean:
		return "TRY_CAST(%s AS boolean)", ""
	case ingest.TypeDate:
		return "TRY_CAST(%s AS date)", ""
	case ingest.TypeTimestamp:
		return "TRY_CAST(%s AS timestamp)", "to milliseconds"
	case ingest.TypeInstant:
		return "TRY_CAST(replace(%s, '+00') AS timestamp)", "in UTC, to milliseconds"
	case ingest.TypeBinary:
		return "from_hex(regexp_extract(%s, 'x([0-9a-f]*)$', 1))", ""
	case ingest.TypeJSON:
		return text, "text: json_parse and json_extract read it"
	case ingest.TypeTime:
		return text, "text: CAST it to time where it is one of a day"
	case ingest.TypeInterval:
		return text, "text, ISO 8601"
	case ingest.TypeUUID:
		return text, "text: CAST it to uuid"
	default: // text, objectid, bits, and what later versions add
		return text, ""
	}
}

var (
	plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
	special   = regexp.MustCompile(`[^a-z0-9_]`)
)

// athenaName returns the name that a database, table or view has in Athena, which knows lower-case
// letters, digits and the underscore.
func athenaName(name string) string { return special.ReplaceAllString(strings.ToLower(name), "_") }

// ticked returns a name of athenaName or a plain one as Athena's DDL wants it.
func ticked(name string) string { return "`" + name + "`" }

// athena writes the statements for Athena.
func athena(source Source, at location) string {
	columns := source.Export.Columns
	labels, plain := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		labels[i], plain[i] = printable(c.Name), fmt.Sprintf("column_%d", i+1)
		if name := strings.ToLower(c.Name); plainName.MatchString(name) {
			plain[i] = name
		}
	}
	labels, plain = distinct(labels), distinct(plain) // the columns of a file are found by their order
	table, shown := make([]string, len(columns)), make([]string, len(columns))
	var remarks []string
	breaks := false
	for i, c := range columns {
		expression, note := athenaColumn(c)
		table[i] = ticked(plain[i]) + " string"
		shown[i] = fmt.Sprintf(expression, quoted(plain[i])) + " AS " + quoted(labels[i])
		if note != "" {
			remarks = append(remarks, labels[i]+": "+note)
		}
		breaks = breaks || c.Type == ingest.TypeText
	}
	database, name := athenaName(string(source.Database)), athenaName(source.Dataset.Name)
	files := name + "_files"

	var b strings.Builder
	comment(&b, fmt.Sprintf("The newest export of %s of %s, for Amazon Athena and AWS Glue. Run the statements one by one.", printable(source.Dataset.Name), source.Database),
		"",
		"The newest export is the one whose job was accepted last. A query reads all exports from that of "+at.stamp()+" on:",
		"fetch and run these statements again from time to time, and whenever the catalog changes the dataset's columns.",
		"Then DROP TABLE "+ticked(database)+"."+ticked(files)+" comes first; it leaves the objects alone. An export without rows is not",
		"seen: the view shows the one before it. A job that is cancelled takes its exports away again; the manifests say",
		"which ones stand.",
		"",
		"What Athena's reader of CSV loses: NULL and the empty text are one, and come as NULL. What its type cannot hold",
		"(NaN in a decimal, infinity and years before the first in a time) comes as NULL too; "+files+" has the text. The",
		"escape character is one that no text has: it would be the backslash otherwise.")
	if breaks {
		comment(&b, "A record whose text holds a line break falls apart into several wrong ones.")
	}
	if at.shared {
		comment(&b, "", "The folder below is shared with other datasets, whose objects the view leaves out by their names. Athena lists all of",
			"them for each query, and may have to read them: INGESTA_KEY_TEMPLATE={database}/{object}/{object}_{stamp}.csv gives",
			"each dataset a folder of its own.")
	}
	notes(&b, remarks)
	fmt.Fprintf(&b, "\nCREATE DATABASE IF NOT EXISTS %s;\n\n", ticked(database))
	fmt.Fprintf(&b, "CREATE EXTERNAL TABLE IF NOT EXISTS %s.%s (\n  %s\n)\n", ticked(database), ticked(files), strings.Join(table, ",\n  "))
	b.WriteString(`ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '"', 'escapeChar' = '\001')
STORED AS TEXTFILE
`)
	fmt.Fprintf(&b, "LOCATION '%s'\n", hiveEscapes.Replace(at.folder()))
	b.WriteString("TBLPROPERTIES ('skip.header.line.count' = '1');\n\n")
	from := quoted(database) + "." + quoted(files)
	mine := fmt.Sprintf(`"$path" >= %s
  AND "$path" < %s`, literal(at.exactly), literal(at.beyond()))
	fmt.Fprintf(&b, "CREATE OR REPLACE VIEW %s.%s AS\nSELECT\n  %s\n", quoted(database), quoted(name), strings.Join(shown, ",\n  "))
	fmt.Fprintf(&b, "FROM %s\nWHERE %s\n", from, mine)
	fmt.Fprintf(&b, `  AND "$path" = (
    SELECT max_by(path, stamp || lpad(coalesce(number, ''), 10, '0'))
    FROM (SELECT "$path" AS path,
                 regexp_extract("$path", %[1]s, 1) AS stamp,
                 regexp_extract("$path", %[1]s, 2) AS number
          FROM %[2]s
          WHERE %[3]s)
    WHERE stamp IS NOT NULL);
`, literal(at.key), from, strings.ReplaceAll(mine, "\n", "\n          "))
	return b.String()
}

// hiveEscapes writes what a string of Athena's DDL cannot hold as it is.
var hiveEscapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`)
