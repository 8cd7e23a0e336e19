package mysql

import (
	"database/sql/driver"

	"github.com/pharmavida/ingesta/workers/encode"
)

// rows is a result that is read row by row.
type rows interface {
	// next reads the next row. After the last one it returns io.EOF itself: an io.EOF inside another
	// error would be a lost connection, and taking it for the end would cut a table short.
	next() error

	// write writes a column of the row that was read last.
	write(w *encode.Writer, c *column)

	// close reads what the server still sends, so that the connection can be used again. Its time is
	// bounded only if the query has ended or was killed.
	close()
}

// boxed are rows that the driver reads: the only ones there are under TLS and of the binary
// protocol. Each value costs an allocation, for the driver returns it as an interface.
type boxed struct {
	driver.Rows
	values    []driver.Value
	statement driver.Stmt // nil for the text protocol
}

func newBoxed(r driver.Rows, statement driver.Stmt) *boxed {
	return &boxed{Rows: r, values: make([]driver.Value, len(r.Columns())), statement: statement}
}

func (b *boxed) next() error { return b.Next(b.values) }

func (b *boxed) write(w *encode.Writer, c *column) { c.write(w, b.values[c.at]) }

func (b *boxed) close() {
	_ = b.Close() // after the last row there is nothing that it could report
	if b.statement != nil {
		_ = b.statement.Close()
	}
}
