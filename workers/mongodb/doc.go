// Package mongodb extracts collections of a MongoDB server.
//
// Documents travel as the server sent them, as raw BSON, and are turned into CSV without becoming
// Go values: a field's bytes are found, checked and written. The next batch is fetched while one
// is being written.
//
// Rows come in natural order, the order in which the storage engine scans the collection: it is
// the fastest, it needs no index, and no reader of a lake may rely on any other. A dataset's
// columns are fields of the document; `a.b` is the field b of the document a, unless a field is
// literally named so.
//
// What becomes of each BSON type in a column:
//
//	null, missing            NULL; the empty string stays ""
//	string                   text; bytes that are not UTF-8 become U+FFFD, with a warning
//	bool                     true, false
//	int, long                whole number
//	double                   shortest decimal that reads back as the same bits, NaN, Infinity
//	decimal                  every digit, as the server prints it: 1.50, 1E+3, NaN
//	date                     instant; before the year 1 with the suffix BC
//	objectId                 24 hex digits
//	binData                  \x and hex; of subtype 4 the canonical UUID. Subtype 3 is hex: its
//	                         byte order depends on the driver that wrote it
//	object, array            compact Extended JSON v2
//	regex, timestamp, javascript with or without scope, symbol, dbPointer, undefined,
//	minKey, maxKey           compact Extended JSON v2: the dialect has no form of its own for them
//
// The Extended JSON is relaxed, for whoever reads the file without MongoDB in mind: numbers are
// numbers and dates ISO 8601. Still the documents can be rebuilt from it. A double always shows a
// point or an exponent (1.0), so it differs from a whole number; NaN and the infinities, dates
// before 1970 or after 9999, and every type that JSON lacks keep their wrapper ({"$oid": …}).
// One distinction is not kept: a long that would fit an int reads back as an int. MongoDB itself
// compares, sorts and indexes the two as the same number.
//
// A field that no column declares is never lost silently: the tally names it and counts the
// documents that have it. Of a field that a document holds twice, the first is exported, with a
// warning. Fields with sensitive names inside of an exported document are part of that document.
//
// Datasets of a session show one snapshot where the server has snapshot sessions (replica sets
// and sharded clusters since 5.0); elsewhere each shows the collection as it was while being
// read, and says so.
package mongodb
