package mysql

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"

	"github.com/go-sql-driver/mysql"

	"github.com/pharmavida/ingesta/workers/encode"
)

// direct are rows of the text protocol that are taken from the link, without the driver: a value
// is a piece of the link's buffer, and nothing is allocated per row.
//
// The driver sends the query and reads all that precedes the rows. What ends them, the server's
// word that there are no more or its error, goes back to the driver, so that it is the driver who
// says how the query ended and who knows that its connection is free again.
type direct struct {
	link   *link
	rest   driver.Rows // the driver's view of the result
	due    byte        // number of the packet that the driver expects next
	values [][]byte    // of the row read last, in the link's buffer; nil is NULL
	ended  bool
}

func newDirect(l *link, r driver.Rows) *direct {
	return &direct{link: l, rest: r, due: l.number + 1, values: make([][]byte, len(r.Columns()))}
}

func (d *direct) next() error {
	payload, err := d.take()
	if err != nil {
		return err
	}
	if err := split(payload, d.values); err != nil {
		d.giveUp()
		return err
	}
	return nil
}

func (d *direct) write(w *encode.Writer, c *column) {
	if p := d.values[c.at]; p == nil {
		w.Null()
	} else {
		c.writeBytes(w, p)
	}
}

func (d *direct) close() {
	for !d.ended {
		_, _ = d.take() // its error ends the rows, and whoever uses the connection next will see it
	}
	_ = d.rest.Close()
}

// take takes the next packet of the result: a row, or the end, which it returns as an error.
func (d *direct) take() ([]byte, error) {
	payload, err := d.link.packet()
	switch {
	case err != nil:
		d.giveUp()
		return nil, err
	case !isError(payload) && !isEnd(payload):
		return payload, nil
	}
	d.ended = true
	d.link.giveBack(len(payload), d.due)
	if err := d.rest.Next(make([]driver.Value, len(d.values))); err != nil {
		return nil, err
	}
	d.giveUp()
	return nil, errors.New("the driver takes the end of the rows for a row")
}

// giveUp closes the connection: nobody knows any more where its next packet begins.
func (d *direct) giveUp() {
	d.ended = true
	_ = d.link.Close()
}

// isError reports whether the packet is the server's error.
func isError(payload []byte) bool { return len(payload) > 0 && payload[0] == 0xff }

// isEnd reports whether the packet says that no more rows follow. A row may begin with the same
// byte, if its first value has 16 MiB or more, and does not fit into one packet then.
func isEnd(payload []byte) bool {
	return len(payload) > 0 && len(payload) < maxPayload && payload[0] == 0xfe
}

// split sets values to the values of a row of the text protocol, nil for NULL: each is its size
// and its text. Sizes of up to 250 are one byte, larger ones a mark and 2, 3 or 8 bytes.
func split(row []byte, values [][]byte) error {
	for i := range values {
		if len(row) == 0 {
			return mysql.ErrMalformPkt
		}
		mark := row[0]
		row = row[1:]
		size := uint64(mark)
		switch mark {
		case 0xfb:
			values[i] = nil
			continue
		case 0xfc, 0xfd, 0xfe:
			width := [...]int{2, 3, 8}[mark-0xfc]
			if len(row) < width {
				return mysql.ErrMalformPkt
			}
			var wide [8]byte
			copy(wide[:], row[:width])
			size, row = binary.LittleEndian.Uint64(wide[:]), row[width:]
		case 0xff:
			return mysql.ErrMalformPkt
		}
		if size > uint64(len(row)) {
			return mysql.ErrMalformPkt
		}
		values[i], row = row[:size:size], row[size:]
	}
	if len(row) > 0 {
		return mysql.ErrMalformPkt
	}
	return nil
}
