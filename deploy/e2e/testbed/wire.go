package testbed

import (
	"bytes"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Wire is a TCP way to a server that can be cut, held and slowed down. While it is whole it passes
// everything on.
type Wire struct {
	prefix   string // of the variables that name host and port
	server   string // address
	listener net.Listener
	work     sync.WaitGroup
	rate     atomic.Int64 // see Slow

	mu      sync.Mutex
	changed *sync.Cond
	cut     bool
	held    [2][][]byte // by direction: the openings of the connections that are held
	pairs   map[*pair]bool
	losses  []*Loss
}

// Direction is a direction on a wire.
type Direction int

// The two directions, seen from the client.
const (
	ToServer Direction = iota
	FromServer
)

// NewWire starts a wire to the server whose variables have the prefix: REDIS, RABBITMQ, POSTGRES,
// SOURCE_MYSQL or MONGO. It is closed when the test ends.
func (s *Servers) NewWire(t testing.TB, prefix string) *Wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{prefix: prefix, server: s.address(prefix), listener: listener, pairs: map[*pair]bool{}}
	w.changed = sync.NewCond(&w.mu)
	w.work.Go(w.accept)
	t.Cleanup(func() {
		_ = listener.Close() // it was open
		w.Cut()
		w.work.Wait()
	})
	return w
}

// Env returns the variables that lead a process over the wire.
func (w *Wire) Env() []string {
	port := w.listener.Addr().(*net.TCPAddr).Port
	return []string{w.prefix + "_HOST=127.0.0.1", w.prefix + "_PORT=" + strconv.Itoa(port)}
}

// Cut breaks all connections and refuses new ones until Mend.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	w.breakAll()
}

// Break breaks all connections; what was held of them is lost. New ones pass.
func (w *Wire) Break() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breakAll()
}

// Hold keeps back what travels in the direction. Connections stay open, new ones are made, and
// nothing is lost until Break or Cut.
func (w *Wire) Hold(d Direction) { w.HoldThose(d, "") }

// HoldThose is Hold for those connections alone in whose first bytes the client has said the text,
// such as the name that it gives the connection.
func (w *Wire) HoldThose(d Direction, saying string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held[d] = append(w.held[d], []byte(saying))
}

// Slow lets so many bytes a second come from the server on each connection; 0 lets all come as they do.
// With it work takes as long as a person, or a browser, needs to look at it.
func (w *Wire) Slow(bytes int64) { w.rate.Store(bytes) }

// Mend lets everything pass again, what was held first.
func (w *Wire) Mend() {
	w.Slow(0)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut, w.held = false, [2][][]byte{}
	w.changed.Broadcast()
}

// pair is a connection on the wire: the two ends of it, and how the client began.
type pair struct {
	client, server net.Conn
	opening        []byte
	tail           []byte // of what the client said last: a text may come in two pieces
	losing         *Loss  // of the request that is on its way
}

// maxOpening is how much is remembered of what a client says first.
const maxOpening = 4 << 10

// Loss is a number of answers that a wire loses.
type Loss struct {
	wire *Wire
	text []byte // of the requests
	seen int    // requests
	due  int    // answers to lose, but for those to requests that are on their way
	left int    // answers to lose
	done chan struct{}
}

// LoseAnswers loses the answers to the next n requests that have the text in them: the server carries
// such a request out, and when it answers, the connection breaks instead. The text should be one that
// requests alone have, and the protocol one of an answer to each request.
func (w *Wire) LoseAnswers(text string, n int) *Loss {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &Loss{wire: w, text: []byte(text), due: n, left: n, done: make(chan struct{})}
	w.losses = append(w.losses, l)
	return l
}

// Done is closed when the last of the answers is lost.
func (l *Loss) Done() <-chan struct{} { return l.done }

// Requests returns how many such requests there were so far, also after the last loss.
func (l *Loss) Requests() int {
	l.wire.mu.Lock()
	defer l.wire.mu.Unlock()
	return l.seen
}

// breakAll must be called with the lock held.
func (w *Wire) breakAll() {
	for p := range w.pairs {
		w.breakPair(p)
	}
	w.changed.Broadcast()
}

// breakPair must be called with the lock held.
func (w *Wire) breakPair(p *pair) {
	for _, conn := range []net.Conn{p.client, p.server} {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, as a crashed host sends it
		}
		_ = conn.Close() // the other end may have been faster
	}
	delete(w.pairs, p)
}

func (w *Wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return // closed at the test's end
		}
		server, err := net.Dial("tcp", w.server)
		p := &pair{client: client, server: server}
		if err != nil || !w.enlist(p) {
			_ = client.Close() // this is the refusal
			if err == nil {
				_ = server.Close() // nothing was sent
			}
			continue
		}
		w.work.Go(func() { w.pass(p, ToServer, server, client) })
		w.work.Go(func() { w.pass(p, FromServer, client, server) })
	}
}

// enlist reports whether the pair may be used.
func (w *Wire) enlist(p *pair) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return false
	}
	w.pairs[p] = true
	return true
}

// pass copies until either end closes, and closes both.
func (w *Wire) pass(p *pair, d Direction, to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	const step = 20 * time.Millisecond
	buf := make([]byte, 32<<10)
	for {
		part := buf
		if rate := w.rate.Load(); rate > 0 && d == FromServer {
			part = buf[:min(int64(len(buf)), max(1, rate*int64(step)/int64(time.Second)))]
			<-time.After(step)
		}
		n, err := from.Read(part)
		if n > 0 {
			if !w.wait(p, d, buf[:n]) {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait returns when what was said in the direction may pass, and reports whether the connection
// still stands.
func (w *Wire) wait(p *pair, d Direction, said []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d == ToServer && len(p.opening) < maxOpening {
		p.opening = append(p.opening, said...)
	}
	for w.pairs[p] && slices.ContainsFunc(w.held[d], func(saying []byte) bool { return bytes.Contains(p.opening, saying) }) {
		w.changed.Wait()
	}
	switch d {
	case ToServer:
		w.heedRequest(p, said)
	case FromServer:
		w.loseAnswer(p)
	}
	return w.pairs[p]
}

// heedRequest looks for a request whose answer is to be lost. It must be called with the lock held.
func (w *Wire) heedRequest(p *pair, said []byte) {
	const longest = 64 // of the texts that are looked for
	heard := slices.Concat(p.tail, said)
	for _, l := range w.losses {
		// The text must end in what was said just now, or it was found before.
		if at := bytes.LastIndex(heard, l.text); at < 0 || at+len(l.text) <= len(p.tail) {
			continue
		}
		l.seen++
		if l.due > 0 {
			l.due--
			p.losing = l
		}
	}
	p.tail = append([]byte(nil), heard[max(0, len(heard)-longest):]...)
}

// loseAnswer breaks the connection in place of an answer that is to be lost. It must be called with
// the lock held.
func (w *Wire) loseAnswer(p *pair) {
	l := p.losing
	if l == nil {
		return
	}
	p.losing = nil
	w.breakPair(p)
	if l.left--; l.left == 0 {
		close(l.done)
	}
}
