package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// timing holds how long things may take. Tests shorten some.
type timing struct {
	dial         time.Duration // TCP and AMQP handshake
	heartbeat    time.Duration // twice this without a sign of life is a lost connection
	stall        time.Duration // one write to the socket
	answer       time.Duration // one answer of the broker
	declare      time.Duration // the whole topology
	goodbye      time.Duration // the closing handshake
	backoffMin   time.Duration // between two attempts to connect or to consume
	backoffMax   time.Duration
	steady       time.Duration // a connection that held so long starts over at backoffMin
	mend         time.Duration // before something that was deleted is declared again
	renew        time.Duration // an idle consumer is replaced so often
	conflict     time.Duration // between two declarations that only an operator can make succeed
	blockedGrace time.Duration // for confirms under way when the broker blocks publishers
	patience     time.Duration // for the turn to read dead letters
	retry        time.Duration // between two tries to get that turn
	vanished     time.Duration // dead letters that do not come for so long are counted again
	settle       time.Duration // for dead letters to be back in their queue
}

var defaultTiming = timing{
	dial: 10 * time.Second, heartbeat: 10 * time.Second, stall: 5 * time.Second, answer: 10 * time.Second,
	declare: 30 * time.Second, goodbye: 2 * time.Second,
	backoffMin: 100 * time.Millisecond, backoffMax: 5 * time.Second, steady: time.Second,
	mend: time.Second, renew: time.Minute, conflict: 30 * time.Second, blockedGrace: time.Second,
	patience: 5 * time.Second, retry: 50 * time.Millisecond, vanished: 200 * time.Millisecond, settle: time.Second,
}

var (
	errNotRunning = errors.New("Run has not been called, or has returned")
	errConnecting = errors.New("connecting")
)

// link keeps one connection to the broker: it dials, declares the topology, watches, and dials
// again when the connection is lost.
type link struct {
	cfg        Config
	name       string // shown in the broker's list of connections
	topology   Declarations
	publishing bool
	timing     timing
	log        *slog.Logger

	attempts atomic.Uint64
	losses   atomic.Uint64
	suspect  chan struct{} // asks for the topology to be declared again

	mu      sync.Mutex
	current *epoch        // nil while down
	down    error         // why; nil while up
	changed chan struct{} // closed and replaced when current or down change
}

func newLink(cfg Config, name string, publishing bool, t Declarations, timing timing, log *slog.Logger) *link {
	return &link{
		cfg: cfg, name: name, topology: t, publishing: publishing, timing: timing,
		log:     log.With("connection", name),
		suspect: make(chan struct{}, 1),
		down:    errNotRunning, changed: make(chan struct{}),
	}
}

// run keeps the connection until ctx ends, and returns when it is closed.
func (l *link) run(ctx context.Context) {
	defer l.set(nil, errNotRunning)
	l.set(nil, errConnecting)
	outage := struct {
		since    time.Time
		attempts int
		logged   string // the last cause that was logged
	}{since: time.Now()}
	pause := l.timing.backoff()
	for ctx.Err() == nil {
		l.attempts.Add(1)
		e, err := l.connect(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			l.set(nil, err)
			outage.attempts++
			// Once per cause: an outage of an hour is not worth a thousand lines.
			if outage.logged != err.Error() {
				outage.logged = err.Error()
				l.logOutage(err)
			}
			pause.wait(ctx, err)
			continue
		}
		if outage.logged != "" {
			l.log.Info("connected to the broker", "outage", time.Since(outage.since).Round(time.Millisecond), "attempts", outage.attempts+1)
		} else {
			l.log.Info("connected to the broker")
		}
		l.set(e, nil)
		began := time.Now()
		err = l.serve(ctx, e)
		l.set(nil, err)
		e.close(l.cfg.ConfirmTimeout)
		if ctx.Err() != nil {
			return
		}
		l.losses.Add(1)
		l.log.Warn("lost the connection to the broker", "error", err)
		outage.since, outage.attempts, outage.logged = time.Now(), 0, err.Error()
		if time.Since(began) >= l.timing.steady {
			pause = l.timing.backoff()
		}
		pause.wait(ctx, err)
	}
}

// logOutage logs why there is no connection: an error where no patience helps.
func (l *link) logOutage(err error) {
	if _, conflict := errors.AsType[*TopologyError](err); conflict {
		l.log.Error("the broker cannot be used until an operator has mended it, looking again now and then", "every", l.timing.conflict, "error", err)
		return
	}
	l.log.Warn("cannot connect to the broker, trying on", "error", err)
}

// connect returns a connection that is ready for use: the topology is declared and, for
// publishing, it is known whether the broker takes messages.
func (l *link) connect(ctx context.Context) (*epoch, error) {
	e, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { e.drop(ctx.Err()) })
	defer stop()
	if err = e.declare(l.topology); err == nil && l.publishing {
		err = e.probe(ctx)
	}
	if err != nil {
		e.close(0)
		return nil, err
	}
	return e, nil
}

func (l *link) dial(ctx context.Context) (*epoch, error) {
	dialer := net.Dialer{Timeout: l.timing.dial}
	raw, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(l.cfg.Host, strconv.Itoa(l.cfg.Port)))
	if err != nil {
		return nil, fmt.Errorf("dialing the broker: %w", err)
	}
	s := &socket{TCPConn: raw.(*net.TCPConn), stall: l.timing.stall}
	stop := context.AfterFunc(ctx, s.abort)
	defer stop()
	// The client lifts this deadline when the handshake is over.
	if err := s.SetDeadline(time.Now().Add(l.timing.dial)); err != nil {
		s.abort()
		return nil, fmt.Errorf("bounding the handshake with the broker: %w", err)
	}
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(l.name)
	// Recovery stays off: the client's own re-uses delivery tags across connections, so that an
	// old acknowledgement could acknowledge another message.
	conn, err := amqp.Open(s, amqp.Config{
		SASL:       []amqp.Authentication{&amqp.PlainAuth{Username: l.cfg.User, Password: l.cfg.Password.Reveal()}},
		Vhost:      l.cfg.VHost,
		Heartbeat:  l.timing.heartbeat,
		Properties: properties,
		Locale:     "en_US",
	})
	if err != nil {
		s.abort()
		return nil, fmt.Errorf("opening a connection to the broker: %w", err)
	}
	return newEpoch(conn, s, l.timing), nil
}

// serve returns when the connection is lost, with the reason, or when ctx ends.
func (l *link) serve(ctx context.Context, e *epoch) error {
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return errNotRunning
		case <-e.done:
			return e.err()
		case <-l.suspect:
			if due == nil {
				due = time.After(l.timing.mend)
			}
		case <-due:
			due = nil
			if err := e.declare(l.topology); err != nil {
				if !e.conn.IsClosed() {
					e.drop(err)
				}
				<-e.done
				return e.err()
			}
		}
	}
}

// mend has the topology declared again, because somebody deleted a part of it. Not at once: a
// broker that finds the queue in place when it tells consumers of the deletion (3.10 does) tries to
// spare them the news and attaches them to the new queue, whose first messages they never see.
func (l *link) mend() {
	select {
	case l.suspect <- struct{}{}:
	default: // asked for already
	}
}

func (l *link) set(e *epoch, down error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current, l.down = e, down
	close(l.changed)
	l.changed = make(chan struct{})
}

// state returns the connection, or why there is none, and a channel that is closed when that
// changes.
func (l *link) state() (e *epoch, changed <-chan struct{}, down error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != nil && l.current.over() {
		return nil, l.changed, l.current.err()
	}
	return l.current, l.changed, l.down
}

// await returns a connection that is up. It fails only when ctx ends.
func (l *link) await(ctx context.Context) (*epoch, error) {
	for {
		e, changed, _ := l.state()
		if e != nil {
			return e, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// backoff is a waiting time that doubles.
type backoff struct {
	next   time.Duration
	timing timing
}

func (t timing) backoff() *backoff { return &backoff{next: t.backoffMin, timing: t} }

// wait returns after a while, or when ctx ends. How long depends on what went wrong: a conflict
// waits for an operator.
func (b *backoff) wait(ctx context.Context, cause error) {
	pause := b.next/2 + rand.N(b.next/2) // jitter keeps many clients from coming back at once
	b.next = min(2*b.next, b.timing.backoffMax)
	if _, conflict := errors.AsType[*TopologyError](cause); conflict {
		pause = b.timing.conflict
	} else if errors.Is(cause, errCancelled) {
		pause += b.timing.mend // for the other consumers of a deleted queue, see link.mend
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
