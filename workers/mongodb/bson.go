package mongodb

import (
	"bytes"
	"encoding/binary"
	"errors"
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
	name, v.kind, rest = src[1:1+end], kind(src[0]), src[end+2:]
	n, err := size(v.kind, rest)
	if err != nil {
		return nil, value{}, nil, err
	}
	v.data = rest[:n]
	return name, v, rest[n:], nil
}

// size returns how many bytes at the beginning of src are a value of kind k.
func size(k kind, src []byte) (int, error) {
	n := 0
	switch k {
	case kindUndefined, kindNull, kindMinKey, kindMaxKey:
	case kindBool:
		n = 1
	case kindInt32:
		n = 4
	case kindDouble, kindDate, kindTimestamp, kindInt64:
		n = 8
	case kindObjectID:
		n = 12
	case kindDecimal:
		n = 16
	case kindString, kindCode, kindSymbol:
		return stringSize(src)
	case kindDBPointer:
		s, err := stringSize(src)
		if err != nil {
			return 0, err
		}
		n = s + 12
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
