package broker_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// newCemetery makes a virtual host whose letters may be read as often as the product allows.
func newCemetery(t testing.TB) *host {
	t.Helper()
	h := newHost(t)
	stacktest.Policies(t, h.cfg.VHost)
	return h
}

// letter is a dead letter as Bury makes them.
func letter(id, body string) amqp.Publishing {
	return amqp.Publishing{
		MessageId: id, DeliveryMode: amqp.Persistent, Body: []byte(body),
		Headers: amqp.Table{
			broker.HeaderCode: "source_unavailable", broker.HeaderReason: "the server is away",
			broker.HeaderBuriedAt: "2025-01-02T15:30:45Z", broker.HeaderRoutingKey: "mysql",
		},
	}
}

// inter puts the letters among the dead, in their order.
func (h *host) inter(letters ...amqp.Publishing) {
	h.t.Helper()
	ch := h.channel()
	if err := ch.Confirm(false); err != nil {
		h.t.Fatalf("asking for confirms: %v", err)
	}
	var last *amqp.DeferredConfirmation
	for _, m := range letters {
		var err error
		if last, err = ch.PublishWithDeferredConfirm(broker.DeadExchange, "mysql", true, false, m); err != nil {
			h.t.Fatalf("publishing a dead letter: %v", err)
		}
	}
	if !last.Wait() {
		h.t.Fatal("the broker refused a dead letter")
	}
	want := len(letters)
	stacktest.Eventually(h.t, "the letters are in the queue", func() bool {
		q, err := ch.QueueDeclarePassive(broker.DeadQueue, true, false, false, false, nil)
		return err == nil && q.Messages >= want
	})
}

// interMany puts n letters among the dead, called 000, 001 and so on.
func (h *host) interMany(n int) (ids []string) {
	letters := make([]amqp.Publishing, n)
	for i := range letters {
		ids = append(ids, fmt.Sprintf("%03d", i))
		letters[i] = letter(ids[i], "{}")
	}
	h.inter(letters...)
	return ids
}

// read returns the letters up to the limit, and how many there are.
func read(t testing.TB, b *broker.Broker, limit int) (letters []broker.DeadLetter, total int) {
	t.Helper()
	total, err := b.DeadLetters(t.Context(), limit, func(l broker.DeadLetter) { letters = append(letters, l) })
	if err != nil {
		t.Fatalf("reading the dead letters: %v", err)
	}
	return letters, total
}

func messageIDs(letters []broker.DeadLetter) (ids []string) {
	for _, l := range letters {
		ids = append(ids, l.MessageID)
	}
	return ids
}

// Reading takes nothing away, changes no order and gives every letter the same id each time.
func TestDeadLettersStay(t *testing.T) {
	t.Parallel()
	h := newCemetery(t)
	b := h.start()
	if letters, total := read(t, b, 10); len(letters) != 0 || total != 0 {
		t.Fatalf("an empty queue holds %v, %d in all", letters, total)
	}
	want := h.interMany(250)
	first, total := read(t, b, broker.MaxDeadLetters)
	if total != 250 || !slices.Equal(messageIDs(first), want[:200]) {
		t.Fatalf("read %v of %d, want the 200 oldest of 250", messageIDs(first), total)
	}
	l := first[0]
	buried := time.Date(2025, 1, 2, 15, 30, 45, 0, time.UTC)
	if l.RoutingKey != "mysql" || l.Code != "source_unavailable" || l.Reason != "the server is away" || !l.BuriedAt.Equal(buried) || string(l.Body) != "{}" {
		t.Errorf("the first letter is %+v", l)
	}
	ids := map[string]bool{}
	for _, l := range first {
		ids[l.ID] = true
	}
	if len(ids) != 200 {
		t.Errorf("200 letters have %d ids", len(ids))
	}
	// More often than any default delivery limit of a broker, and in all sizes.
	for round := range 30 {
		limit := 1 + round*7
		again, total := read(t, b, limit)
		if total != 250 || !slices.EqualFunc(again, first[:min(limit, 200)], func(x, y broker.DeadLetter) bool { return x.ID == y.ID }) {
			t.Fatalf("round %d: read %v of %d, want the %d oldest of 250 under their ids", round, messageIDs(again), total, limit)
		}
	}
	ch := h.channel()
	for _, id := range want {
		if m := get(t, ch, broker.DeadQueue); m.MessageId != id {
			t.Fatalf("message %s is in the place of %s: reading changed the order", m.MessageId, id)
		}
	}
}

// A connection that is lost gives the letters back in their order as well.
func TestDeadLettersOutliveTheirReader(t *testing.T) {
	t.Parallel()
	h := newCemetery(t)
	b := h.start()
	want := h.interMany(60)
	seen := 0
	_, err := b.DeadLetters(t.Context(), 60, func(broker.DeadLetter) {
		if seen++; seen == 50 {
			h.closeConnections(" consuming")
		}
	})
	if !errors.Is(err, broker.ErrUnavailable) {
		t.Fatalf("reading over a connection that is lost gives %v, want ErrUnavailable", err)
	}
	var letters []broker.DeadLetter
	stacktest.Eventually(t, "all letters are back", func() bool {
		letters = nil // the broker may take the lost connection for a good one for a moment
		_, err := b.DeadLetters(t.Context(), 60, func(l broker.DeadLetter) { letters = append(letters, l) })
		return err == nil && len(letters) == 60
	})
	if got := messageIDs(letters); !slices.Equal(got, want) {
		t.Errorf("the order is %v", got)
	}
}

// Several readers, also of several programs, each see every letter.
func TestDeadLettersAreReadInTurn(t *testing.T) {
	t.Parallel()
	h := newCemetery(t)
	brokers := []*broker.Broker{h.start(), h.start()}
	want := h.interMany(20)
	var readers sync.WaitGroup
	for n := range 8 {
		readers.Go(func() {
			for range 5 {
				var letters []broker.DeadLetter
				total, err := brokers[n%2].DeadLetters(t.Context(), 50, func(l broker.DeadLetter) { letters = append(letters, l) })
				if err != nil || total != 20 || !slices.Equal(messageIDs(letters), want) {
					t.Errorf("read %v of %d, %v; want all 20 in order", messageIDs(letters), total, err)
				}
			}
		})
	}
	readers.Wait()
}

// Whoever does not get a turn is told so in time, and whoever hangs up does not wait.
func TestDeadLettersInUse(t *testing.T) {
	t.Parallel()
	h := newCemetery(t)
	brokers := []*broker.Broker{h.start(), h.start()}
	brokers[0].Impatient(300 * time.Millisecond)
	brokers[1].Impatient(300 * time.Millisecond)
	h.interMany(3)
	letters, _ := read(t, brokers[0], 1)
	taken, release := make(chan struct{}), make(chan struct{})
	var taking sync.WaitGroup
	taking.Go(func() {
		err := brokers[0].TakeDeadLetter(t.Context(), letters[0].ID, func(broker.DeadLetter) error {
			close(taken)
			<-release
			return nil
		})
		if err != nil {
			t.Errorf("taking a letter: %v", err)
		}
	})
	receive(t, "the letter to be taken", taken)
	for n, b := range brokers {
		if _, err := b.DeadLetters(t.Context(), 1, func(broker.DeadLetter) {}); !errors.Is(err, broker.ErrBusy) {
			t.Errorf("broker %d: reading what is in use gives %v, want ErrBusy", n, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.DeadLetters(ctx, 1, func(broker.DeadLetter) {}); !errors.Is(err, context.Canceled) {
			t.Errorf("broker %d: a reader that hangs up gets %v", n, err)
		}
	}
	close(release)
	taking.Wait()
	for n, b := range brokers {
		if letters, total := read(t, b, 5); total != 2 || len(letters) != 2 || letters[0].MessageID != "001" {
			t.Errorf("broker %d: read %v of %d, want the other two", n, messageIDs(letters), total)
		}
	}
}

func TestTakeDeadLetter(t *testing.T) {
	t.Parallel()
	h := newCemetery(t)
	b := h.start()
	all := h.interMany(230)
	letters, _ := read(t, b, 40)
	never := func(broker.DeadLetter) error { t.Error("a letter was handed over"); return nil }
	if err := b.TakeDeadLetter(t.Context(), "0123", never); !errors.Is(err, broker.ErrNoLetter) {
		t.Errorf("taking what is not there gives %v, want ErrNoLetter", err)
	}
	refusal := errors.New("not this one")
	if err := b.TakeDeadLetter(t.Context(), letters[20].ID, func(broker.DeadLetter) error { return refusal }); err != refusal { //nolint:errorlint // the very error, not one that wraps it
		t.Errorf("taking what is refused gives %v, want the refusal", err)
	}
	if again, _ := read(t, b, broker.MaxDeadLetters); !slices.Equal(messageIDs(again), all[:200]) {
		t.Errorf("after a refusal the letters are %v", messageIDs(again))
	}
	for _, n := range []int{20, 0, 39} {
		err := b.TakeDeadLetter(t.Context(), letters[n].ID, func(l broker.DeadLetter) error {
			if l.MessageID != letters[n].MessageID || string(l.Body) != "{}" {
				t.Errorf("was handed %+v", l)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("taking letter %d: %v", n, err)
		}
	}
	want := slices.Concat(all[1:20], all[21:39], all[40:])
	if rest, total := read(t, b, broker.MaxDeadLetters); total != 227 || !slices.Equal(messageIDs(rest), want[:200]) {
		t.Errorf("left are %v of %d, want %v", messageIDs(rest), total, want[:200])
	}
	if err := b.TakeDeadLetter(t.Context(), letters[0].ID, never); !errors.Is(err, broker.ErrNoLetter) {
		t.Errorf("taking it twice gives %v, want ErrNoLetter", err)
	}
}

// A taker that panics keeps nothing from the others.
func TestTakeDeadLetterPanics(t *testing.T) {
	t.Parallel()
	h := newCemetery(t)
	b := h.start()
	h.interMany(3)
	letters, _ := read(t, b, 3)
	func() {
		defer func() { _ = recover() }()
		_ = b.TakeDeadLetter(t.Context(), letters[1].ID, func(broker.DeadLetter) error { panic("for the test") })
	}()
	for _, b := range []*broker.Broker{b, h.start()} {
		if again, _ := read(t, b, 3); !slices.Equal(messageIDs(again), messageIDs(letters)) {
			t.Errorf("read %v, want all three", messageIDs(again))
		}
	}
}

// The letter stays when its removal gets lost, and the taker is told.
func TestTakeDeadLetterLosesItsConnection(t *testing.T) {
	t.Parallel()
	h := newCemetery(t)
	p := newProxy(h)
	b := h.start(p.through)
	h.interMany(3)
	letters, _ := read(t, b, 3)
	cuts := map[string]func(){
		"before the removal is sent": p.cut,
		"after it was sent": func() {
			p.set(func() { p.deaf = true })
			time.AfterFunc(300*time.Millisecond, func() {
				p.cut()
				p.set(func() { p.deaf = false })
			})
		},
	}
	for when, cut := range cuts {
		err := b.TakeDeadLetter(t.Context(), letters[1].ID, func(broker.DeadLetter) error { cut(); return nil })
		if !errors.Is(err, broker.ErrStale) {
			t.Fatalf("cut %s: got %v, want ErrStale", when, err)
		}
		stacktest.Eventually(t, "the letter is back in its place", func() bool {
			var again []broker.DeadLetter
			_, err := b.DeadLetters(t.Context(), 3, func(l broker.DeadLetter) { again = append(again, l) })
			return err == nil && slices.Equal(messageIDs(again), messageIDs(letters))
		})
	}
}

// A broker that is away, or that has lost the queue, is said to be so at once.
func TestDeadLettersUnavailable(t *testing.T) {
	t.Parallel()
	h := newCemetery(t)
	p := newProxy(h)
	b := h.start(p.through)
	if _, err := h.channel().QueueDelete(broker.DeadQueue, false, false, false); err != nil {
		t.Fatal(err)
	}
	show := func(broker.DeadLetter) { t.Error("a letter was shown") }
	if _, err := b.DeadLetters(t.Context(), 1, show); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("without its queue: %v, want ErrUnavailable", err)
	}
	stacktest.Eventually(t, "the queue is declared again", func() bool {
		total, err := b.DeadLetters(t.Context(), 1, show)
		return err == nil && total == 0
	})
	p.stop()
	stacktest.Eventually(t, "the connection is known to be lost", func() bool { return b.Ready(t.Context()) != nil })
	began := time.Now()
	if _, err := b.DeadLetters(t.Context(), 1, show); !errors.Is(err, broker.ErrUnavailable) || time.Since(began) > time.Second {
		t.Errorf("without a broker: %v after %s, want ErrUnavailable at once", err, time.Since(began))
	}
}

// A reader that found no queue has given its turn back: others need not wait for its next one.
func TestDeadLettersUnavailableToAll(t *testing.T) {
	t.Parallel()
	h := newCemetery(t)
	brokers := []*broker.Broker{h.start(), h.start()}
	if _, err := h.channel().QueueDelete(broker.DeadQueue, false, false, false); err != nil {
		t.Fatal(err)
	}
	show := func(broker.DeadLetter) { t.Error("a letter was shown") }
	if _, err := brokers[0].DeadLetters(t.Context(), 1, show); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("without its queue: %v, want ErrUnavailable", err)
	}
	stacktest.Eventually(t, "the queue is declared again", func() bool {
		_, err := h.channel().QueueDeclarePassive(broker.DeadQueue, true, false, false, false, nil)
		return err == nil
	})
	brokers[1].Impatient(time.Second)
	if _, err := brokers[1].DeadLetters(t.Context(), 1, show); err != nil {
		t.Errorf("reading with another broker: %v", err)
	}
}

// A broker that takes no messages still shows what it has.
func TestDeadLettersUnderAnAlarm(t *testing.T) {
	t.Parallel()
	h := newCemetery(t)
	p := newProxy(h)
	b := h.start(p.through)
	h.interMany(3)
	p.raiseAlarm()
	defer p.endAlarm()
	if letters, total := read(t, b, 3); len(letters) != 3 || total != 3 {
		t.Errorf("read %d of %d letters, want 3", len(letters), total)
	}
}

// Letters that are purged while they are read are not waited for.
func TestDeadLettersVanish(t *testing.T) {
	t.Parallel()
	h := newCemetery(t)
	b := h.start()
	h.interMany(100)
	seen, ch := 0, h.channel()
	total, err := b.DeadLetters(t.Context(), 100, func(broker.DeadLetter) {
		if seen++; seen == 1 {
			if _, err := ch.QueuePurge(broker.DeadQueue, false); err != nil {
				t.Errorf("purging: %v", err)
			}
		}
	})
	if err != nil || total != 100 || seen == 0 || seen == 100 {
		t.Errorf("saw %d of %d, %v; want those that were held", seen, total, err)
	}
}

// Letters may come from anyone, with anything in them.
func TestStrangeDeadLetters(t *testing.T) {
	t.Parallel()
	h := newCemetery(t)
	b := h.start()
	long := strings.Repeat("ñ", 5000)
	h.inter(
		amqp.Publishing{},
		amqp.Publishing{Headers: amqp.Table{broker.HeaderCode: int64(7), broker.HeaderBuriedAt: "yesterday", "x-death": "no list"}},
		amqp.Publishing{Headers: amqp.Table{broker.HeaderCode: long, broker.HeaderReason: long}, Body: []byte{0, 255}},
		// These two differ in nothing but where one part ends and the next begins.
		amqp.Publishing{Headers: amqp.Table{broker.HeaderBuriedAt: "a"}, MessageId: "bc"},
		amqp.Publishing{Headers: amqp.Table{broker.HeaderBuriedAt: "ab"}, MessageId: "c"},
		// These two differ in nothing at all.
		letter("twin", "{}"), letter("twin", "{}"),
		amqp.Publishing{Body: make([]byte, 12<<20)}, // takes longer on its way than the doubt that it comes
	)
	b.Doubt(100 * time.Millisecond)
	letters, total := read(t, b, 50)
	if total != 8 || len(letters) != 8 {
		t.Fatalf("read %d of %d letters, want 8", len(letters), total)
	}
	ids := map[string]int{}
	for _, l := range letters {
		ids[l.ID]++
		if len(l.ID) != 32 || len(l.Reason) > 1100 || len(l.Code) > 100 {
			t.Errorf("letter %s has %d bytes of code and %d of reason", l.ID, len(l.Code), len(l.Reason))
		}
	}
	if len(ids) != 7 || ids[letters[5].ID] != 2 {
		t.Errorf("the ids are %v, want one for the twins and one for each of the others", slices.Collect(maps.Keys(ids)))
	}
	if !letters[1].BuriedAt.IsZero() || letters[1].Code != "" || len(letters[7].Body) != 12<<20 {
		t.Errorf("what cannot be read is %+v", letters[1])
	}
	for range 2 {
		if err := b.TakeDeadLetter(t.Context(), letters[5].ID, func(broker.DeadLetter) error { return nil }); err != nil {
			t.Errorf("taking a twin: %v", err)
		}
	}
	if _, total := read(t, b, 1); total != 6 {
		t.Errorf("%d letters are left, want all but the twins", total)
	}
}

// A command on which the broker gave up says so, and leads back to its database.
func TestDeadLetterOfTheBroker(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	stacktest.Management(t, http.MethodPut, "/api/policies/"+h.path()+"/low", map[string]any{
		"pattern": "^ingesta\\.commands\\.", "apply-to": "queues", "definition": map[string]any{"delivery-limit": 1},
	}, nil)
	b := h.start()
	publish(t, b, "job-1")
	stop := consume(t, b, 1, func(_ context.Context, d *broker.Delivery) { _ = d.Requeue() })
	var letters []broker.DeadLetter
	stacktest.Eventually(t, "the command is a dead letter", func() bool {
		letters, _ = read(t, b, 1)
		return len(letters) == 1
	})
	stop()
	l := letters[0]
	if l.RoutingKey != string(ingest.MySQL) || l.MessageID != "job-1" || l.Reason != "the broker gave up on it: delivery_limit" || time.Since(l.BuriedAt).Abs() > time.Minute {
		t.Errorf("the letter is %+v", l)
	}
	if again, _ := read(t, b, 1); len(again) != 1 || again[0].ID != l.ID {
		t.Errorf("read again it is %+v, want the same id %s", again, l.ID)
	}
}
