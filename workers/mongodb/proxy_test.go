package mongodb

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// proxy stands between the sources under test and the server. It sees what a server's
// administrator would see: connections, running commands, open cursors. It can cut them all.
type proxy struct {
	listener net.Listener
	target   string
	ended    sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]map[int32]bool // of the clients, with their find and getMore commands without an answer
	cursors map[int64]bool              // open on the server
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{
		listener: listener, target: target,
		conns: map[net.Conn]map[int32]bool{}, cursors: map[int64]bool{},
	}
	p.ended.Go(p.accept)
	t.Cleanup(func() {
		listener.Close()
		p.kill()
		p.ended.Wait()
	})
	return p
}

func (p *proxy) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client] = map[int32]bool{}
		p.mu.Unlock()
		p.ended.Go(func() {
			p.pump(server, client, func(id, _ int32, command bson.Raw) { p.asked(client, id, command) })
			server.Close()
		})
		p.ended.Go(func() {
			p.pump(client, server, func(_, to int32, answer bson.Raw) { p.answered(client, to, answer) })
			client.Close()
			p.mu.Lock()
			delete(p.conns, client)
			p.mu.Unlock()
		})
	}
}

// pump copies messages until either side ends, and shows each to see before passing it on.
func (p *proxy) pump(to io.Writer, from io.Reader, see func(id, answerTo int32, command bson.Raw)) {
	var header [16]byte
	for {
		if _, err := io.ReadFull(from, header[:]); err != nil {
			return
		}
		size := int(binary.LittleEndian.Uint32(header[:]))
		message := make([]byte, size)
		copy(message, header[:])
		if _, err := io.ReadFull(from, message[16:]); err != nil {
			return
		}
		const opMsg = 2013
		if le.Uint32(header[12:]) == opMsg && message[20] == 0 {
			if doc, _, err := document(message[21:]); err == nil {
				see(int32(le.Uint32(header[4:])), int32(le.Uint32(header[8:])), doc)
			}
		}
		if _, err := to.Write(message); err != nil {
			return
		}
	}
}

func (p *proxy) asked(client net.Conn, id int32, command bson.Raw) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch name := firstKey(command); name {
	case "find", "getMore":
		if commands := p.conns[client]; commands != nil {
			commands[id] = true
		}
	case "killCursors":
		if killed, ok := command.Lookup("cursors").ArrayOK(); ok {
			values, err := killed.Values()
			if err != nil {
				return
			}
			for _, v := range values {
				delete(p.cursors, v.Int64())
			}
		}
	}
}

func (p *proxy) answered(client net.Conn, to int32, answer bson.Raw) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.conns[client][to] {
		return
	}
	delete(p.conns[client], to)
	if id, ok := answer.Lookup("cursor", "id").Int64OK(); ok {
		if id != 0 {
			p.cursors[id] = true
		} else {
			clear(p.cursors) // the tests have one cursor at a time
		}
	}
}

func firstKey(doc bson.Raw) string {
	element, err := doc.IndexErr(0)
	if err != nil {
		return ""
	}
	return element.Key()
}

// sessions returns the open connections, and the commands and cursors in progress.
func (p *proxy) sessions() (open, running int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	running = len(p.cursors)
	for _, commands := range p.conns { // a server drops the commands of a connection that is gone
		running += len(commands)
	}
	return len(p.conns), running
}

// kill cuts every connection.
func (p *proxy) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			panic(err)
		}
	}
	clear(p.cursors)
}
