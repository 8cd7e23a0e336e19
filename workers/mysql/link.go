package mysql

import (
	"encoding/binary"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"
)

// link is the connection under the driver. As long as nothing is encrypted it knows where the
// packets of the protocol begin and end, and hands the driver no more than one at a time: between
// two of them the rows of a result can then be taken out of the stream, see direct. Under TLS it
// passes on what comes.
//
// Close may be called at any time, everything else by one goroutine at a time.
type link struct {
	net.Conn
	buf        []byte // what was read from the connection
	start, end int    // of the bytes in buf that nobody has taken yet
	left       int    // bytes of the driver's current packet that it has not got yet
	number     byte   // of the packet that was taken last
	answered   bool   // the driver has answered the server's greeting
	encrypted  bool   // all that passes is TLS between driver and server
}

const (
	headerSize = 4         // of a packet: the size of its payload in three bytes, and its number
	maxPayload = 1<<24 - 1 // of a packet; a payload of this size goes on in the next one
	clientSSL  = 0x0800    // the capability by which a client asks for TLS
	linkBuffer = 256 << 10 // what is read at once; the driver's own buffer has 4 KiB
	linkKeep   = 1 << 20   // the largest buffer that is kept for the packets that follow
)

func newLink(conn net.Conn) *link { return &link{Conn: conn, buf: make([]byte, linkBuffer)} }

// Write notes whether the driver asks for TLS: the first packet that it sends begins with its
// capabilities, and nothing but TLS follows one that has this among them.
func (l *link) Write(p []byte) (int, error) {
	if !l.answered {
		l.answered = true
		l.encrypted = len(p) >= headerSize+4 && binary.LittleEndian.Uint32(p[headerSize:])&clientSSL != 0
	}
	return l.Conn.Write(p)
}

// Read is for the driver.
func (l *link) Read(p []byte) (int, error) {
	limit := len(p)
	if !l.encrypted {
		if l.left == 0 {
			size, err := l.header()
			if err != nil {
				return 0, err
			}
			l.left = headerSize + size
		}
		limit = l.left
	}
	if err := l.need(1); err != nil {
		return 0, err
	}
	n := copy(p, l.buf[l.start:min(l.end, l.start+limit)])
	l.start += n
	if !l.encrypted {
		l.left -= n
	}
	return n, nil
}

// packet takes the next packet, with those that it goes on in, and returns the payload, which is
// valid until the next call of any method. Packets are numbered; a gap is an error of the driver's
// kind, after which the connection is of no more use.
func (l *link) packet() ([]byte, error) {
	payload, err := l.single()
	if err != nil || len(payload) < maxPayload {
		return payload, err
	}
	whole := append(make([]byte, 0, 2*maxPayload), payload...)
	for len(payload) == maxPayload {
		if payload, err = l.single(); err != nil {
			return nil, err
		}
		whole = append(whole, payload...)
	}
	return whole, nil
}

// single takes one packet.
func (l *link) single() ([]byte, error) {
	due := l.number + 1
	size, err := l.header()
	if err != nil {
		return nil, err
	}
	if err := l.need(headerSize + size); err != nil {
		return nil, err
	}
	payload := l.buf[l.start+headerSize : l.start+headerSize+size]
	if l.number != due && !isError(payload) { // which a server also sends out of turn
		return nil, mysql.ErrPktSync
	}
	l.start += headerSize + size
	return payload, nil
}

// giveBack leaves the packet that was taken last, whose payload has the size, to the driver, under
// the number that the driver expects.
func (l *link) giveBack(size int, number byte) {
	l.start -= headerSize + size
	l.buf[l.start+headerSize-1] = number
}

// header waits for the header of the next packet, notes its number and returns the size of its
// payload. It takes nothing.
func (l *link) header() (size int, err error) {
	if err := l.need(headerSize); err != nil {
		return 0, err
	}
	h := l.buf[l.start : l.start+headerSize]
	l.number = h[3]
	return int(h[0]) | int(h[1])<<8 | int(h[2])<<16, nil
}

// need waits until n bytes can be taken in one piece. It moves those that nobody has taken. A
// connection that ends is an error: nobody reads from it without waiting for something.
func (l *link) need(n int) error {
	if l.end-l.start >= n {
		return nil
	}
	to := l.buf
	if n > len(to) {
		to = make([]byte, n)
	} else if len(to) > linkKeep && max(n, l.end-l.start) <= linkBuffer {
		to = make([]byte, linkBuffer) // one large packet must not hold its memory for good
	}
	l.end = copy(to, l.buf[l.start:l.end])
	l.buf, l.start = to, 0
	for l.end < n {
		read, err := l.Conn.Read(l.buf[l.end:])
		l.end += read
		switch {
		case l.end >= n:
			return nil
		case err == io.EOF: //nolint:errorlint // a Reader returns io.EOF itself
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
	return nil
}
