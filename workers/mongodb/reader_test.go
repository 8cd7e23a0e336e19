package mongodb

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// reader rebuilds documents the way a stranger would, who has a file, the columns in its manifest
// and the description of the dialect. What such a reader cannot know is all in one place: kept.
type reader struct {
	header  []string
	columns []ingest.Column
}

// document returns the document that a record stands for: the declared fields in the order of the
// columns, then the others. Where a column's type is text because its values have no type in
// common, hint says what is lost: the type that the value had.
func (r reader) document(record []extracttest.Field, hint func(column string) kind) (doc bson.D, err error) {
	var extra bson.D
	doc = bson.D{}
	for i, field := range record {
		column := r.columns[i]
		if r.header[i] != column.Name {
			return nil, fmt.Errorf("column %d is headed %q and described as %q", i, r.header[i], column.Name)
		}
		if field.Null {
			continue
		}
		value, err := r.value(column, field.Text, hint)
		if err != nil {
			return nil, fmt.Errorf("column %s (%s, %s): %q: %w", column.Name, column.Type, column.SourceType, field.Text, err)
		}
		if column.Name == "_extra" {
			extra = value.(bson.D)
			continue
		}
		doc = put(doc, strings.Split(column.Name, "."), value)
	}
	return merge(doc, extra), nil
}

func (r reader) value(column ingest.Column, text string, hint func(column string) kind) (any, error) {
	for _, k := range kinds() {
		if k.alias() == column.SourceType {
			if column.Type == ingest.TypeText && k == kindBinary {
				break // UUIDs among others
			}
			return read(text, k)
		}
	}
	switch column.Type {
	case ingest.TypeInteger:
		return read(text, kindInt64)
	case ingest.TypeFloat:
		return read(text, kindDouble)
	case ingest.TypeDecimal:
		return read(text, kindDecimal)
	case ingest.TypeJSON:
		return read(text, kindDocument)
	case ingest.TypeText:
		return read(text, hint(column.Name))
	default:
		return nil, fmt.Errorf("no type stands for several others under that name")
	}
}

var (
	instantForm = regexp.MustCompile(`^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{0,5}[1-9]))?\+00( BC)?$`)
	uuidForm    = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	hexForm     = regexp.MustCompile(`^\\x([0-9a-f]{2})*$`)
	oidForm     = regexp.MustCompile(`^[0-9a-f]{24}$`)
	wholeForm   = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
)

// read returns the value of a type that the dialect spells so.
func read(text string, k kind) (any, error) {
	malformed := fmt.Errorf("the dialect does not spell a %s so", k.alias())
	switch k {
	case kindString:
		return text, nil
	case kindBool:
		if text != "true" && text != "false" {
			return nil, malformed
		}
		return text == "true", nil
	case kindInt32, kindInt64:
		if !wholeForm.MatchString(text) {
			return nil, malformed
		}
		if k == kindInt32 {
			n, err := strconv.ParseInt(text, 10, 32)
			return int32(n), err
		}
		return strconv.ParseInt(text, 10, 64)
	case kindDouble:
		return strconv.ParseFloat(text, 64)
	case kindDecimal:
		return bson.ParseDecimal128(text)
	case kindDate:
		part := instantForm.FindStringSubmatch(text)
		if part == nil {
			return nil, malformed
		}
		var n [6]int
		for i := range n {
			n[i], _ = strconv.Atoi(part[1+i])
		}
		if part[8] != "" {
			n[0] = 1 - n[0] // the year before the first is 1 BC
		}
		micros, _ := strconv.Atoi((part[7] + "000000")[:6])
		at := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], micros*1000, time.UTC)
		return bson.DateTime(at.UnixMilli()), nil
	case kindObjectID:
		if !oidForm.MatchString(text) {
			return nil, malformed
		}
		return bson.ObjectIDFromHex(text)
	case kindBinary:
		switch {
		case uuidForm.MatchString(text):
			data, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
			return bson.Binary{Subtype: 4, Data: data}, err
		case hexForm.MatchString(text):
			data, err := hex.DecodeString(text[2:])
			return bson.Binary{Data: data}, err
		default:
			return nil, malformed
		}
	default:
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(text)); err != nil || compact.String() != text {
			return nil, fmt.Errorf("not compact JSON: %w", err)
		}
		var within bson.D
		if err := bson.UnmarshalExtJSON([]byte(`{"v":`+text+`}`), false, &within); err != nil {
			return nil, err
		}
		return within[0].Value, nil
	}
}

// put adds the value at the path.
func put(doc bson.D, path []string, value any) bson.D {
	if len(path) == 1 {
		return append(doc, bson.E{Key: path[0], Value: value})
	}
	for i := range doc {
		if inner, ok := doc[i].Value.(bson.D); ok && doc[i].Key == path[0] {
			doc[i].Value = put(inner, path[1:], value)
			return doc
		}
	}
	return append(doc, bson.E{Key: path[0], Value: put(bson.D{}, path[1:], value)})
}

// merge adds the fields of extra. A document goes into the one of that name that put made.
func merge(doc, extra bson.D) bson.D {
	for _, e := range extra {
		at := slices.IndexFunc(doc, func(known bson.E) bool { return known.Key == e.Key })
		if at >= 0 {
			inner, isDocument := doc[at].Value.(bson.D)
			if more, ok := e.Value.(bson.D); ok && isDocument {
				doc[at].Value = merge(inner, more)
				continue
			}
		}
		doc = append(doc, e)
	}
	return doc
}

// kept returns what a file with an extra column keeps of a document: everything but
//
//   - the order of the declared fields, among each other and beside the others;
//   - whether a declared field was null or missing, also around it: {"a": null} for a column a.b;
//   - whether a column a.b was a field of that name or the field b of a;
//   - in a column: the subtype of binary data that is no UUID, and which of several types a value
//     had (kindOf tells that about text);
//   - in JSON: whether a whole number that an int holds was a long;
//   - the sign and the payload of a NaN.
func kept(doc bson.D, columns []ingest.Column) bson.D {
	k := keeper{columns: map[string]ingest.Column{}, parents: map[string]bool{}, found: map[string]any{}}
	for _, c := range columns {
		path := strings.Split(c.Name, ".")
		for i := 1; i < len(path); i++ {
			k.parents[strings.Join(path[:i], "\x00")] = true
		}
		k.columns[strings.Join(path, "\x00")], k.columns[c.Name] = c, c
	}
	rest := k.walk(doc, "")
	out := bson.D{}
	for _, c := range columns {
		if v, ok := k.found[c.Name]; ok && v != nil {
			out = put(out, strings.Split(c.Name, "."), inColumn(v, c))
		}
	}
	return merge(out, rest)
}

// keeper goes through a document.
type keeper struct {
	columns map[string]ingest.Column // by path with \x00 between names, and by name
	parents map[string]bool          // paths around columns
	found   map[string]any           // values of columns
}

// walk notes the values of columns and returns the rest.
func (k keeper) walk(doc bson.D, above string) (rest bson.D) {
	for _, e := range doc {
		path := e.Key
		if above != "" {
			path = above + "\x00" + e.Key
		}
		inner, isDocument := e.Value.(bson.D)
		column, declared := k.columns[path]
		if _, known := k.found[column.Name]; declared && !known {
			k.found[column.Name] = e.Value
			continue
		}
		switch {
		case declared || !k.parents[path]:
			rest = append(rest, bson.E{Key: e.Key, Value: inJSON(e.Value)})
		case isDocument:
			if more := k.walk(inner, path); len(more) > 0 || len(inner) == 0 {
				rest = append(rest, bson.E{Key: e.Key, Value: append(bson.D{}, more...)})
			}
		case e.Value != nil:
			rest = append(rest, bson.E{Key: e.Key, Value: inJSON(e.Value)})
		}
	}
	return rest
}

// inColumn returns what a column keeps of a value.
func inColumn(v any, c ingest.Column) any {
	several := strings.Contains(c.SourceType, ",")
	switch v := v.(type) {
	case int32:
		switch {
		case several && c.Type == ingest.TypeInteger:
			return int64(v)
		case several && c.Type == ingest.TypeFloat:
			return float64(v)
		case several && c.Type == ingest.TypeDecimal:
			return mustDecimal(strconv.Itoa(int(v)))
		}
		return v
	case int64:
		switch {
		case several && c.Type == ingest.TypeFloat:
			return float64(v)
		case several && c.Type == ingest.TypeDecimal:
			return mustDecimal(strconv.FormatInt(v, 10))
		}
		return v
	case bson.Binary:
		if v.Subtype == 4 && len(v.Data) == 16 {
			return v
		}
		return bson.Binary{Data: v.Data}
	default:
		return inJSON(v)
	}
}

// inJSON returns what JSON keeps of a value.
func inJSON(v any) any {
	switch v := v.(type) {
	case int64:
		if v >= math.MinInt32 && v <= math.MaxInt32 {
			return int32(v)
		}
		return v
	case float64:
		if math.IsNaN(v) {
			return math.NaN()
		}
		return v
	case bson.Decimal128:
		if v.IsNaN() {
			return mustDecimal("NaN")
		}
		return v
	case bson.D:
		out := bson.D{}
		for _, e := range v {
			out = append(out, bson.E{Key: e.Key, Value: inJSON(e.Value)})
		}
		return out
	case bson.A:
		out := bson.A{}
		for _, item := range v {
			out = append(out, inJSON(item))
		}
		return out
	case bson.CodeWithScope:
		return bson.CodeWithScope{Code: v.Code, Scope: inJSON(v.Scope)}
	default:
		return v
	}
}

func mustDecimal(digits string) bson.Decimal128 {
	d, err := bson.ParseDecimal128(digits)
	if err != nil {
		panic(err)
	}
	return d
}
