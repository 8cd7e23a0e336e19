package postgresql

import (
	"bytes"
	"io"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/workers/encode"
)

// recoding is what becomes of a column's text on its way from the server to the file.
type recoding struct {
	json bool // it is compacted: PostgreSQL has no expression that does it
	mask catalog.Mask
}

// recoder writes the server's CSV anew, some of its columns changed.
type recoder struct {
	columns []recoding
	out     *encode.Writer
	text    []byte // scratch: a field without its quotes
}

func newRecoder(columns []recoding, to io.Writer) *recoder {
	return &recoder{columns: columns, out: encode.NewWriter(to)}
}

// rows takes whole records.
func (r *recoder) rows(rows []byte) {
	for len(rows) > 0 {
		for _, c := range r.columns {
			var field []byte
			field, rows = cutField(rows)
			if c.json && len(field) > 0 {
				r.out.JSON(r.unquote(field))
			} else {
				r.out.Raw(field)
			}
			if !c.mask.IsZero() {
				r.out.Mask(c.mask)
			}
		}
		_ = r.out.EndRow() // the error is the receiver's own, which it keeps
	}
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
