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

// jsonWriter appends values as compact, relaxed Extended JSON v2. See the package comment for
// what that keeps.
type jsonWriter struct {
	dst []byte
	bad int64 // strings that were not UTF-8
}

// value appends one value.
func (j *jsonWriter) value(v value, depth int) error {
	switch v.kind {
	case kindDocument:
		return j.document(v.data, '{', '}', depth)
	case kindArray:
		return j.document(v.data, '[', ']', depth)
	case kindScoped:
		n, err := stringSize(v.data[4:])
		if err != nil {
			return err
		}
		j.raw(`{"$code":`)
		j.string(text(v.data[4 : 4+n]))
		j.raw(`,"$scope":`)
		if err := j.document(v.data[4+n:], '{', '}', depth); err != nil {
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
		j.dst = strconv.AppendInt(j.dst, int64(int32(le.Uint32(v.data))), 10)
	case kindInt64:
		j.dst = strconv.AppendInt(j.dst, int64(le.Uint64(v.data)), 10)
	case kindDouble:
		j.double(math.Float64frombits(le.Uint64(v.data)))
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
		j.date(int64(le.Uint64(v.data)))
	case kindDecimal:
		j.raw(`{"$numberDecimal":"`)
		j.dst = appendDecimal(j.dst, v.data)
		j.raw(`"}`)
	case kindBinary:
		subtype, content := binaryOf(v.data)
		j.raw(`{"$binary":{"base64":"`)
		j.dst = base64.StdEncoding.AppendEncode(j.dst, content)
		j.raw(`","subType":"`)
		j.dst = hex.AppendEncode(j.dst, []byte{subtype})
		j.raw(`"}}`)
	case kindRegex:
		pattern, flags, _ := bytes.Cut(v.data[:len(v.data)-1], []byte{0})
		j.raw(`{"$regularExpression":{"pattern":`)
		j.string(pattern)
		j.raw(`,"options":`)
		j.string(flags)
		j.raw(`}}`)
	case kindTimestamp:
		j.raw(`{"$timestamp":{"t":`)
		j.dst = strconv.AppendUint(j.dst, uint64(le.Uint32(v.data[4:])), 10)
		j.raw(`,"i":`)
		j.dst = strconv.AppendUint(j.dst, uint64(le.Uint32(v.data)), 10)
		j.raw(`}}`)
	case kindCode:
		j.raw(`{"$code":`)
		j.string(text(v.data))
		j.raw(`}`)
	case kindSymbol:
		j.raw(`{"$symbol":`)
		j.string(text(v.data))
		j.raw(`}`)
	case kindDBPointer:
		id := len(v.data) - 12
		j.raw(`{"$dbPointer":{"$ref":`)
		j.string(text(v.data[:id]))
		j.raw(`,"$id":`)
		j.objectID(v.data[id:])
		j.raw(`}}`)
	case kindUndefined:
		j.raw(`{"$undefined":true}`)
	case kindMinKey:
		j.raw(`{"$minKey":1}`)
	case kindMaxKey:
		j.raw(`{"$maxKey":1}`)
	}
}

// document appends a document or an array, which was checked by size.
func (j *jsonWriter) document(doc []byte, opening, closing byte, depth int) error {
	if depth >= maxDepth {
		return errCorrupt
	}
	j.dst = append(j.dst, opening)
	for rest, first := elements(doc), true; len(rest) > 0; first = false {
		name, v, after, err := element(rest)
		if err != nil {
			return err
		}
		if !first {
			j.dst = append(j.dst, ',')
		}
		if opening == '{' {
			j.string(name)
			j.dst = append(j.dst, ':')
		}
		if err := j.value(v, depth+1); err != nil {
			return err
		}
		rest = after
	}
	j.dst = append(j.dst, closing)
	return nil
}

func (j *jsonWriter) raw(s string) { j.dst = append(j.dst, s...) }

func (j *jsonWriter) objectID(id []byte) {
	j.raw(`{"$oid":"`)
	j.dst = hex.AppendEncode(j.dst, id)
	j.raw(`"}`)
}

// double appends f with a point or an exponent, so that it differs from a whole number.
func (j *jsonWriter) double(f float64) {
	switch {
	case math.IsNaN(f):
		j.raw(`{"$numberDouble":"NaN"}`)
		return
	case math.IsInf(f, 1):
		j.raw(`{"$numberDouble":"Infinity"}`)
		return
	case math.IsInf(f, -1):
		j.raw(`{"$numberDouble":"-Infinity"}`)
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
		j.raw(`{"$date":{"$numberLong":"`)
		j.dst = strconv.AppendInt(j.dst, millis, 10)
		j.raw(`"}}`)
		return
	}
	layout := "2006-01-02T15:04:05.000Z"
	if millis%1000 == 0 {
		layout = "2006-01-02T15:04:05Z"
	}
	j.raw(`{"$date":"`)
	j.dst = time.UnixMilli(millis).UTC().AppendFormat(j.dst, layout)
	j.raw(`"}`)
}

const hexDigits = "0123456789abcdef"

// string appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func (j *jsonWriter) string(s []byte) {
	dst := j.dst
	dst = append(dst, '"')
	done, bad := 0, false
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[done:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
			}
			i++
			done = i
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, s[done:i]...)
			dst = append(dst, "\uFFFD"...)
			bad = true
			done = i + 1
		}
		i += n
	}
	dst = append(dst, s[done:]...)
	dst = append(dst, '"')
	j.dst = dst
	if bad {
		j.bad++
	}
}
