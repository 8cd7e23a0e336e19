// Package postgresql reads datasets out of PostgreSQL (12 and later) with COPY, the server's own
// fastest way to speak: the server writes the CSV, in the casts that the dialect asks for, and
// most bytes pass through untouched.
//
// How each type comes out (dialect ingesta-csv-1, see package encode):
//
//	source                                     file        notes
//	smallint, integer, bigint, oid             integer
//	numeric                                    decimal     every digit; NaN, Infinity, -Infinity
//	money                                      decimal     without currency sign and grouping
//	real, double precision                     float       shortest round trip; NaN, Infinity, -Infinity
//	boolean                                    boolean     true, false
//	text, varchar, name, enum, citext, xml, …  text        char(n) keeps its padding
//	bytea                                      binary      \x and hex
//	date                                       date        infinity, -infinity, "… BC"
//	time, timetz                               time        timetz with its own offset
//	timestamp                                  timestamp   infinity, -infinity, "… BC"
//	timestamptz                                instant     in UTC, with +00; infinity as above
//	interval                                   interval    ISO 8601: P1Y2M3DT4H5M6.7S
//	uuid                                       uuid
//	bit, varbit                                bits
//	json, jsonb                                json        compact; json keeps key order and number text
//	arrays of any type                         json        lower bounds are lost; timestamps within as ISO 8601
//	composite types, hstore                    json        an object
//	ranges, network, geometric, full-text,     text        as the server spells them
//	and every other type
//	domains                                                as the type they are based on
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
