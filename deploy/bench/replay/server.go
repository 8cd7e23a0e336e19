package replay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Server serves a collection, whatever database a client asks for it in.
type Server struct {
	collection *Collection
	listener   net.Listener
	serving    sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	conns   map[net.Conn]bool
	cursors map[int64]int // the index of the next document
	latest  int64         // cursor
}

// Listen starts a server on a free port of 127.0.0.1.
func Listen(ctx context.Context, c *Collection) (*Server, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for MongoDB's clients: %w", err)
	}
	s := &Server{collection: c, listener: listener, conns: map[net.Conn]bool{}, cursors: map[int64]int{}}
	s.serving.Go(s.accept)
	return s, nil
}

// Port returns the port that the server listens on.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// Close breaks all connections and waits until nothing is served any more.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for conn := range s.conns {
		_ = conn.Close() // the client may have been faster
	}
	s.mu.Unlock()
	s.serving.Wait()
	return err
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		s.mu.Lock()
		s.conns[conn] = true
		closed := s.closed
		s.mu.Unlock()
		if closed {
			_ = conn.Close() // nothing was sent
			return
		}
		s.serving.Go(func() { s.serve(conn) })
	}
}

// serve answers requests until the client goes, or says something that cannot be understood.
func (s *Server) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close() // the client may have been faster
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	var buf []byte
	for {
		var r request
		var err error
		if r, buf, err = readRequest(conn, buf); err != nil {
			return
		}
		answer, err := s.answer(r.command)
		if err != nil {
			answer = refusal(err)
		}
		if r.silent {
			continue
		}
		if err := writeAnswer(conn, r, answer...); err != nil {
			return
		}
	}
}

// commandError is what a server answers in place of a result.
type commandError struct {
	code    int32
	name    string
	message string
}

func (e *commandError) Error() string { return e.message }

func refuse(code int32, name, format string, args ...any) error {
	return &commandError{code, name, fmt.Sprintf(format, args...)}
}

// refusal returns the answer that tells of the error.
func refusal(err error) [][]byte {
	told, ok := errors.AsType[*commandError](err)
	if !ok {
		told = &commandError{8, "UnknownError", err.Error()}
	}
	answer, err := document(bson.D{
		{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: told.message}, {Key: "code", Value: told.code}, {Key: "codeName", Value: told.name},
	})
	if err != nil {
		panic(err) // numbers and texts can always be encoded
	}
	return answer
}
