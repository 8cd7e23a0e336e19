// Package postgresql reads datasets out of PostgreSQL (12 and later) with COPY, the server's own
// fastest way to speak: the server writes the CSV, in the casts that the dialect asks for, and
// most bytes pass through untouched.
//
// How each type comes out (dialect ingesta-csv-1, see package encode). Every type that a column can
// have is one of these; a test looks for others in the server's catalogue.
//
//	source                                     file        notes
//	smallint, integer, bigint (and serials)    integer
//	oid, xid, xid8, cid                        integer     without a sign
//	numeric, decimal                           decimal     every digit, zeros behind the point too; NaN, Infinity, -Infinity
//	money                                      decimal     without currency sign and grouping (1)
//	real, double precision                     float       shortest round trip; -0, NaN, Infinity, -Infinity
//	boolean                                    boolean     true, false
//	text, varchar, name, "char", citext        text
//	char(n)                                    text        with its padding
//	enums                                      text        the label
//	bytea                                      binary      \x and hex
//	bit, varbit                                bits
//	uuid                                       uuid
//	date                                       date        infinity, -infinity, "… BC"
//	time                                       time        up to 24:00:00
//	timetz                                     time        with its own offset: 12:00:00-05
//	timestamp                                  timestamp   infinity, -infinity, "… BC"
//	timestamptz                                instant     in UTC, with +00; infinity, -infinity, "+00 BC"
//	interval                                   interval    ISO 8601, each part with its own sign: P1Y2M-3DT4H5M6.7S
//	json                                       json        compact; keys in their order, also repeated ones, and numbers in their digits
//	jsonb                                      json        compact; keys and numbers as the server keeps them
//	hstore                                     json        an object of strings and nulls
//	composite types, rows                      json        an object (2)
//	arrays of any type                         json        nested as the dimensions are; lower bounds are lost (2)
//	int2vector, oidvector                      json        as arrays
//	ranges and multiranges                     text        [1,5) with bounds as above; {[1,3),[5,8)}
//	inet, cidr, macaddr, macaddr8              text
//	point, line, lseg, box, path, polygon,     text        with floats as above
//	circle
//	xml                                        text        as it is
//	jsonpath, tsvector, tsquery, ltree,        text        as the server spells them
//	lquery, ltxtquery
//	pg_lsn, pg_snapshot, txid_snapshot, tid,   text        as the server spells them
//	aclitem, refcursor, pg_node_tree, …
//	regclass, regtype, regproc, reg…           text        the name, with its schema where the search path lacks it
//	domains                                                as the type they are based on
//	types of extensions                        text        as the server spells them
//
// (1) How many digits of an amount stand behind the point is not stored with it: lc_monetary says it,
// of which the login should not have another than those who write.
//
// (2) Within documents the server writes the values: integers, floats and numerics as numbers with all
// their digits, which may be more than a reader of JSON keeps; NaN and the infinities, which JSON lacks,
// as strings of those words; true and false; NULL as null, like the null of json; json and jsonb as
// themselves; timestamps as ISO 8601 (2025-01-02T08:04:05.12, and +00:00 where they are instants;
// "infinity" and " BC" as above); bytea as the string of \x and hex; money as a number in arrays of
// money, elsewhere with its currency sign; everything else as the string it would be by itself.
//
// Text comes in UTF-8 whatever the encoding of the database, unless that is SQL_ASCII: its bytes come as
// they are. No setting of the server or the login changes the file, but for those named here.
//
// A large table is read over several connections in one snapshot, in ranges of its pages, and put
// together in their order: the file is the one that a single connection would give. That needs
// PostgreSQL 14, a server with connections to spare, and a plan that does nothing but scan the table.
// Else, and for everything that is not a plain table, one connection reads it all.
//
// Guarantees: one session is one REPEATABLE READ, READ ONLY transaction, or several of them in one
// snapshot, so all its datasets show the same state. A table without an order is read in the order of
// its pages, at each attempt. A dataset that fails, or whose sink fails, leaves the session usable for
// the next one. A cancelled context cancels the statements on the server. Nothing on the way from the
// server to the sink grows with the table, and nothing is allocated for each row.
//
// Non-goals: sparing the server's cache, which the pages of a table pass through that is read in
// ranges (INGESTA_POSTGRES_PARALLEL=1 keeps them in the server's ring buffer); waiting for a server
// that is away (the job is tried again instead).
package postgresql
