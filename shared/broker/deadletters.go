package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// DeadLetter is a message among the dead letters. Its texts are cut to a length that fits an
// answer; the body is whole.
type DeadLetter struct {
	// ID is the same whenever the letter is read. Letters that agree in routing key, time of burial,
	// message id and body share it: whichever of them is meant, it is the same command.
	ID         string
	RoutingKey string // leads back to the queue it was taken from: a database
	MessageID  string
	Code       string    // an ingest.Code, or empty where the broker itself gave up on the message
	Reason     string    // the same for people
	BuriedAt   time.Time // zero when nobody says
	Body       []byte
}

// MaxDeadLetters is how many letters are within reach: the oldest ones. Those behind come within
// reach as letters before them go.
//
// Each reading takes up all of them, however few are wanted: the broker gives back what was read to
// the end of what was given back before, so that reading less would change their order.
const MaxDeadLetters = 200

// readAhead is how many letters the broker sends ahead of being read: it bounds the memory that
// large ones can take. MaxDeadLetters of them make 25 consumers on a channel; up to 32 the broker
// gives back in the order of their tags, so that the letters keep their order.
const readAhead = 8

// deadTurn is the queue that says whose turn it is to read: exclusive to one connection, it goes
// with that connection, as the letters that the connection holds go back.
const deadTurn = DeadQueue + ".turn"

// DeadLetters shows up to limit dead letters, the oldest first, and returns how many there are in
// all. None is taken away. A letter shown is the caller's; no more than a few are held here.
//
// Reading is done by one at a time, over all connections to the broker, because letters that one
// reader holds are hidden from others. The errors are ErrUnavailable, and ErrBusy when the turn did
// not come in time; those of ctx come as they are.
func (b *Broker) DeadLetters(ctx context.Context, limit int, show func(DeadLetter)) (total int, err error) {
	err = b.readDead(ctx, func(ctx context.Context, r *deadReader) error {
		total = r.ready
		for n := 0; ; n++ {
			m, ok, err := r.next(ctx)
			if err != nil || !ok {
				return err
			}
			if n < limit {
				show(deadLetterOf(m))
			}
		}
	})
	if err != nil {
		return 0, fmt.Errorf("reading the dead letters: %w", err)
	}
	return total, nil
}

// TakeDeadLetter hands the letter of the id to take, and removes it if take returns nil; otherwise
// it stays, and the error is take's. Meanwhile nobody else can read it. ErrNoLetter when it is not
// among the MaxDeadLetters oldest; ErrStale when take returned nil and the letter, perhaps, stays;
// otherwise errors are those of DeadLetters. Once take was called, the end of ctx changes nothing.
func (b *Broker) TakeDeadLetter(ctx context.Context, id string, take func(DeadLetter) error) error {
	refused := false
	err := b.readDead(ctx, func(ctx context.Context, r *deadReader) error {
		m, letter, err := r.find(ctx, id)
		if err != nil {
			return err
		}
		if err := take(letter); err != nil {
			refused = true
			return err
		}
		return r.remove(m)
	})
	if err != nil && !refused {
		return fmt.Errorf("taking dead letter %s: %w", id, err)
	}
	return err
}

// deadReader reads the dead letters on a channel of its own. They go back when that is closed.
type deadReader struct {
	epoch      *epoch
	channel    *amqp.Channel
	ready      int                  // letters that were there in the beginning
	left       int                  // that are still to be read
	consumers  []string             // their tags
	ahead      int                  // letters that the latest consumer has yet to deliver
	deliveries <-chan amqp.Delivery // of the latest consumer
	removed    int
}

// Why reading ends before its time.
var (
	errTurn = fmt.Errorf("%w: others read them", ErrBusy)
	errSlow = fmt.Errorf("%w: it was too slow", ErrUnavailable)
)

// readDead reads when it is this caller's turn. What was read and not removed is back in the queue
// when it returns, in its order if all within reach was read.
func (b *Broker) readDead(ctx context.Context, read func(context.Context, *deadReader) error) error {
	waiting, cancel := context.WithTimeoutCause(ctx, b.timing.patience, errTurn)
	defer cancel()
	select {
	case b.reading <- struct{}{}:
		defer func() { <-b.reading }()
	case <-waiting.Done():
		return context.Cause(waiting)
	}
	e, _, down := b.consuming.state()
	if e == nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, down)
	}
	turn, err := e.takeTurn(waiting)
	if err != nil {
		return err
	}
	defer e.giveTurn(turn)
	ready, err := e.readyDead(turn)
	if err != nil {
		if said, ok := errors.AsType[*amqp.Error](err); ok && said.Code == amqp.NotFound {
			b.consuming.mend()
		}
		return err
	}
	ch, err := e.channel()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r := &deadReader{epoch: e, channel: ch, ready: ready, left: min(ready, MaxDeadLetters)}
	defer func() { // whatever becomes of read: what it holds nobody else can see
		e.closeChannel(ch)
		r.settle(turn)
	}()
	reading, cancel := context.WithTimeoutCause(ctx, e.timing.answer, errSlow)
	defer cancel()
	return read(reading, r)
}

// takeTurn waits until nobody else reads. The channel it returns is for giveTurn.
func (e *epoch) takeTurn(ctx context.Context) (*amqp.Channel, error) {
	for {
		ch, err := e.channel()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		err = e.within(e.timing.answer, "asking for a turn to read", func() error {
			_, err := ch.QueueDeclare(deadTurn, false, false, true, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeClassic})
			return err
		})
		if err == nil {
			return ch, nil
		}
		e.closeChannel(ch)
		if said, ok := errors.AsType[*amqp.Error](err); !ok || said.Code != amqp.ResourceLocked {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		timer := time.NewTimer(e.timing.retry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		}
	}
}

// giveTurn lets the next one read.
func (e *epoch) giveTurn(ch *amqp.Channel) {
	defer func() { e.closeChannel(ch) }()
	if e.deleteTurn(ch) == nil {
		return
	}
	// The broker closes the channel on which it refuses something, as the look at a queue that is not
	// there, and the turn would stay with the connection. When that is gone, the turn is too.
	fresh, err := e.channel()
	if err != nil {
		return
	}
	ch = fresh
	_ = e.deleteTurn(ch)
}

func (e *epoch) deleteTurn(ch *amqp.Channel) error {
	return e.within(e.timing.answer, "ending a turn to read", func() error {
		_, err := ch.QueueDelete(deadTurn, false, false, false)
		return err
	})
}

// readyDead returns how many dead letters nobody holds.
func (e *epoch) readyDead(ch *amqp.Channel) (n int, err error) {
	err = e.within(e.timing.answer, "inspecting "+DeadQueue, func() error {
		q, err := ch.QueueDeclarePassive(DeadQueue, true, false, false, false, nil)
		n = q.Messages
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return n, nil
}

// next returns the next letter; false when none is left within reach.
func (r *deadReader) next(ctx context.Context) (amqp.Delivery, bool, error) {
	if r.left == 0 {
		return amqp.Delivery{}, false, nil
	}
	if r.ahead == 0 {
		// A fresh consumer, because what the one before has delivered stays unanswered.
		tag := fmt.Sprintf("reader-%02d", len(r.consumers))
		ahead := min(readAhead, r.left)
		deliveries, err := r.epoch.consume(r.channel, DeadQueue, tag, ahead)
		if err != nil {
			return amqp.Delivery{}, false, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		r.consumers, r.ahead, r.deliveries = append(r.consumers, tag), ahead, deliveries
	}
	idle := time.NewTicker(r.epoch.timing.vanished)
	defer idle.Stop()
	for none := 0; none < 3; {
		select {
		case m, open := <-r.deliveries:
			if !open {
				return amqp.Delivery{}, false, fmt.Errorf("%w: the letters stopped coming", ErrUnavailable)
			}
			r.left--
			r.ahead--
			return m, true, nil
		case <-idle.C:
			// Some may have been purged or become too old since they were counted. Once is not
			// enough: the answer may overtake a letter that is on its way.
			ready, err := r.epoch.readyDead(r.channel)
			if err != nil {
				return amqp.Delivery{}, false, err
			}
			if none++; ready > 0 {
				none = 0
			}
		case <-ctx.Done():
			return amqp.Delivery{}, false, context.Cause(ctx)
		}
	}
	r.left = 0
	return amqp.Delivery{}, false, nil
}

// find returns the letter of the id.
func (r *deadReader) find(ctx context.Context, id string) (found amqp.Delivery, letter DeadLetter, err error) {
	for {
		m, ok, err := r.next(ctx)
		switch {
		case err != nil:
			return found, letter, err
		case !ok && letter.ID == "":
			return found, letter, ErrNoLetter
		case !ok:
			return found, letter, r.stopIntake()
		case letter.ID == "":
			if l := deadLetterOf(m); l.ID == id {
				found, letter = m, l
			}
		}
	}
}

// stopIntake ends the consumers, which keep what they delivered: one that may be acknowledged would
// be sent another letter in its place, and give that back among the older ones.
func (r *deadReader) stopIntake() error {
	for _, tag := range r.consumers {
		err := r.epoch.within(r.epoch.timing.answer, "cancelling a reader", func() error { return r.channel.Cancel(tag, false) })
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	return nil
}

// remove acknowledges the letter and returns when the broker has heard of it.
func (r *deadReader) remove(m amqp.Delivery) error {
	if err := r.channel.Ack(m.DeliveryTag, false); err != nil {
		return fmt.Errorf("%w: %w", ErrStale, err)
	}
	r.removed++
	if _, err := r.epoch.readyDead(r.channel); err != nil {
		return fmt.Errorf("%w: %w", ErrStale, err)
	}
	return nil
}

// settle returns once the letters that were held are back: the broker gives them back a moment
// after it has closed the channel, and to the next reader the queue would look empty.
func (r *deadReader) settle(ch *amqp.Channel) {
	deadline := time.NewTimer(r.epoch.timing.settle)
	defer deadline.Stop()
	tick := time.NewTicker(r.epoch.timing.retry / 10)
	defer tick.Stop()
	for {
		ready, err := r.epoch.readyDead(ch)
		if err != nil || ready >= r.ready-r.removed {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return // some were purged meanwhile
		}
	}
}

// Bounds of what is shown of a letter: anyone may have written it.
const (
	maxCode   = 64
	maxReason = 1024
)

func deadLetterOf(m amqp.Delivery) DeadLetter {
	text := func(header string) string {
		s, _ := m.Headers[header].(string)
		return s
	}
	buried := text(HeaderBuriedAt)
	letter := DeadLetter{
		RoutingKey: m.RoutingKey, MessageID: m.MessageId, Body: m.Body,
		Code: shorten(text(HeaderCode), maxCode), Reason: shorten(text(HeaderReason), maxReason),
	}
	if at, err := time.Parse(time.RFC3339, buried); err == nil {
		letter.BuriedAt = at.UTC()
	} else if at, reason, ok := death(m.Headers); ok && buried == "" {
		letter.BuriedAt, buried = at.UTC(), at.UTC().Format(time.RFC3339)
		letter.Reason = shorten("the broker gave up on it: "+reason, maxReason)
	}
	letter.ID = letterID(m.RoutingKey, buried, m.MessageId, m.Body)
	return letter
}

// death returns when and why the broker itself moved the message to the dead letters.
func death(headers amqp.Table) (at time.Time, reason string, ok bool) {
	deaths, _ := headers["x-death"].([]any)
	if len(deaths) == 0 {
		return time.Time{}, "", false
	}
	latest, _ := deaths[0].(amqp.Table)
	at, ok = latest["time"].(time.Time)
	reason, _ = latest["reason"].(string)
	return at, reason, ok
}

// letterID hashes the parts, each after its length, so that no two splits of one text agree.
func letterID(routingKey, buried, messageID string, body []byte) string {
	h := sha256.New()
	for _, part := range []string{routingKey, buried, messageID} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// shorten cuts a text to at most so many bytes of whole characters.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
