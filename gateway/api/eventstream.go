package api

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// The times of a stream.
const (
	heartbeat   = 15 * time.Second // of silence, before a comment keeps proxies and clients from giving up
	sendTimeout = 10 * time.Second // of one event: a client that takes longer is cut off, and may resume
	reconnect   = 2 * time.Second  // what clients are told to wait before they connect again
)

// Event is one server-sent event. Name and ID are single lines.
type Event struct {
	Name string
	ID   string // what a client that resumes names as the last it has seen; empty: the one before stays
	Data []byte // never empty, or browsers drop the event
}

// EventStream sends server-sent events to one client, and a comment after each while without any. It is
// for routes that say they Stream, whose requests' contexts end once the client is gone. Its methods
// may be called from several goroutines. Nothing is held back for a slow client: sending waits.
type EventStream struct {
	mu         sync.Mutex
	response   *echo.Response
	controller *http.ResponseController
	silence    *time.Timer
	passed     string // an id that the client is to hear of with the next comment
	buffer     bytes.Buffer
	err        error // of the first failure, or that the stream is closed
}

// errStreamClosed is what a closed stream says.
var errStreamClosed = errors.New("the stream is closed")

// OpenEventStream begins the answer: the status is out when it returns. The caller closes the stream
// before its handler returns.
func OpenEventStream(c echo.Context) (*EventStream, error) {
	announceEvents(c.Response().Header())
	s := &EventStream{response: c.Response(), controller: http.NewResponseController(c.Response().Writer)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.response.WriteHeader(http.StatusOK)
	fmt.Fprintf(&s.buffer, "retry: %d\n\n", reconnect.Milliseconds())
	if err := s.flush(); err != nil {
		return nil, err
	}
	s.silence = time.AfterFunc(heartbeat, s.comment)
	return s, nil
}

// announceEvents sets the headers of a stream.
func announceEvents(header http.Header) {
	header.Set(echo.HeaderContentType, "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // nginx would collect events before it passes them on
}

// Send sends the event. It returns an error when the client is gone or takes too long.
func (s *EventStream) Send(e Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Name != "" {
		s.line("event", e.Name)
	}
	if e.ID != "" {
		s.line("id", e.ID)
		s.passed = ""
	}
	for line := range bytes.SplitSeq(lineEnds(e.Data), []byte("\n")) {
		s.buffer.WriteString("data: ")
		s.buffer.Write(line)
		s.buffer.WriteByte('\n')
	}
	s.buffer.WriteByte('\n')
	return s.flush()
}

// lineEnds returns the text with one kind of line end: to browsers a carriage return ends a line, too, and
// what follows one would be taken for a field of the event.
func lineEnds(data []byte) []byte {
	if !bytes.ContainsRune(data, '\r') {
		return data
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
}

// Pass tells the client, with the next comment, that it need not resume before the id: what lies up to
// there is not for it.
func (s *EventStream) Pass(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passed = id
}

// comment breaks the silence.
func (s *EventStream) comment() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buffer.WriteString(": heartbeat\n")
	if s.passed != "" {
		s.line("id", s.passed) // without data, it is kept and nothing is dispatched
		s.passed = ""
	}
	s.buffer.WriteByte('\n')
	_ = s.flush() // the request's context ends with the connection
}

func (s *EventStream) line(name, value string) {
	s.buffer.WriteString(name)
	s.buffer.WriteString(": ")
	s.buffer.WriteString(value)
	s.buffer.WriteByte('\n')
}

// flush sends what the buffer holds.
func (s *EventStream) flush() error {
	defer s.buffer.Reset()
	if s.err != nil {
		return s.err
	}
	if s.err = s.bound(); s.err != nil {
		return s.err
	}
	if _, err := s.response.Write(s.buffer.Bytes()); err != nil {
		s.err = fmt.Errorf("sending an event: %w", err)
		return s.err
	}
	if err := s.controller.Flush(); err != nil {
		s.err = fmt.Errorf("sending an event: %w", err)
		return s.err
	}
	if s.silence != nil {
		s.silence.Reset(heartbeat)
	}
	return nil
}

// bound limits how long what is sent next may take.
func (s *EventStream) bound() error {
	if err := s.controller.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("bounding an event: %w", err)
	}
	return nil
}

// Close ends the stream: nothing is sent once it returns, but the server's own end of the answer.
func (s *EventStream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silence.Stop()
	if s.err == nil {
		s.err = errors.Join(errStreamClosed, s.bound())
	}
}
