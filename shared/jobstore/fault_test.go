package jobstore

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/shared/ingest"
)

func TestMain(m *testing.M) {
	LogClient(slog.New(slog.DiscardHandler)) // servers that are away are part of these tests
	goleak.VerifyTestMain(m)
}

// proxy stands between a store and its server and spoils the traffic.
type proxy struct {
	listener  net.Listener
	server    string
	frozen    atomic.Bool  // swallows what the server says
	swallow   atomic.Int32 // how many of the next replies to lose, with their connection
	unblocked chan struct{}
	wg        sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

// cut breaks every connection there is; new ones work.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// through returns a store that reaches the server of s through a proxy, with the same keys.
func through(t *testing.T, s *Store, adjust ...func(*Config)) (*Store, *proxy) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, server: net.JoinHostPort(s.cfg.Host, strconv.Itoa(s.cfg.Port)), unblocked: make(chan struct{})}
	p.wg.Go(p.serve)
	cfg := s.cfg
	cfg.Host, cfg.Port = "127.0.0.1", listener.Addr().(*net.TCPAddr).Port
	for _, f := range adjust {
		f(&cfg)
	}
	spoiled, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = spoiled.Close()
		close(p.unblocked)
		_ = listener.Close()
		p.wg.Wait()
	})
	return spoiled, p
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		p.wg.Go(func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		})
		p.wg.Go(func() {
			defer client.Close()
			buffer := make([]byte, 64<<10)
			for {
				n, err := server.Read(buffer)
				if err != nil {
					return
				}
				if p.frozen.Load() {
					<-p.unblocked
					return
				}
				if p.swallow.Load() > 0 && p.swallow.Add(-1) >= 0 {
					return
				}
				if _, err := client.Write(buffer[:n]); err != nil {
					return
				}
			}
		})
	}
}

// The reply of a script is lost, and the client runs it again: it must count once and answer the
// same.
func TestLostReplies(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	spoiled, p := through(t, s)
	lose := func() {
		t.Helper()
		if err := spoiled.Ping(ctx); err != nil { // a warm connection: the loss hits the script itself
			t.Fatal(err)
		}
		p.swallow.Store(1)
	}
	lost := func(doing string) {
		t.Helper()
		if p.swallow.Load() > 0 {
			t.Fatalf("%s: no reply was lost, the test proves nothing", doing)
		}
	}

	// The scripts are known to the server already, so that the first try is the one that runs.
	warm := accepted(t, s)
	lease := claim(t, s, warm, Claimed).Lease
	if err := lease.Release(ctx, Release{Outcome: ingest.OutcomeRetry}); err != nil {
		t.Fatal(err)
	}
	if _, err := claim(t, s, warm, Claimed).Lease.Finish(ctx, Finish{Status: ingest.Failed}); err != nil {
		t.Fatal(err)
	}

	lose()
	a, err := spoiled.Accept(ctx, []Submission{submission()}, &Idempotency{Subject: "ana", Key: "k", BodyHash: "body"})
	lost("accepting")
	if err != nil || a.Replayed || len(a.Jobs) != 1 || len(a.Unconfirmed) != 1 {
		t.Fatalf("accepting: %+v, %v; want one fresh job", a, err)
	}
	job := a.Jobs[0]

	lose()
	c, err := spoiled.Claim(ctx, ClaimRequest{Command: job.Command(), Worker: "w"})
	lost("claiming")
	if err != nil || c.Outcome != Claimed || c.Job.Attempt != 1 {
		t.Fatalf("claiming: %+v, %v; want the first attempt", c, err)
	}

	lose()
	err = c.Lease.Release(ctx, Release{Outcome: ingest.OutcomeRetry, Failure: true})
	lost("releasing")
	if err != nil || fieldOf(t, s, job.ID, "failures") != "1" {
		t.Fatalf("releasing: %v, %s failures; want one", err, fieldOf(t, s, job.ID, "failures"))
	}

	c = claim(t, spoiled, job, Claimed)
	lose()
	ended, err := c.Lease.Finish(ctx, Finish{Status: ingest.Success})
	lost("finishing")
	if err != nil || ended.Status != ingest.Success {
		t.Fatalf("finishing: %+v, %v", ended, err)
	}

	other := accepted(t, s)
	lose()
	got, err := spoiled.Cancel(ctx, other.ID)
	lost("cancelling")
	if err != nil || got.Status != ingest.Cancelled {
		t.Fatalf("cancelling: %+v, %v; the job was not over before", got, err)
	}
}

// A frozen server costs each call its own timeout and no more.
func TestFrozenServer(t *testing.T) {
	s := open(t)
	spoiled, p := through(t, s, func(c *Config) { c.IOTimeout, c.Timeout = 100*time.Millisecond, 300*time.Millisecond })
	job := accepted(t, s)
	if err := spoiled.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.frozen.Store(true)
	for name, call := range map[string]func(context.Context) error{
		"Ping": spoiled.Ping,
		"Get":  func(ctx context.Context) error { _, err := spoiled.Get(ctx, job.ID); return err },
		"Accept": func(ctx context.Context) error {
			_, err := spoiled.Accept(ctx, []Submission{submission()}, nil)
			return err
		},
		"Settle": func(ctx context.Context) error { return spoiled.Settle(ctx, EventEntry, job.ID) },
	} {
		begun := time.Now()
		err := call(t.Context())
		wantError(t, name+" on a frozen server", err, ErrUnavailable)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%s on a frozen server took %v, want about %v", name, took, spoiled.cfg.Timeout)
		}
		// The caller's own deadline counts, too.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		begun = time.Now()
		err = call(ctx)
		cancel()
		if !errors.Is(err, ErrUnavailable) || time.Since(begun) > 250*time.Millisecond {
			t.Errorf("%s with 20 ms to live: %v after %v", name, err, time.Since(begun))
		}
	}
}
