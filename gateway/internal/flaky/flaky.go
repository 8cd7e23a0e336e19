// Package flaky gives tests a way to a real server that can be interrupted: a TCP proxy that is
// cut, made deaf or mended at a test's word. It is for tests only.
package flaky

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Proxy passes connections on to a server.
type Proxy struct {
	dial     func() (net.Conn, error)
	listener net.Listener
	work     sync.WaitGroup

	mu     sync.Mutex
	cut    bool   // connections are refused
	silent bool   // the server's answers are swallowed
	word   []byte // counted in what clients say; nil: none
	said   int
	conns  map[net.Conn]struct{}
}

// New starts a proxy to the server and stops it when the test ends.
func New(t testing.TB, host string, port int) *Proxy {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("starting a proxy: %v", err)
	}
	p := &Proxy{listener: listener, conns: map[net.Conn]struct{}{}}
	p.dial = func() (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(t.Context(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	}
	p.work.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close() // it was open
		p.Cut()
		p.work.Wait()
	})
	return p
}

// Port returns the port on 127.0.0.1 at which the proxy listens.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Cut breaks all connections and refuses new ones.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for conn := range p.conns {
		_ = conn.Close() // the other end may have been faster
	}
}

// Silence swallows the server's answers: it does what it is asked, and nobody hears of it.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = true
}

// Mend lets everything pass again. Connections that were silenced are broken: their clients could
// not tell one answer from another.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent {
		for conn := range p.conns {
			_ = conn.Close() // the other end may have been faster
		}
	}
	p.cut, p.silent = false, false
}

// Count counts from now on how often clients say the word, as long as it is not cut in two on its way.
// It returns how often they did since it was called before.
func (p *Proxy) Count(word string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := p.said
	p.word, p.said = []byte(word), 0
	return said
}

func (p *Proxy) listen(said []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.word != nil {
		p.said += bytes.Count(said, p.word)
	}
	return true
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed at the test's end
		}
		server, err := p.dial()
		if err != nil || !p.enlist(client, server) {
			_ = client.Close() // this is the refusal
			if err == nil {
				_ = server.Close() // nothing was sent
			}
			continue
		}
		p.work.Go(func() { p.pass(server, client, p.listen) })
		p.work.Go(func() { p.pass(client, server, p.speak) })
	}
}

// enlist reports whether the pair may be used.
func (p *Proxy) enlist(client, server net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return false
	}
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	return true
}

func (p *Proxy) speak([]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.silent
}

// pass copies until either end closes, and closes both.
func (p *Proxy) pass(to io.WriteCloser, from io.ReadCloser, passes func([]byte) bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && passes(buf[:n]) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
