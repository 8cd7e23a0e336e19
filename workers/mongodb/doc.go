// Package mongodb extracts collections of a MongoDB server.
//
// Documents travel as the server sent them, as raw BSON, and are turned into CSV without becoming
// Go values: a field's bytes are found, checked and written. The next batch is fetched while one
// is being written.
//
// Unless the dataset orders its rows, they come in natural order, in which the storage engine scans
// the collection: it is the fastest and needs no index. A filter in Extended JSON may choose the
// documents; one that would run code on the server is refused. To the server a missing field is null,
// in filters and in orders. A dataset's columns are fields of the document; `a.b` is the field b of
// the document a, unless a field is literally named so. A mask works on the text below and leaves
// both null and missing fields NULL.
//
// What becomes of each BSON type, in a column:
//
//	null, missing            NULL; the empty string stays ""
//	string                   text; bytes that are not UTF-8 become U+FFFD, with a warning
//	bool                     true, false
//	int, long                whole number
//	double                   shortest decimal that reads back as the same bits: -0, 1e+15, NaN, Infinity
//	decimal                  every digit, as the server prints it: 1.50, -0, 1E+3, NaN, Infinity
//	date                     instant, of any year; before the year 1 with the suffix BC
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
//
// A field has no declared type, so the types of the columns are known at the end only. The source
// type lists the types that were seen, in the words of $type and the most frequent first: "int",
// "int, double". It is "null" where there was nothing but null, and "bson" where no document had
// the field. The exported type is the one as which every value of the column can be read with
// nothing lost that its text says:
//
//	int, long                            integer
//	decimal, also with int and long      decimal
//	double, also with int, and with
//	long between -2⁵³ and 2⁵³            float
//	bool, date, objectId                 boolean, instant, objectid
//	binData                              uuid if all are UUIDs, binary if none is
//	all that is Extended JSON            json; also strings in a column declared as JSON, if all are
//	anything else                        text: strings, and what has no type in common
//
// With the column _extra a document can be rebuilt from its record, but for this:
//
//   - of a NULL, whether the field was null or missing, also around it: {"a": null} for a column
//     a.b (a warning counts the documents of each);
//   - in a column of several types, which value had which;
//   - in a column, the subtype of binary data that is no UUID;
//   - in JSON, whether a whole number that fits an int was a long, which MongoDB itself compares,
//     sorts and indexes as the same number;
//   - in JSON, a document with a field named like a wrapper ($oid): it reads as what the wrapper
//     stands for (a warning counts names that begin with $);
//   - the order of the declared fields, and whether `a.b` was one name or two;
//   - the sign and payload of a NaN, and what BSON says in more than one way: decimals whose
//     coefficient is too large are zero, every bool that is not false is true, and the names within
//     an array count up.
//
// A field that no column declares is never lost silently: the tally names it and counts the
// documents that have it. Where the dataset asks for it, a last column _extra holds one document of
// all such fields, in their order; with `a.b` declared, of the rest of a too. Of a field that a
// document holds twice, the first is exported, with a warning, and the others are in _extra.
//
// Fields with sensitive names inside of an exported document are part of that document: who
// declares it has looked at it. In _extra, which nobody has looked at, they are left out at every
// depth, as are the excluded and the masked ones; only the scope of JavaScript is kept whole.
//
// Datasets of a session show one snapshot where the server has snapshot sessions (replica sets
// and sharded clusters since 5.0); elsewhere each shows the collection as it was while being
// read, and says so.
package mongodb
