// Package mysql reads datasets out of MySQL 8 and 9 and MariaDB (10.6 and later), each as one stream
// of the text protocol on one connection. No row passes through database/sql, nor through the
// driver where the connection is not encrypted: see direct, which allocates nothing per row. The
// server is the slower end then; under TLS, where the driver reads the rows, reading takes three
// times the processor time.
//
// How each type comes out (dialect ingesta-csv-1, see package encode):
//
//	source                                      file       notes
//	tinyint(1), which BOOLEAN means             boolean    0 and 1 as false and true, any other value as its integer,
//	                                                       counted in a warning; of a query: an integer
//	tinyint, smallint, mediumint, int, bigint   integer    unsigned up to 64 bits; without ZEROFILL's zeros
//	bit                                         integer    of 1 to 64 bits, without a sign
//	year                                        integer    0 for the year 0000
//	decimal                                     decimal    every digit, also zeros at the end; without ZEROFILL's zeros
//	float                                       float      shortest round trip of the 32 bits it holds
//	double                                      float      shortest round trip
//	char, varchar                               text       char without its padding, unless the server's SQL mode
//	                                                       has PAD_CHAR_TO_FULL_LENGTH
//	tinytext, text, mediumtext, longtext        text
//	enum                                        text       the empty text where the value is none of the list's
//	set                                         text       its members between commas
//	binary                                      binary     \x and hex, with the zero bytes that it is padded with
//	varbinary                                   binary     \x and hex
//	tinyblob, blob, mediumblob, longblob        binary     \x and hex
//	vector                                      binary     its floats of 32 bits, lowest byte first
//	geometry, point, linestring, polygon,       binary     the SRID in four bytes, lowest first, then WKB
//	multipoint, multilinestring, multipolygon,
//	geometrycollection, geomcollection
//	date                                        date       zero, partial and impossible dates as NULL, counted in
//	                                                       a warning
//	datetime                                    timestamp  the same; the fraction without trailing zeros
//	timestamp                                   instant    the same; in UTC, with +00, whatever the time zone of the
//	                                                       session that wrote it
//	time                                        time       a span: also negative and beyond 24 hours
//	json                                        json       compact, otherwise as the server spells it; also MariaDB's,
//	                                                       which is longtext with a check; of a query there: text
//	uuid                                        uuid       of a query: text
//	inet4, inet6                                text
//	every other type                            text       as the server spells it
//
// Text is converted to UTF-8 by the server, whatever the character set of its column. Generated,
// invisible and compressed columns are columns like others; a query's * leaves invisible ones out.
//
// MySQL prints FLOAT with six digits, and what is declared with a number of digits with no more than
// these, whatever it holds. Tables are therefore read with such columns widened to
// doubles by the server, which is exact, and a query that has them through the binary
// protocol.
//
// The columns of a query are learnt from the query as a derived table LIMIT 0. The server does
// not run it then, except where it reads no table at all.
//
// A table's condition and order become part of its SELECT, whose names are quoted and are those of
// the server's catalogue. Conditions and queries are looked at by the server as derived tables before
// they run, which only a query can be; what asks for locks on rows is refused, and so is what
// writes, by the transaction.
//
// Guarantees: one session is one REPEATABLE READ, READ ONLY transaction with a consistent
// snapshot, so all its datasets show the same state, tables of engines without transactions
// excepted (their snapshot says so). A dataset that fails, or whose sink fails, leaves the
// session usable for the next one. A cancelled context kills the query on the server, by a second
// connection. Memory does not grow with the table.
//
// Non-goals: more than one connection reading for a session; waiting for a server that is away
// (the job is tried again instead).
package mysql
