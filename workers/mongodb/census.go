package mongodb

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// census counts the values of one column by their types. A field has no declared type: what it
// holds is known when every document was read.
type census struct {
	kinds [256]int64
	uuids int64 // of kind binData
	wide  int64 // of kind long: not every double of that size is whole
	prose int64 // of kind string, in a column declared as JSON: no JSON document
}

// widest is the largest whole number up to which every whole number is a double.
const widest = 1 << 53

// sourceType names the types seen, as $type does, the most frequent first. Null is named only where
// there was nothing else; the result is empty when no document had the field.
func (c *census) sourceType() string {
	var seen []kind
	for k, n := range c.kinds {
		if n > 0 && kind(k) != kindMissing && kind(k) != kindNull {
			seen = append(seen, kind(k))
		}
	}
	if len(seen) == 0 {
		if c.kinds[kindNull] > 0 {
			return kindNull.alias()
		}
		return ""
	}
	slices.SortStableFunc(seen, func(a, b kind) int { return cmp.Compare(c.kinds[b], c.kinds[a]) })
	names := make([]string, len(seen))
	for i, k := range seen {
		names[i] = k.alias()
	}
	return strings.Join(names, ", ")
}

// fileType is the one type of the dialect that the text of every value can be read as without
// losing anything that the text says, else text.
func (c *census) fileType(isJSON bool) string {
	common := ""
	for k, n := range c.kinds {
		if n == 0 || kind(k) == kindMissing || kind(k) == kindNull {
			continue
		}
		common = c.join(common, c.typeOf(kind(k), isJSON))
	}
	if common == "" {
		return ingest.TypeText
	}
	return common
}

// typeOf returns the type of the dialect that the values of kind k have.
func (c *census) typeOf(k kind, isJSON bool) string {
	switch k {
	case kindString:
		if isJSON && c.prose == 0 {
			return ingest.TypeJSON
		}
		return ingest.TypeText
	case kindInt32, kindInt64:
		return ingest.TypeInteger
	case kindDouble:
		return ingest.TypeFloat
	case kindDecimal:
		return ingest.TypeDecimal
	case kindBool:
		return ingest.TypeBoolean
	case kindDate:
		return ingest.TypeInstant
	case kindObjectID:
		return ingest.TypeObjectID
	case kindBinary:
		switch c.uuids {
		case 0:
			return ingest.TypeBinary
		case c.kinds[kindBinary]:
			return ingest.TypeUUID
		default:
			return ingest.TypeText
		}
	default:
		return ingest.TypeJSON
	}
}

// join returns the type that the texts of both types can be read as. Whole numbers are decimals,
// and floats as long as every double of their size is whole. A float is no decimal: its digits
// are the shortest that tell it from its neighbours, and not its value.
func (c *census) join(a, b string) string {
	if a > b {
		a, b = b, a
	}
	switch {
	case a == "" || a == b:
		return b
	case a == ingest.TypeDecimal && b == ingest.TypeInteger:
		return ingest.TypeDecimal
	case a == ingest.TypeFloat && b == ingest.TypeInteger && c.wide == 0:
		return ingest.TypeFloat
	default:
		return ingest.TypeText
	}
}
