package broker_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/pharmavida/ingesta/shared/broker"
)

// proxy stands between a broker and its clients, and lets a test do to their connections what
// networks and short-of-memory brokers do.
type proxy struct {
	t        testing.TB
	target   string
	listener net.Listener
	work     sync.WaitGroup

	mu     sync.Mutex
	change *sync.Cond
	pairs  map[*pair]struct{}
	mute   bool // nothing passes from the broker to the client
	deaf   bool // nothing is read from the client
	alarm  bool // as deaf, for clients that have published, who are told
	silent bool // as alarm, but they are not told
	closed bool
}

// pair is one connection through the proxy.
type pair struct {
	client, server net.Conn
	published      bool

	writing sync.Mutex // of whole frames to the client
}

// newProxy starts a proxy before the host's broker and stops it when the test ends.
func newProxy(h *host) *proxy {
	h.t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(h.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatalf("starting a proxy: %v", err)
	}
	p := &proxy{
		t: h.t, listener: listener, pairs: make(map[*pair]struct{}),
		target: net.JoinHostPort(h.cfg.Host, strconv.Itoa(h.cfg.Port)),
	}
	p.change = sync.NewCond(&p.mu)
	p.work.Go(p.accept)
	h.t.Cleanup(p.stop)
	return p
}

// through has a broker connect through the proxy.
func (p *proxy) through(c *broker.Config) {
	at := p.listener.Addr().(*net.TCPAddr)
	c.Host, c.Port = at.IP.String(), at.Port
}

func (p *proxy) stop() {
	p.set(func() { p.closed = true })
	p.listener.Close()
	p.cut()
	p.work.Wait()
}

func (p *proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.change.Broadcast()
}

// cut breaks every connection, as a router that was switched off and on does.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		_ = c.client.(*net.TCPConn).SetLinger(0)
		c.client.Close()
		c.server.Close()
	}
}

// raiseAlarm does what a broker does when memory runs out: it reads no more from connections that
// publish, and tells them.
func (p *proxy) raiseAlarm() {
	p.set(func() {
		p.alarm = true
		for c := range p.pairs {
			if c.published {
				c.tell(blockedFrame)
			}
		}
	})
}

func (p *proxy) endAlarm() {
	p.set(func() {
		p.alarm = false
		for c := range p.pairs {
			if c.published {
				c.tell(unblockedFrame)
			}
		}
	})
}

var (
	blockedFrame   = methodFrame(60, append([]byte{6}, "memory"...))
	unblockedFrame = methodFrame(61, nil)
)

// methodFrame returns a frame with a method of the connection class.
func methodFrame(method uint16, arguments []byte) []byte {
	payload := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, 10), method)
	payload = append(payload, arguments...)
	frame := binary.BigEndian.AppendUint32([]byte{1, 0, 0}, uint32(len(payload)))
	return append(append(frame, payload...), 0xCE)
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		var dial net.Dialer
		server, err := dial.DialContext(context.Background(), "tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		c := &pair{client: client, server: server}
		p.set(func() {
			if p.closed {
				client.Close()
				server.Close()
			}
			p.pairs[c] = struct{}{}
		})
		var both sync.WaitGroup
		both.Go(func() { p.carryUp(c) })
		both.Go(func() { p.carryDown(c) })
		p.work.Go(func() {
			both.Wait()
			p.set(func() { delete(p.pairs, c) })
		})
	}
}

// carryUp carries frames to the broker.
func (p *proxy) carryUp(c *pair) {
	defer c.server.Close()
	from := bufio.NewReader(c.client)
	if _, err := io.CopyN(c.server, from, 8); err != nil { // the protocol's name
		return
	}
	for {
		if !p.wait(func() bool { return p.holdsUp(c) }) {
			return
		}
		frame, err := readFrame(from)
		if err != nil {
			return
		}
		if isPublish(frame) {
			p.set(func() {
				if p.alarm && !c.published {
					c.tell(blockedFrame)
				}
				c.published = true
			})
		}
		if !p.wait(func() bool { return p.holdsUp(c) }) {
			return
		}
		if _, err := c.server.Write(frame); err != nil {
			return
		}
	}
}

// holdsUp reports whether nothing is read from the client.
func (p *proxy) holdsUp(c *pair) bool { return p.deaf || (p.alarm || p.silent) && c.published }

// carryDown carries frames to the client.
func (p *proxy) carryDown(c *pair) {
	defer c.client.Close()
	from := bufio.NewReader(c.server)
	for {
		frame, err := readFrame(from)
		if err != nil || !p.wait(func() bool { return p.mute }) {
			return
		}
		c.tell(frame)
	}
}

// wait returns when nothing holds traffic up any more; false when the proxy ends.
func (p *proxy) wait(held func() bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for held() && !p.closed {
		p.change.Wait()
	}
	return !p.closed
}

// tell writes a whole frame to the client. A client that is gone shows when reading.
func (c *pair) tell(frame []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, _ = c.client.Write(frame)
}

func readFrame(from io.Reader) ([]byte, error) {
	header := make([]byte, 7)
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	frame := make([]byte, 7+binary.BigEndian.Uint32(header[3:])+1)
	copy(frame, header)
	_, err := io.ReadFull(from, frame[7:])
	return frame, err
}

// isPublish reports whether the frame holds the method basic.publish.
func isPublish(frame []byte) bool {
	return frame[0] == 1 && len(frame) > 11 && binary.BigEndian.Uint16(frame[7:]) == 60 && binary.BigEndian.Uint16(frame[9:]) == 40
}
