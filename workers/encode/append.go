package encode

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// special marks the bytes that make a field need quotes.
var special = [256]bool{',': true, '"': true, '\n': true, '\r': true}

// appendText appends the field s, quoted where needed.
func appendText[T string | []byte](dst []byte, s T) []byte {
	if len(s) == 0 {
		return append(dst, `""`...)
	}
	for i := 0; i < len(s); i++ {
		if special[s[i]] {
			return appendQuoted(dst, s, i)
		}
	}
	return append(dst, s...)
}

// appendQuoted appends the field s in quotes. The first from bytes hold no quote.
func appendQuoted[T string | []byte](dst []byte, s T, from int) []byte {
	dst = append(dst, '"')
	done := 0
	for i := from; i < len(s); i++ {
		if s[i] == '"' {
			dst = append(dst, s[done:i+1]...)
			done = i // the quote is appended again with what follows
		}
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

// appendPlain appends the text of a field that is not NULL: without its quotes, if it has any.
func appendPlain(dst, field []byte) []byte {
	if field[0] != '"' {
		return append(dst, field...)
	}
	for rest := field[1 : len(field)-1]; ; {
		at := bytes.IndexByte(rest, '"')
		if at < 0 {
			return append(dst, rest...)
		}
		dst = append(dst, rest[:at+1]...)
		rest = rest[at+2:] // a quote within is doubled
	}
}

// appendFloat appends f as PostgreSQL spells it: an exponent where the first digit stands before
// 10^-4, or at 10^15 (10^6 in single precision) and beyond.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	low, high := 1e-4, 1e15
	if bits == 32 {
		low, high = float64(float32(1e-4)), 1e6
	}
	if abs := math.Abs(f); abs != 0 && (abs < low || abs >= high) {
		return strconv.AppendFloat(dst, f, 'e', -1, bits)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits)
}

// appendTime appends the instant t as PostgreSQL spells a timestamptz in UTC.
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	before := year <= 0 // the year 0 is 1 BC
	if before {
		year = 1 - year
	}
	if year >= 10_000 {
		dst = strconv.AppendInt(dst, int64(year/10_000), 10)
	}
	hour, minute, second := t.Clock()
	dst = append(dst, "0000-00-00 00:00:00"...)
	p := (*[19]byte)(dst[len(dst)-19:])
	p[0], p[1] = pair(year / 100 % 100)
	p[2], p[3] = pair(year % 100)
	p[5], p[6] = pair(int(month))
	p[8], p[9] = pair(day)
	p[11], p[12] = pair(hour)
	p[14], p[15] = pair(minute)
	p[17], p[18] = pair(second)
	if micros := t.Nanosecond() / 1000; micros > 0 {
		dst = append(dst, ".000000"...)
		p := (*[6]byte)(dst[len(dst)-6:])
		p[0], p[1] = pair(micros / 10_000)
		p[2], p[3] = pair(micros / 100 % 100)
		p[4], p[5] = pair(micros % 100)
		dst = trimFraction(dst)
	}
	dst = append(dst, "+00"...)
	if before {
		dst = append(dst, " BC"...)
	}
	return dst
}

// pair returns both digits of n, which is less than 100.
func pair(n int) (tens, ones byte) { return byte('0' + n/10), byte('0' + n%10) }

// trimFraction returns p without the trailing zeros of the fraction of its seconds, and without
// the point when nothing is left of it.
func trimFraction(p []byte) []byte {
	if len(p) == 0 || p[len(p)-1] != '0' {
		return p
	}
	point := bytes.LastIndexByte(p, '.')
	if point < 0 {
		return p
	}
	end := len(p)
	for p[end-1] == '0' {
		end--
	}
	if end-1 == point {
		end = point
	}
	return p[:end]
}
