package encode

// compactor writes JSON documents without the space between their tokens. It checks all of their
// grammar on the way, as encoding/json does, and makes the quoted field in the same pass.
type compactor struct {
	open []byte // brackets that wait for their closing one
}

// deepest is how many brackets may be open at once. It is the limit of encoding/json.
const deepest = 10_000

// What a document may go on with: a set of these.
const (
	aValue = 1 << iota
	aKey
	aColon
	aComma
	anEnd // of the array or object that is open
)

// appendField appends the document as a field, and reports whether it is one at all. If it is not,
// what stands behind dst is of no meaning.
func (c *compactor) appendField(dst, document []byte) ([]byte, bool) {
	start := len(dst)
	dst = append(dst, '"') // taken back where the field needs no quotes
	quotes := false
	c.open = c.open[:0]
	in := byte(0) // the innermost open bracket
	next := aValue
	for i := 0; i < len(document); {
		b := document[i]
		switch b {
		case ' ', '\n', '\t', '\r':
			i++
			continue
		case '"':
			switch {
			case next&aKey != 0:
				next = aColon
			case next&aValue != 0:
				next = aComma | anEnd
			default:
				return dst, false
			}
			dst, i = appendString(dst, document, i)
			if i < 0 {
				return dst, false
			}
			quotes = true
			continue
		case ':':
			if next&aColon == 0 {
				return dst, false
			}
			next = aValue
		case ',':
			if next&aComma == 0 || in == 0 {
				return dst, false
			}
			next, quotes = aValue, true
			if in == '{' {
				next = aKey
			}
		case '{', '[':
			if next&aValue == 0 || len(c.open) == deepest {
				return dst, false
			}
			c.open = append(c.open, b)
			in, next = b, aValue|anEnd
			if in == '{' {
				next = aKey | anEnd
			}
		case '}', ']':
			if next&anEnd == 0 || in != b-2 { // as the brackets stand in ASCII
				return dst, false
			}
			c.open = c.open[:len(c.open)-1]
			in, next = 0, aComma|anEnd
			if n := len(c.open); n > 0 {
				in = c.open[n-1]
			}
		default:
			end := -1
			if next&aValue != 0 {
				end = scalarEnd(document, i)
			}
			if end < 0 {
				return dst, false
			}
			dst = append(dst, document[i:end]...)
			i, next = end, aComma|anEnd
			continue
		}
		dst = append(dst, b)
		i++
	}
	if in != 0 || next&aComma == 0 {
		return dst, false
	}
	if quotes {
		return append(dst, '"'), true
	}
	return append(dst[:start], dst[start+1:]...), true
}

// plain marks the bytes that a string may have and that say nothing of its end.
var plain = func() (t [256]bool) {
	for b := ' '; b <= 0xff; b++ {
		t[b] = b != '"' && b != '\\'
	}
	return t
}()

// appendString appends the string that begins at from, each of its quotes doubled, and returns where
// it ends, or -1.
func appendString(dst, document []byte, from int) (appended []byte, end int) {
	dst = append(dst, '"')
	done := from // what is before it is appended, and the quote at it once
	for i := from + 1; i < len(document); i++ {
		b := document[i]
		if plain[b] {
			continue
		}
		if b == '"' {
			dst = append(dst, document[done:i+1]...)
			return append(dst, '"'), i + 1
		}
		if b != '\\' || i+1 == len(document) {
			return dst, -1
		}
		i++
		switch document[i] {
		case '\\', '/', 'b', 'f', 'n', 'r', 't':
		case '"':
			dst = append(dst, document[done:i+1]...)
			done = i
		case 'u':
			if i+4 >= len(document) {
				return dst, -1
			}
			for _, digit := range document[i+1 : i+5] {
				if !isHex(digit) {
					return dst, -1
				}
			}
			i += 4
		default:
			return dst, -1
		}
	}
	return dst, -1
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}

// scalarEnd returns where the number or word ends that begins at from, or -1 when it is neither.
func scalarEnd(document []byte, from int) int {
	switch document[from] {
	case 't':
		return wordEnd(document, from, "true")
	case 'f':
		return wordEnd(document, from, "false")
	case 'n':
		return wordEnd(document, from, "null")
	default:
		return numberEnd(document, from)
	}
}

// numberEnd returns where the number ends that begins at from, or -1.
func numberEnd(document []byte, from int) int {
	i := from
	if document[i] == '-' {
		i++
	}
	switch whole := digitsEnd(document, i); {
	case whole == i, document[i] == '0' && whole > i+1:
		return -1
	default:
		i = whole
	}
	if i < len(document) && document[i] == '.' {
		fraction := digitsEnd(document, i+1)
		if fraction == i+1 {
			return -1
		}
		i = fraction
	}
	if i < len(document) && document[i]|0x20 == 'e' {
		i++
		if i < len(document) && (document[i] == '+' || document[i] == '-') {
			i++
		}
		exponent := digitsEnd(document, i)
		if exponent == i {
			return -1
		}
		i = exponent
	}
	return i
}

// digitsEnd returns where the digits end that begin at from, if there are any.
func digitsEnd(document []byte, from int) int {
	for from < len(document) && '0' <= document[from] && document[from] <= '9' {
		from++
	}
	return from
}

// wordEnd returns where the word ends that begins at from, or -1 when it is another.
func wordEnd(document []byte, from int, word string) int {
	if end := from + len(word); end <= len(document) && string(document[from:end]) == word {
		return end
	}
	return -1
}
