// Package encode writes CSV of dialect ingesta-csv-1, the same from every database.
//
// The dialect:
//
//   - UTF-8 without a byte order mark. Fields are separated by `,`, every record ends with `\n`,
//     the last one too. The first record is the header (see AppendHeader).
//   - NULL is an empty field without quotes. The empty string is `""`. Readers that cannot tell
//     the two apart read both as empty.
//   - A field is quoted when, and only when, it is empty or holds `,`, `"`, `\n` or `\r`; a `"`
//     inside is doubled. The field `\.` is quoted when it is the only one of its record. This is
//     byte for byte what PostgreSQL's COPY … WITH (FORMAT csv) writes.
//   - A record of one NULL field is an empty line. Readers that skip empty lines miss it.
//   - Booleans are true and false. Integers are whole, also unsigned ones of 64 bits. Decimals
//     carry every digit that the database holds.
//   - Floats are the shortest decimal that reads back as the same bits, as PostgreSQL spells it:
//     3.5, -0, 1e+15, 1e-05, NaN, Infinity, -Infinity.
//   - Points in time are YYYY-MM-DD HH:MM:SS[.ffffff], the fraction without trailing zeros.
//     Instants are in UTC and end in +00; a wall-clock time has no suffix. Years before the first
//     end in " BC"; years after 9999 take as many digits as they need.
//   - Binary is `\x` and lower-case hex; a UUID is 8-4-4-4-12 lower-case hex digits.
//   - A masked value is text, made of the text that the field would have. NULL stays NULL.
//   - Arrays, documents and JSON are compact JSON: no space outside strings, keys in the order
//     and numbers in the digits in which they were found.
//
// Guarantees: a Writer allocates nothing per record once its buffer has grown to the size of the
// records, and passes only whole records to its sink.
//
// Non-goals: reading CSV; checking that text is valid UTF-8 or free of NUL (the source decides);
// other delimiters or quoting styles.
package encode
