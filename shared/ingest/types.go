package ingest

// The types of the dialect, as Column.Type names them. They say how the text of a column
// is to be read; NULL is possible in all of them.
const (
	TypeText      = "text"
	TypeInteger   = "integer"   // whole, may need 64 bits without a sign
	TypeDecimal   = "decimal"   // exact; also NaN and Infinity, from MongoDB also with an exponent: 1E+3
	TypeFloat     = "float"     // double or single precision; also NaN, Infinity and -Infinity
	TypeBoolean   = "boolean"   // true, false
	TypeDate      = "date"      // YYYY-MM-DD
	TypeTime      = "time"      // a time of day or a span of hours: HH:MM:SS[.ffffff]
	TypeTimestamp = "timestamp" // wall clock: YYYY-MM-DD HH:MM:SS[.ffffff]
	TypeInstant   = "instant"   // point in time in UTC: like a timestamp, with the suffix +00
	TypeInterval  = "interval"  // ISO 8601: P1Y2M3DT4H5M6.7S
	TypeUUID      = "uuid"
	TypeObjectID  = "objectid" // 24 hex digits
	TypeBits      = "bits"     // 0101
	TypeBinary    = "binary"   // \x and hex
	TypeJSON      = "json"     // compact JSON
)
