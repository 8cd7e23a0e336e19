package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
)

// maxEvent bounds what one event may have, in bytes.
const maxEvent = 16 << 20

var errEventTooLarge = errors.New("an event of the stream is too large")

// event is one event of a stream (text/event-stream).
type event struct {
	name string
	data []byte
}

// stream reads events as HTML's standard says. Line ends are \n or \r\n.
type stream struct {
	r     *bufio.Reader
	alive func() // called for each line, comments too

	lastID string        // of the last event that had one
	retry  time.Duration // what the server asks for before a reconnection; 0: nothing
}

func newStream(r io.Reader, alive func()) *stream {
	return &stream{r: bufio.NewReader(r), alive: alive}
}

// next returns the next event that has data. Its errors are those of the reader; an event that was
// cut off by one is lost.
func (s *stream) next() (event, error) {
	var e event
	var data [][]byte
	id, hasID, size := "", false, 0
	for {
		line, err := s.line()
		if err != nil {
			return event{}, err
		}
		s.alive()
		if size += len(line); size > maxEvent {
			return event{}, errEventTooLarge
		}
		if len(line) == 0 {
			if hasID {
				s.lastID = id
			}
			if len(data) > 0 {
				e.data = bytes.Join(data, []byte("\n"))
				return e, nil
			}
			e, hasID, size = event{}, false, 0
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			e.name = string(value)
		case "data":
			data = append(data, value)
		case "id":
			if !bytes.Contains(value, []byte{0}) {
				id, hasID = string(value), true
			}
		case "retry":
			if ms, err := strconv.Atoi(string(value)); err == nil && ms > 0 && ms < int(time.Hour.Milliseconds()) {
				s.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
}

// line returns the next line without its end, in memory of its own.
func (s *stream) line() ([]byte, error) {
	var line []byte
	for {
		part, err := s.r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if len(line) > maxEvent {
				return nil, errEventTooLarge
			}
			continue
		case err != nil:
			return nil, err
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
	}
}
