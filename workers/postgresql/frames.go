package postgresql

import (
	"encoding/binary"
	"io"
)

// frames stands between the socket and the driver. The server sends one message for each row of a
// COPY; frames makes one of all those that have arrived, so that what is done for each message is
// done for some hundred rows. Other messages pass as they are.
//
// A message gives whole rows. Waiting for one takes no longer than without frames: rows are never
// held back for others to come. An error of the socket, which may be a deadline that is lifted
// later, comes out unchanged and loses nothing.
type frames struct {
	socket  io.Reader
	buffer  []byte
	next    int // buffer[next:end] has arrived and was not passed on
	end     int
	merged  []byte // of the message at hand, made of rows; lies before next
	passing int    // of the message at hand, which passes as it is; may be yet to arrive

	rows  int64 // in the messages so far
	blank int64 // those that are an empty line
}

const (
	framesBuffer = 64 << 10
	headerSize   = 5 // the type of the message, and the length of itself and what follows
	copyData     = 'd'
)

func newFrames(socket io.Reader) *frames {
	return &frames{socket: socket, buffer: make([]byte, framesBuffer)}
}

// Read gives the driver what it reads. It never gives bytes of two messages at once, so that the
// counters are those of the message that the driver has last read.
func (f *frames) Read(p []byte) (int, error) {
	if len(f.merged) == 0 && f.passing == 0 {
		if err := f.message(); err != nil {
			return 0, err
		}
	}
	switch {
	case len(f.merged) > 0:
		n := copy(p, f.merged)
		f.merged = f.merged[n:]
		return n, nil
	case f.next < f.end:
		n := copy(p, f.buffer[f.next:min(f.end, f.next+f.passing)])
		f.next += n
		f.passing -= n
		return n, nil
	default: // the rest of a message that is larger than the buffer
		n, err := f.socket.Read(p[:min(len(p), f.passing)])
		f.passing -= n
		return n, err
	}
}

// message finds the next message. Rows are merged with those behind them.
func (f *frames) message() error {
	if err := f.fill(headerSize); err != nil {
		return err
	}
	size := f.size()
	if f.buffer[f.next] != copyData || size < headerSize {
		f.passing = max(size, headerSize) // a length that cannot be is for the driver to refuse
		return nil
	}
	if size > len(f.buffer) {
		f.rows++
		f.passing = size
		return nil
	}
	if err := f.fill(size); err != nil {
		return err
	}
	start, end := f.next, f.next+headerSize
	for more := true; more; {
		row := f.buffer[f.next+headerSize : f.next+size]
		end += copy(f.buffer[end:], row)
		f.next += size
		f.rows++
		if len(row) == 1 {
			f.blank++
		}
		if more = f.end-f.next >= headerSize && f.buffer[f.next] == copyData; more {
			size = f.size()
			more = size >= headerSize && f.end-f.next >= size
		}
	}
	f.merged = f.buffer[start:end]
	binary.BigEndian.PutUint32(f.merged[1:], uint32(len(f.merged)-1))
	return nil
}

// size returns the size of the message at next, as its header says.
func (f *frames) size() int { return 1 + int(int32(binary.BigEndian.Uint32(f.buffer[f.next+1:]))) }

// fill waits until n bytes of what is next have arrived.
func (f *frames) fill(n int) error {
	if f.end-f.next >= n {
		return nil
	}
	f.end = copy(f.buffer, f.buffer[f.next:f.end])
	f.next = 0
	for f.end < n {
		read, err := f.socket.Read(f.buffer[f.end:])
		f.end += read
		if err != nil {
			return err
		}
	}
	return nil
}
