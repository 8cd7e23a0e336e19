package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// publishChannels is how many publishes may wait for their confirm at once. More would not be
// faster: the broker writes to disk in batches.
const publishChannels = 32

// epoch is the life of one connection, from its handshake to its loss. Channels and delivery tags
// have no meaning beyond it.
type epoch struct {
	conn   *amqp.Connection
	socket *socket
	timing timing
	done   chan struct{} // closed when the connection is gone

	alarmed chan struct{} // closed when the broker first blocked publishers

	// Channels in confirm mode. One is in idle, or used by one goroutine, or not open yet and
	// represented by a permit.
	idle    chan *confirmChannel
	permits chan struct{}

	mu       sync.Mutex
	cause    error // why the connection was lost or dropped; the first reason stays
	blocked  string
	alarm    *time.Timer // drops the connection if publishes are caught by the alarm
	inFlight int
	retired  bool
	settled  chan struct{} // closed when retired and nothing is in flight
}

func newEpoch(conn *amqp.Connection, s *socket, t timing) *epoch {
	e := &epoch{
		conn: conn, socket: s, timing: t,
		done:    make(chan struct{}),
		alarmed: make(chan struct{}),
		idle:    make(chan *confirmChannel, publishChannels),
		permits: make(chan struct{}, publishChannels),
		settled: make(chan struct{}),
	}
	for range publishChannels {
		e.permits <- struct{}{}
	}
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 16))
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	go e.watch(blocked, closed)
	return e
}

// watch follows the connection to its end. It ends with the connection, which its link sees to.
func (e *epoch) watch(blocked <-chan amqp.Blocking, closed <-chan *amqp.Error) {
	defer close(e.done)
	for {
		select {
		case b, open := <-blocked:
			switch {
			case !open:
				blocked = nil
			case b.Active:
				e.block(b.Reason)
			default:
				e.unblock()
			}
		case err, open := <-closed:
			if !open {
				e.fail(errors.New("the connection was closed"))
				e.unblock() // stops the timer
				return
			}
			e.fail(err)
		}
	}
}

// block notes that the broker reads no more publishes. Those already sent but not confirmed get a
// moment; then the connection is dropped, so that the broker does not carry them out when the
// alarm ends, long after their senders were told that the outcome is unknown.
func (e *epoch) block(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.blocked = reason
	select {
	case <-e.alarmed:
	default:
		close(e.alarmed)
	}
	if e.alarm != nil {
		e.alarm.Stop()
	}
	e.alarm = time.AfterFunc(e.timing.blockedGrace, func() {
		if e.caught() {
			e.drop(fmt.Errorf("the broker blocks publishers (%s) and left messages unconfirmed", reason))
		}
	})
}

func (e *epoch) unblock() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.blocked = ""
	if e.alarm != nil {
		e.alarm.Stop()
		e.alarm = nil
	}
}

// caught reports whether publishes wait on a blocked connection.
func (e *epoch) caught() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.blocked != "" && e.inFlight > 0
}

// blockedFor returns the broker's reason for blocking publishers, or "".
func (e *epoch) blockedFor() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.blocked
}

func (e *epoch) fail(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cause == nil {
		e.cause = cause
	}
}

// err returns why the connection is gone, or nil while it is up.
func (e *epoch) err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cause
}

// drop ends the connection at once, without a word to the broker. Every call on it returns.
func (e *epoch) drop(cause error) {
	e.fail(cause)
	e.socket.abort()
}

// over reports whether the connection is gone.
func (e *epoch) over() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// within makes a call to the broker that has no timeout of its own. A broker that does not answer
// in time loses the connection, which ends the call.
func (e *epoch) within(limit time.Duration, doing string, call func() error) error {
	watchdog := time.AfterFunc(limit, func() {
		e.drop(fmt.Errorf("%s: no answer within %s", doing, limit))
	})
	defer watchdog.Stop()
	if err := call(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// channel opens a channel.
func (e *epoch) channel() (ch *amqp.Channel, err error) {
	err = e.within(e.timing.answer, "opening a channel", func() error {
		ch, err = e.conn.Channel()
		return err
	})
	return ch, err
}

// closeChannel closes the channel. What it delivered and nobody answered goes back to its queue.
func (e *epoch) closeChannel(ch *amqp.Channel) {
	// An error means that channel or connection are gone, which is what was wanted.
	_ = e.within(e.timing.answer, "closing a channel", ch.Close)
}

// declare declares the topology on a channel of its own.
func (e *epoch) declare(t Declarations) error {
	ch, err := e.channel()
	if err != nil {
		return err
	}
	defer e.closeChannel(ch)
	return e.within(e.timing.declare, "declaring the topology", func() error { return t.declare(ch) })
}

// probe publishes a message that goes nowhere, and returns when the broker has either confirmed it
// or said that it is blocked. Under an alarm a broker tells a connection so only after its first
// publish: without the probe, that would be a command.
func (e *epoch) probe(ctx context.Context) error {
	c, err := e.openConfirmChannel()
	if err != nil {
		return err
	}
	var confirm *amqp.DeferredConfirmation
	err = e.within(e.timing.answer, "probing the broker", func() (err error) {
		confirm, err = c.ch.PublishWithDeferredConfirm(CommandsExchange, prefix+"probe", false, false, amqp.Publishing{Type: "probe"})
		return err
	})
	if err != nil {
		return err
	}
	timeout := time.NewTimer(e.timing.answer)
	defer timeout.Stop()
	select {
	case <-e.alarmed: // nobody waits for the probe's confirm, which comes after the alarm
		return nil
	case <-confirm.Done():
		if !confirm.Acked() {
			return fmt.Errorf("probing the broker: %w", c.reason(e))
		}
		<-e.permits
		e.idle <- c
		return nil
	case <-timeout.C:
		return fmt.Errorf("probing the broker: no confirm within %s", e.timing.answer)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin admits a publish, unless the connection is closing or the broker blocks publishers.
func (e *epoch) begin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.retired:
		return errNotRunning
	case e.blocked != "":
		return fmt.Errorf("the broker blocks publishers: %s", e.blocked)
	}
	e.inFlight++
	return nil
}

// end is called once for every publish that began.
func (e *epoch) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inFlight--
	e.settleLocked()
}

func (e *epoch) settleLocked() {
	if e.retired && e.inFlight == 0 {
		close(e.settled)
	}
}

// close lets the publishes in flight end for as long as patience allows, closes the connection
// and returns when nothing of it is left. It is called once.
func (e *epoch) close(patience time.Duration) {
	e.mu.Lock()
	e.retired = true
	e.settleLocked()
	e.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-e.settled:
	case <-e.done:
	case <-timer.C:
	}
	// An error means that the connection is gone without the handshake.
	_ = e.conn.CloseDeadline(time.Now().Add(e.timing.goodbye))
	e.socket.abort()
	<-e.done
	<-e.settled
}
