package mongodb

import (
	"math/bits"
	"strconv"
)

const (
	decimalBias  = 6176
	half         = 17                      // digits of half a coefficient
	halfModulus  = 100_000_000_000_000_000 // 10 to that power
	decimalZeros = "00000000000000000"
)

// appendDecimal appends a Decimal128, given as 16 bytes, the way the server prints it: all digits,
// with an exponent where the scientific notation of the specification calls for it.
func appendDecimal(dst, data []byte) []byte {
	low, high := le.Uint64(data), le.Uint64(data[8:])
	if high>>58&0x1F == 0x1F {
		return append(dst, "NaN"...)
	}
	if high>>63 == 1 {
		dst = append(dst, '-')
	}
	if high>>58&0x1F == 0x1E {
		return append(dst, "Infinity"...)
	}
	exponent := int(high>>49&0x3FFF) - decimalBias
	var upper, lower uint64 // halves of the coefficient, in decimal
	if high>>61&3 == 3 {
		// This form of the exponent belongs to coefficients above the largest one, and those
		// count as zero, as do other coefficients that are too large.
		exponent = int(high>>47&0x3FFF) - decimalBias
	} else if upper, lower = bits.Div64(high&(1<<49-1), low, halfModulus); upper >= halfModulus {
		upper, lower = 0, 0
	}
	return appendScientific(dst, upper, lower, exponent)
}

// appendScientific appends (upper·10¹⁷ + lower)·10^exponent.
func appendScientific(dst []byte, upper, lower uint64, exponent int) []byte {
	var room [2 * half]byte
	digits := room[:0]
	if upper > 0 {
		digits = strconv.AppendUint(digits, upper, 10)
		split := len(digits)
		digits = strconv.AppendUint(digits, lower, 10)
		if missing := half - (len(digits) - split); missing > 0 {
			digits = strconv.AppendUint(append(digits[:split], decimalZeros[:missing]...), lower, 10)
		}
	} else {
		digits = strconv.AppendUint(digits, lower, 10)
	}

	adjusted := exponent + len(digits) - 1
	if exponent > 0 || adjusted < -6 {
		dst = append(dst, digits[0])
		if len(digits) > 1 {
			dst = append(dst, '.')
			dst = append(dst, digits[1:]...)
		}
		dst = append(dst, 'E')
		if adjusted >= 0 {
			dst = append(dst, '+')
		}
		return strconv.AppendInt(dst, int64(adjusted), 10)
	}
	point := len(digits) + exponent // digits before the point
	if point <= 0 {
		dst = append(dst, "0."...)
		dst = append(dst, decimalZeros[:-point]...) // at most six
		return append(dst, digits...)
	}
	dst = append(dst, digits[:point]...)
	if point < len(digits) {
		dst = append(dst, '.')
		dst = append(dst, digits[point:]...)
	}
	return dst
}
