package browser

import (
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pace is a way to a server over which no more comes than it lets through: with it a job takes as
// long as a person needs to look at it.
type pace struct {
	listener net.Listener
	server   string
	work     sync.WaitGroup
	rate     atomic.Int64 // bytes a second of each connection; 0: as fast as they come

	mu    sync.Mutex
	conns map[net.Conn]bool
	shut  bool
}

func newPace(t *testing.T, server string) *pace {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pace{listener: listener, server: server, conns: map[net.Conn]bool{}}
	p.work.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close() // it was open
		p.close()
		p.work.Wait()
	})
	return p
}

// env returns the variables of the prefix that lead a process this way.
func (p *pace) env(prefix string) []string {
	return []string{prefix + "_HOST=127.0.0.1", prefix + "_PORT=" + strconv.Itoa(p.listener.Addr().(*net.TCPAddr).Port)}
}

// slow lets so many bytes a second through; 0 lets everything.
func (p *pace) slow(bytes int64) { p.rate.Store(bytes) }

func (p *pace) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed at the test's end
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil || !p.keep(client, server) {
			_ = client.Close() // this is the refusal
			if err == nil {
				_ = server.Close() // nothing was sent
			}
			continue
		}
		p.work.Go(func() { p.pass(server, client, false) })
		p.work.Go(func() { p.pass(client, server, true) })
	}
}

// keep reports whether the connections may be used.
func (p *pace) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.conns[conn] = true
	}
	return !p.shut
}

// close breaks all connections and refuses new ones until reopen.
func (p *pace) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	for conn := range p.conns {
		_ = conn.Close() // the other end may have been faster
	}
	clear(p.conns)
}

// reopen lets new connections pass.
func (p *pace) reopen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = false
}

// pass copies until either end closes.
func (p *pace) pass(to, from net.Conn, slowly bool) {
	defer to.Close()
	defer from.Close()
	const step = 20 * time.Millisecond
	buf := make([]byte, 32<<10)
	for {
		part := buf
		if rate := p.rate.Load(); slowly && rate > 0 {
			part = buf[:min(int64(len(buf)), max(1, rate*int64(step)/int64(time.Second)))]
			<-time.After(step)
		}
		n, err := from.Read(part)
		if n > 0 {
			if _, err := to.Write(part[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
