package broker

import (
	"net"
	"sync"
	"time"
)

// socket is a TCP connection whose writes end. A broker short of memory stops reading, and a
// write without a deadline would then hold the connection's lock for as long as that lasts.
type socket struct {
	*net.TCPConn
	stall time.Duration // longest time that one write may take

	mu    sync.Mutex
	limit time.Time // what SetDeadline asked for; zero is none
}

// Write sends p, or fails after the stall time or the deadline, whichever is earlier.
func (s *socket) Write(p []byte) (int, error) {
	if err := s.allowWrite(); err != nil {
		return 0, err
	}
	return s.TCPConn.Write(p)
}

func (s *socket) allowWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := time.Now().Add(s.stall)
	if !s.limit.IsZero() && s.limit.Before(until) {
		until = s.limit
	}
	return s.SetWriteDeadline(until)
}

// SetDeadline bounds reads and writes, those in progress as well.
func (s *socket) SetDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = t
	return s.TCPConn.SetDeadline(t)
}

// abort closes the connection without sending what waits to be sent.
func (s *socket) abort() {
	// Both can only fail on a connection that is closed already.
	_ = s.SetLinger(0)
	_ = s.Close()
}
