package mysql

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/encode"
)

// form is how the driver's values of a column are written.
type form int

const (
	asText    form = iota
	asNumber       // every digit, without ZEROFILL's
	asBoolean      // 0 and 1 as false and true
	asDouble
	asSingle // a float of single precision that was widened
	asBits
	asHex
	asDate
	asWallTime
	asInstant
	asSpan
	asJSON
)

// rendering is how a column of some type gets into the file.
type rendering struct {
	fileType string
	form     form
	widen    bool // the server rounds what it prints: select it as a double
}

// render returns how to export a type, by its name (varchar) and its full spelling (varchar(255),
// "" when unknown). It knows no unsupported one: what it does not know is text.
func render(name, spelled string) rendering {
	switch name {
	case "tinyint":
		if spelled == "tinyint(1)" {
			return rendering{fileType: ingest.TypeBoolean, form: asBoolean}
		}
		return rendering{fileType: ingest.TypeInteger, form: asNumber}
	case "smallint", "mediumint", "int", "bigint", "year":
		return rendering{fileType: ingest.TypeInteger, form: asNumber}
	case "bit":
		return rendering{fileType: ingest.TypeInteger, form: asBits}
	case "decimal":
		return rendering{fileType: ingest.TypeDecimal, form: asNumber}
	case "float":
		return rendering{fileType: ingest.TypeFloat, form: asSingle, widen: true}
	case "double":
		return rendering{fileType: ingest.TypeFloat, form: asDouble, widen: strings.Contains(spelled, "(")}
	case "date":
		return rendering{fileType: ingest.TypeDate, form: asDate}
	case "datetime":
		return rendering{fileType: ingest.TypeTimestamp, form: asWallTime}
	case "timestamp":
		return rendering{fileType: ingest.TypeInstant, form: asInstant}
	case "time":
		return rendering{fileType: ingest.TypeTime, form: asSpan}
	case "json":
		return rendering{fileType: ingest.TypeJSON, form: asJSON}
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector",
		"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
		"geomcollection", "geometrycollection":
		return rendering{fileType: ingest.TypeBinary, form: asHex}
	case "uuid":
		return rendering{fileType: ingest.TypeUUID}
	default:
		return rendering{fileType: ingest.TypeText}
	}
}

// column is a column of a dataset, where its values stand in a row, and what was odd about them.
type column struct {
	rendering
	name       string
	sourceType string        // as the server spells it
	described  ingest.Column // in the file
	mask       encode.Mask   // nil for none
	at         int           // index in the server's row

	noDates int64 // zero, partial and impossible dates
	noBools int64 // values of a boolean other than 0 and 1
}

// write writes a value as the driver returned it. The driver parses numbers, but not all of them.
func (c *column) write(w *encode.Writer, value driver.Value) {
	switch v := value.(type) {
	case nil:
		w.Null()
	case []byte:
		c.writeBytes(w, v)
	case int64:
		if c.form == asBoolean {
			c.writeBool(w, strconv.AppendInt(nil, v, 10))
		} else {
			w.Int(v)
		}
	case uint64:
		w.Uint(v)
	case float64:
		c.writeFloat(w, v)
	case float32:
		w.Float32(v)
	case string:
		w.String(v)
	default:
		w.String(fmt.Sprint(v)) // the driver has no other type
	}
}

// writeBytes writes a value as the server spells it.
func (c *column) writeBytes(w *encode.Writer, p []byte) {
	switch c.form {
	case asNumber:
		w.Text(trimZeros(p))
	case asBoolean:
		c.writeBool(w, p)
	case asDouble, asSingle:
		f, err := strconv.ParseFloat(string(p), 64)
		if err != nil {
			w.Text(p) // as odd as it is, it is what the server says
			return
		}
		c.writeFloat(w, f)
	case asBits:
		w.Uint(bits(p))
	case asHex:
		w.Hex(p)
	case asDate, asWallTime, asInstant:
		c.writeDate(w, p)
	case asSpan:
		w.WallTime(p)
	case asJSON:
		w.JSON(p)
	default:
		w.Text(p)
	}
}

func (c *column) writeBool(w *encode.Writer, p []byte) {
	switch string(p) {
	case "0", "1":
		w.Bool(p[0] == '1')
	default:
		c.noBools++
		w.Text(p)
	}
}

func (c *column) writeFloat(w *encode.Writer, f float64) {
	if c.form == asSingle {
		w.Float32(float32(f))
	} else {
		w.Float(f)
	}
}

// writeDate writes a date or a date and time, and NULL for what is no date.
func (c *column) writeDate(w *encode.Writer, p []byte) {
	switch {
	case !isDate(p):
		c.noDates++
		w.Null()
	case c.form == asInstant:
		w.UTCTime(p)
	default:
		w.WallTime(p)
	}
}

// isDate reports whether text that begins with YYYY-MM-DD names a day that there was. A server also
// holds years, months and days of zero, and under ALLOW_INVALID_DATES a 31st of every month.
func isDate(p []byte) bool {
	if len(p) < len("2006-01-02") {
		return false
	}
	year, month, day := number2(p[0:])*100+number2(p[2:]), number2(p[5:]), number2(p[8:])
	switch {
	case year == 0 || month == 0 || day == 0:
		return false
	case day <= 28:
		return true
	default:
		return day <= time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	}
}

// number2 returns the number that the first two digits of p are.
func number2(p []byte) int { return int(p[0]-'0')*10 + int(p[1]-'0') }

// warnings returns what a reader of the file must know of the column.
func (c *column) warnings() []string {
	var all []string
	if c.noDates > 0 {
		all = append(all, fmt.Sprintf("column %q: %d zero, partial or impossible dates became NULL", c.described.Name, c.noDates))
	}
	if c.noBools > 0 {
		all = append(all, fmt.Sprintf("column %q: %d values are neither 0 nor 1 and stand as integers among true and false", c.described.Name, c.noBools))
	}
	return all
}

// trimZeros drops the leading zeros that ZEROFILL shows. It has no meaning for negative numbers,
// which such a column cannot hold.
func trimZeros(p []byte) []byte {
	trimmed := bytes.TrimLeft(p, "0")
	if len(trimmed) == len(p) {
		return p
	}
	if len(trimmed) == 0 || trimmed[0] == '.' {
		return p[len(p)-len(trimmed)-1:]
	}
	return trimmed
}

// bits returns the value of a BIT column: up to 64 bits, the highest first.
func bits(p []byte) uint64 {
	var whole [8]byte
	copy(whole[max(0, 8-len(p)):], p)
	return binary.BigEndian.Uint64(whole[:])
}
