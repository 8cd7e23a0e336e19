package postgresql

import (
	"bytes"
	"io"

	"github.com/pharmavida/ingesta/workers/encode"
)

// recoder writes the server's CSV anew with the JSON of some columns compacted. PostgreSQL has no
// expression that does it: jsonb prints a space behind every colon and comma, and json prints
// what was stored.
type recoder struct {
	columns []bool // for each column: it is JSON
	out     *encode.Writer
	text    []byte // scratch: a field without its quotes
}

func newRecoder(columns []bool, to io.Writer) *recoder {
	return &recoder{columns: columns, out: encode.NewWriter(to)}
}

// row takes one record with its newline.
func (r *recoder) row(row []byte) {
	for _, isJSON := range r.columns {
		var field []byte
		field, row = cutField(row)
		if isJSON && len(field) > 0 {
			r.out.JSON(r.unquote(field))
		} else {
			r.out.Raw(field)
		}
	}
	_ = r.out.EndRow() // the error is the receiver's own, which it keeps
}

func (r *recoder) flush() { _ = r.out.Flush() }

// cutField returns the first field as it stands, and what follows its separator.
func cutField(row []byte) (field, rest []byte) {
	end := fieldEnd(row)
	return row[:end], row[min(end+1, len(row)):]
}

// fieldEnd returns where the first field ends.
func fieldEnd(row []byte) int {
	if len(row) == 0 || row[0] != '"' {
		if end := bytes.IndexAny(row, ",\n"); end >= 0 {
			return end
		}
		return len(row)
	}
	for end := 1; end < len(row); end++ {
		at := bytes.IndexByte(row[end:], '"')
		if at < 0 {
			break
		}
		end += at + 1
		if end == len(row) || row[end] != '"' {
			return end // the quote was the closing one and not the first of a doubled one
		}
	}
	return len(row)
}

// unquote returns the text of a field, valid until the next call.
func (r *recoder) unquote(field []byte) []byte {
	if field[0] != '"' {
		return field
	}
	r.text = r.text[:0]
	for rest := field[1 : len(field)-1]; ; {
		at := bytes.IndexByte(rest, '"')
		if at < 0 {
			r.text = append(r.text, rest...)
			return r.text
		}
		r.text = append(r.text, rest[:at+1]...)
		rest = rest[at+2:]
	}
}
