package mongodb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
)

// kind is a BSON type, as its byte on the wire. Zero is no type: it ends a document.
type kind byte

const (
	kindMissing   kind = 0x00
	kindDouble    kind = 0x01
	kindString    kind = 0x02
	kindDocument  kind = 0x03
	kindArray     kind = 0x04
	kindBinary    kind = 0x05
	kindUndefined kind = 0x06
	kindObjectID  kind = 0x07
	kindBool      kind = 0x08
	kindDate      kind = 0x09
	kindNull      kind = 0x0A
	kindRegex     kind = 0x0B
	kindDBPointer kind = 0x0C
	kindCode      kind = 0x0D
	kindSymbol    kind = 0x0E
	kindScoped    kind = 0x0F // code with scope
	kindInt32     kind = 0x10
	kindTimestamp kind = 0x11
	kindInt64     kind = 0x12
	kindDecimal   kind = 0x13
	kindMinKey    kind = 0xFF
	kindMaxKey    kind = 0x7F
)

// alias is what the server calls the type, in $type for one.
func (k kind) alias() string {
	switch k {
	case kindDouble:
		return "double"
	case kindString:
		return "string"
	case kindDocument:
		return "object"
	case kindArray:
		return "array"
	case kindBinary:
		return "binData"
	case kindUndefined:
		return "undefined"
	case kindObjectID:
		return "objectId"
	case kindBool:
		return "bool"
	case kindDate:
		return "date"
	case kindNull:
		return "null"
	case kindRegex:
		return "regex"
	case kindDBPointer:
		return "dbPointer"
	case kindCode:
		return "javascript"
	case kindSymbol:
		return "symbol"
	case kindScoped:
		return "javascriptWithScope"
	case kindInt32:
		return "int"
	case kindTimestamp:
		return "timestamp"
	case kindInt64:
		return "long"
	case kindDecimal:
		return "decimal"
	case kindMinKey:
		return "minKey"
	case kindMaxKey:
		return "maxKey"
	default:
		return "missing"
	}
}

// Subtypes of binary data.
const (
	subtypeOld  = 0x02 // holds its length a second time
	subtypeUUID = 0x04
)

// errCorrupt is a document that does not keep to the BSON specification.
var errCorrupt = errors.New("the bytes are not valid BSON")

// le is the byte order of BSON.
var le = binary.LittleEndian

// value is the bytes of a value, of the length that its kind calls for. The structure within a
// document, an array or scoped code is not checked yet.
type value struct {
	kind kind
	data []byte
}

// document splits the first document off src.
func document(src []byte) (doc, rest []byte, err error) {
	n, ok := length(src)
	if !ok || n < 5 || n > len(src) || src[n-1] != 0 {
		return nil, nil, errCorrupt
	}
	return src[:n], src[n:], nil
}

// elements returns the elements of a document that was checked by document, for element.
func elements(doc []byte) []byte { return doc[4 : len(doc)-1] }

// element splits the first element off src, the rest of a document's elements, which is not empty.
func element(src []byte) (name []byte, v value, rest []byte, err error) {
	end := bytes.IndexByte(src[1:], 0)
	if end < 0 {
		return nil, value{}, nil, errCorrupt
	}
	v, rest, err = valueAt(src, end+2)
	return src[1 : 1+end], v, rest, err
}

// named reports whether the name of the first element of src is the given one.
func named(src []byte, name string) bool {
	end := 1 + len(name)
	return end < len(src) && src[end] == 0 && string(src[1:end]) == name
}

// valueAt splits the first element off src, whose value begins at the given place.
func valueAt(src []byte, at int) (v value, rest []byte, err error) {
	k, rest := kind(src[0]), src[at:]
	n := int(widths[k])
	if n == varies {
		if n, err = size(k, rest); err != nil {
			return value{}, nil, err
		}
	} else if n > len(rest) {
		return value{}, nil, errCorrupt
	}
	return value{kind: k, data: rest[:n]}, rest[n:], nil
}

// widths holds the size of each kind's values. Where it is not always the same, or there is no such
// kind, it holds varies, and size knows.
var widths = func() (all [256]uint8) {
	for i := range all {
		all[i] = varies
	}
	for width, kinds := range map[uint8][]kind{
		0: {kindUndefined, kindNull, kindMinKey, kindMaxKey}, 1: {kindBool}, 4: {kindInt32},
		8: {kindDouble, kindDate, kindTimestamp, kindInt64}, 12: {kindObjectID}, 16: {kindDecimal},
	} {
		for _, k := range kinds {
			all[k] = width
		}
	}
	return all
}()

const varies = 255

// size returns how many bytes at the beginning of src are a value of kind k, which is not one of
// those that widths knows.
func size(k kind, src []byte) (n int, err error) {
	switch k {
	case kindString, kindCode, kindSymbol:
		return stringSize(src)
	case kindDBPointer:
		if n, err = stringSize(src); err != nil {
			return 0, err
		}
		n += 12
	case kindDocument, kindArray:
		doc, _, err := document(src)
		return len(doc), err
	case kindBinary:
		l, ok := length(src)
		if !ok || l < 0 || l > len(src)-5 {
			return 0, errCorrupt
		}
		n = 5 + l
	case kindRegex:
		pattern := bytes.IndexByte(src, 0)
		if pattern < 0 {
			return 0, errCorrupt
		}
		flags := bytes.IndexByte(src[pattern+1:], 0)
		if flags < 0 {
			return 0, errCorrupt
		}
		n = pattern + flags + 2
	case kindScoped:
		return scopedSize(src)
	default:
		return 0, errCorrupt
	}
	if n > len(src) {
		return 0, errCorrupt
	}
	return n, nil
}

// scopedSize is size for code with scope: a length, a string and a document that fill it exactly.
func scopedSize(src []byte) (int, error) {
	n, ok := length(src)
	if !ok || n < 4 || n > len(src) {
		return 0, errCorrupt
	}
	code, err := stringSize(src[4:n])
	if err != nil {
		return 0, err
	}
	scope, rest, err := document(src[4+code : n])
	if err != nil || len(rest) > 0 {
		return 0, errCorrupt
	}
	return 4 + code + len(scope), nil
}

// stringSize returns the size of the string at the beginning of src, with its length and its
// closing zero.
func stringSize(src []byte) (int, error) {
	n, ok := length(src)
	if !ok || n < 1 || n > len(src)-4 || src[4+n-1] != 0 {
		return 0, errCorrupt
	}
	return 4 + n, nil
}

// length reads a length.
func length(src []byte) (int, bool) {
	if len(src) < 4 {
		return 0, false
	}
	return int(int32(le.Uint32(src))), true
}

// text returns the bytes of a string value, without its length and its closing zero. They need
// not be UTF-8.
func text(data []byte) []byte { return data[4 : len(data)-1] }

// int32Of, int64Of and doubleOf return the number that a value holds: int64Of also the milliseconds
// of a date.
func int32Of(data []byte) int32    { return int32(le.Uint32(data)) }
func int64Of(data []byte) int64    { return int64(le.Uint64(data)) }
func doubleOf(data []byte) float64 { return math.Float64frombits(le.Uint64(data)) }

// uuidOf returns the UUID that a binary value holds, and whether it holds one.
func uuidOf(data []byte) (id [16]byte, ok bool) {
	subtype, content := binaryOf(data)
	if subtype != subtypeUUID || len(content) != len(id) {
		return id, false
	}
	return [16]byte(content), true
}

// binaryOf returns the subtype and the bytes of a binary value.
func binaryOf(data []byte) (subtype byte, content []byte) {
	subtype, content = data[4], data[5:]
	if subtype == subtypeOld {
		if n, ok := length(content); ok && n == len(content)-4 {
			content = content[4:]
		}
	}
	return subtype, content
}
