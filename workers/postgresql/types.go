package postgresql

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// sourceType is a type of the server, domains resolved to what they are based on.
type sourceType struct {
	name     string // int4, _text, …; "" unless it is the server's own type, or hstore
	kind     string // pg_type.typtype: b base, c composite, e enum, r range, …
	category string // pg_type.typcategory: A array, …
}

// rendering is how a column of some type gets into the file.
type rendering struct {
	fileType string
	cast     string // format of the expression; "" takes the column as the server spells it
	json     bool   // of the server's JSON, which holds space between its tokens
}

// document has the server make JSON of a value. Parts that are documents bring their own spacing.
var document = rendering{fileType: ingest.TypeJSON, cast: "pg_catalog.to_json(%s)", json: true}

// render returns how to export a type. It knows no unsupported one: every type has a text form.
func render(t sourceType) rendering {
	switch t.name {
	case "int2", "int4", "int8", "oid", "xid", "xid8", "cid":
		return rendering{fileType: ingest.TypeInteger}
	case "numeric":
		return rendering{fileType: ingest.TypeDecimal}
	case "money":
		return rendering{fileType: ingest.TypeDecimal, cast: "%s::pg_catalog.numeric"}
	case "_money":
		return rendering{fileType: ingest.TypeJSON, cast: "pg_catalog.to_json(%s::pg_catalog.numeric[])", json: true}
	case "float4", "float8":
		return rendering{fileType: ingest.TypeFloat}
	case "bool":
		return rendering{fileType: ingest.TypeBoolean, cast: "%s::pg_catalog.text"}
	case "bytea":
		return rendering{fileType: ingest.TypeBinary}
	case "date":
		return rendering{fileType: ingest.TypeDate}
	case "time", "timetz":
		return rendering{fileType: ingest.TypeTime}
	case "timestamp":
		return rendering{fileType: ingest.TypeTimestamp}
	case "timestamptz":
		return rendering{fileType: ingest.TypeInstant}
	case "interval":
		return rendering{fileType: ingest.TypeInterval}
	case "uuid":
		return rendering{fileType: ingest.TypeUUID}
	case "bit", "varbit":
		return rendering{fileType: ingest.TypeBits}
	case "json", "jsonb":
		return rendering{fileType: ingest.TypeJSON, json: true}
	case "hstore", "record", "_record":
		return document
	}
	if t.category == "A" || t.kind == "c" {
		return document
	}
	return rendering{fileType: ingest.TypeText}
}

// expression returns the expression that selects the column for the file.
func (r rendering) expression(column string) string {
	if r.cast == "" {
		return column
	}
	return fmt.Sprintf(r.cast, column)
}

// types looks the types up in the server's catalogue.
func (s *session) types(ctx context.Context, oids []uint32) (map[uint32]sourceType, error) {
	oids = slices.Compact(slices.Sorted(slices.Values(oids)))
	list := make([]string, len(oids))
	for i, oid := range oids {
		list[i] = strconv.FormatUint(uint64(oid), 10)
	}
	rows, err := s.conn.rows(ctx, `
		WITH RECURSIVE chain (asked, oid) AS (
			SELECT o, o FROM unnest($1::oid[]) AS o
			UNION ALL
			SELECT c.asked, t.typbasetype FROM chain c JOIN pg_catalog.pg_type t ON t.oid = c.oid WHERE t.typtype = 'd'
		)
		SELECT c.asked, CASE WHEN n.nspname = 'pg_catalog' OR (t.typname, t.typtype) = ('hstore', 'b') THEN t.typname END, t.typtype, t.typcategory
		FROM chain c JOIN pg_catalog.pg_type t ON t.oid = c.oid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
		WHERE t.typtype <> 'd'`,
		"{"+strings.Join(list, ",")+"}")
	if err != nil {
		return nil, fmt.Errorf("looking types up: %w", err)
	}
	types := make(map[uint32]sourceType, len(rows))
	for _, row := range rows {
		oid, err := strconv.ParseUint(row[0], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("reading the oid of a type: %w", err)
		}
		types[uint32(oid)] = sourceType{name: row[1], kind: row[2], category: row[3]}
	}
	return types, nil
}
