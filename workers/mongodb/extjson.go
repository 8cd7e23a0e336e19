package mongodb

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxDepth bounds how deep documents may be nested. The server's own limit is 100.
const maxDepth = 250

// jsonWriter appends values as compact, relaxed Extended JSON v2, in the form that they have inside
// of the quotes of a CSV field: every quote is doubled. See the package comment for what that keeps.
type jsonWriter struct {
	dst     []byte
	bad     int64 // strings that were not UTF-8
	dollars int64 // names of fields that begin with $, as those of the wrappers do

	keys map[string]*key
	last *key // written last
}

// key is a name in the form that it has in the file. The documents in a collection are much alike,
// so the name that followed it the last time is kept too, as a guess for the next time.
type key struct {
	name   string
	text   []byte
	dollar bool
	next   *key
}

// maxKeys and longestKey bound what is kept: some collections use data as field names.
const (
	maxKeys    = 1000
	longestKey = 100
)

// value appends one value.
func (j *jsonWriter) value(v value, depth int) error {
	switch v.kind {
	case kindDocument:
		return j.document(v.data, depth)
	case kindArray:
		return j.array(v.data, depth)
	case kindScoped:
		n, err := stringSize(v.data[4:])
		if err != nil {
			return err
		}
		j.raw(`{""$code"":`)
		j.string(text(v.data[4 : 4+n]))
		j.raw(`,""$scope"":`)
		if err := j.document(v.data[4+n:], depth); err != nil {
			return err
		}
		j.raw(`}`)
	case kindNull:
		j.raw("null")
	case kindBool:
		j.dst = strconv.AppendBool(j.dst, v.data[0] != 0)
	case kindString:
		j.string(text(v.data))
	case kindInt32:
		j.dst = strconv.AppendInt(j.dst, int64(int32Of(v.data)), 10)
	case kindInt64:
		j.dst = strconv.AppendInt(j.dst, int64Of(v.data), 10)
	case kindDouble:
		j.double(doubleOf(v.data))
	default:
		j.wrapped(v)
	}
	return nil
}

// wrapped appends a value of a type that JSON does not have.
func (j *jsonWriter) wrapped(v value) {
	switch v.kind {
	case kindObjectID:
		j.objectID(v.data)
	case kindDate:
		j.date(int64Of(v.data))
	case kindDecimal:
		j.raw(`{""$numberDecimal"":""`)
		j.dst = appendDecimal(j.dst, v.data)
		j.raw(`""}`)
	case kindBinary:
		subtype, content := binaryOf(v.data)
		j.raw(`{""$binary"":{""base64"":""`)
		j.dst = base64.StdEncoding.AppendEncode(j.dst, content)
		j.raw(`"",""subType"":""`)
		j.dst = hex.AppendEncode(j.dst, []byte{subtype})
		j.raw(`""}}`)
	case kindRegex:
		pattern, flags, _ := bytes.Cut(v.data[:len(v.data)-1], []byte{0})
		j.raw(`{""$regularExpression"":{""pattern"":`)
		j.string(pattern)
		j.raw(`,""options"":`)
		j.string(flags)
		j.raw(`}}`)
	case kindTimestamp:
		j.raw(`{""$timestamp"":{""t"":`)
		j.dst = strconv.AppendUint(j.dst, uint64(le.Uint32(v.data[4:])), 10)
		j.raw(`,""i"":`)
		j.dst = strconv.AppendUint(j.dst, uint64(le.Uint32(v.data)), 10)
		j.raw(`}}`)
	case kindCode:
		j.raw(`{""$code"":`)
		j.string(text(v.data))
		j.raw(`}`)
	case kindSymbol:
		j.raw(`{""$symbol"":`)
		j.string(text(v.data))
		j.raw(`}`)
	case kindDBPointer:
		id := len(v.data) - 12
		j.raw(`{""$dbPointer"":{""$ref"":`)
		j.string(text(v.data[:id]))
		j.raw(`,""$id"":`)
		j.objectID(v.data[id:])
		j.raw(`}}`)
	case kindUndefined:
		j.raw(`{""$undefined"":true}`)
	case kindMinKey:
		j.raw(`{""$minKey"":1}`)
	case kindMaxKey:
		j.raw(`{""$maxKey"":1}`)
	}
}

// document appends a document that was checked by size.
func (j *jsonWriter) document(doc []byte, depth int) error {
	if depth >= maxDepth {
		return errCorrupt
	}
	j.dst = append(j.dst, '{')
	for rest, first := elements(doc), true; len(rest) > 0; first = false {
		if !first {
			j.dst = append(j.dst, ',')
		}
		v, after, err := j.element(rest)
		if err != nil {
			return err
		}
		if err := j.value(v, depth+1); err != nil {
			return err
		}
		rest = after
	}
	j.dst = append(j.dst, '}')
	return nil
}

// element splits the first element off src, like the function of that name, and appends its name.
func (j *jsonWriter) element(src []byte) (v value, rest []byte, err error) {
	if j.last != nil {
		if k := j.last.next; k != nil && named(src, k.name) {
			j.key(k)
			return valueAt(src, len(k.name)+2)
		}
	}
	name, v, rest, err := element(src)
	if err == nil {
		j.name(name)
	}
	return v, rest, err
}

// name appends the name of a field and the colon.
func (j *jsonWriter) name(name []byte) {
	k := j.keys[string(name)]
	if k == nil {
		k = j.keep(name)
	}
	if j.last != nil {
		j.last.next = k
	}
	if k != nil {
		j.key(k)
		return
	}
	j.last = nil
	j.string(name)
	j.dst = append(j.dst, ':')
	if isDollar(name) {
		j.dollars++
	}
}

// key appends a name that is kept.
func (j *jsonWriter) key(k *key) {
	j.dst = append(j.dst, k.text...)
	j.last = k
	if k.dollar {
		j.dollars++
	}
}

// keep keeps a name, or returns nil: one that is not UTF-8 is to be counted each time.
func (j *jsonWriter) keep(name []byte) *key {
	if len(j.keys) >= maxKeys || len(name) > longestKey || !utf8.Valid(name) {
		return nil
	}
	var w jsonWriter
	w.string(name)
	if j.keys == nil {
		j.keys = map[string]*key{}
	}
	k := &key{name: string(name), text: append(w.dst, ':'), dollar: isDollar(name)}
	j.keys[k.name] = k
	return k
}

// isDollar reports whether the name begins with $, as those of the wrappers do. Those of a DBRef do
// not count: no reader takes them for a wrapper.
func isDollar(name []byte) bool {
	if len(name) == 0 || name[0] != '$' {
		return false
	}
	switch string(name) {
	case "$ref", "$id", "$db":
		return false
	default:
		return true
	}
}

// array appends an array that was checked by size.
func (j *jsonWriter) array(doc []byte, depth int) error {
	if depth >= maxDepth {
		return errCorrupt
	}
	j.dst = append(j.dst, '[')
	for rest, first := elements(doc), true; len(rest) > 0; first = false {
		_, v, after, err := element(rest) // by the specification the names count up
		if err != nil {
			return err
		}
		if !first {
			j.dst = append(j.dst, ',')
		}
		if err := j.value(v, depth+1); err != nil {
			return err
		}
		rest = after
	}
	j.dst = append(j.dst, ']')
	return nil
}

func (j *jsonWriter) raw(s string) { j.dst = append(j.dst, s...) }

func (j *jsonWriter) objectID(id []byte) {
	j.raw(`{""$oid"":""`)
	j.dst = hex.AppendEncode(j.dst, id)
	j.raw(`""}`)
}

// double appends f with a point or an exponent, so that it differs from a whole number.
func (j *jsonWriter) double(f float64) {
	switch {
	case math.IsNaN(f):
		j.raw(`{""$numberDouble"":""NaN""}`)
		return
	case math.IsInf(f, 1):
		j.raw(`{""$numberDouble"":""Infinity""}`)
		return
	case math.IsInf(f, -1):
		j.raw(`{""$numberDouble"":""-Infinity""}`)
		return
	}
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		j.dst = strconv.AppendFloat(j.dst, f, 'e', -1, 64)
		return
	}
	start := len(j.dst)
	j.dst = strconv.AppendFloat(j.dst, f, 'f', -1, 64)
	if bytes.IndexByte(j.dst[start:], '.') < 0 {
		j.raw(".0")
	}
}

// The dates that the relaxed form writes in ISO 8601, in milliseconds: the years 1970 to 9999.
const (
	firstISODate = 0
	lastISODate  = 253402300799999
)

func (j *jsonWriter) date(millis int64) {
	if millis < firstISODate || millis > lastISODate {
		j.raw(`{""$date"":{""$numberLong"":""`)
		j.dst = strconv.AppendInt(j.dst, millis, 10)
		j.raw(`""}}`)
		return
	}
	j.raw(`{""$date"":""`)
	j.dst = appendISODate(j.dst, millis)
	j.raw(`""}`)
}

// appendISODate appends a date between firstISODate and lastISODate.
func appendISODate(dst []byte, millis int64) []byte {
	t := time.UnixMilli(millis).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(dst, "0000-00-00T00:00:00"...)
	p := (*[19]byte)(dst[len(dst)-19:])
	p[0], p[1] = pair(year / 100)
	p[2], p[3] = pair(year % 100)
	p[5], p[6] = pair(int(month))
	p[8], p[9] = pair(day)
	p[11], p[12] = pair(hour)
	p[14], p[15] = pair(minute)
	p[17], p[18] = pair(second)
	if fraction := int(millis % 1000); fraction > 0 {
		tens, ones := pair(fraction % 100)
		dst = append(dst, '.', byte('0'+fraction/100), tens, ones)
	}
	return append(dst, 'Z')
}

// pair returns both digits of n, which is less than 100.
func pair(n int) (tens, ones byte) { return byte('0' + n/10), byte('0' + n%10) }

// escaped marks the bytes that a JSON string within a quoted CSV field cannot hold as they are.
var escaped = func() (all [256]bool) {
	for c := range byte(0x20) {
		all[c] = true
	}
	all['"'], all['\\'] = true, true
	return all
}()

const hexDigits = "0123456789abcdef"

// string appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func (j *jsonWriter) string(s []byte) {
	if !utf8.Valid(s) {
		s = bytes.ToValidUTF8(s, []byte("\uFFFD"))
		j.bad++
	}
	j.raw(`""`)
	j.dst = appendEscaped(j.dst, s)
	j.raw(`""`)
}

// appendEscaped appends the inside of a JSON string.
func appendEscaped(dst, s []byte) []byte {
	done := 0
	for i, c := range s {
		if !escaped[c] {
			continue
		}
		dst = append(dst, s[done:i]...)
		done = i + 1
		switch c {
		case '"':
			dst = append(dst, `\""`...)
		case '\\':
			dst = append(dst, `\\`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
		}
	}
	return append(dst, s[done:]...)
}
