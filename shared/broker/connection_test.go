package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
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

// A broker that falls silent costs one publish its outcome and no more than the confirm timeout.
func TestConfirmDoesNotCome(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	p := newProxy(h)
	b := h.start(p.through, func(c *broker.Config) { c.ConfirmTimeout = 500 * time.Millisecond })
	p.set(func() { p.mute = true })
	began := time.Now()
	err := b.PublishCommand(t.Context(), command("job-1"), "")
	if took := time.Since(began); !errors.Is(err, broker.ErrUnknown) || took > 2*time.Second {
		t.Errorf("publishing without an answer gives %v after %s, want ErrUnknown after 500ms", err, took)
	}
	stacktest.Eventually(t, "the connection is given up", func() bool { return b.Reconnects() == 1 })
	if err := b.PublishCommand(t.Context(), command("job-2"), ""); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("publishing without a connection gives %v, want ErrUnavailable", err)
	}
	p.set(func() { p.mute = false })
	waitReady(t, b)
	if err := b.PublishCommand(t.Context(), command("job-1"), ""); err != nil {
		t.Errorf("publishing again: %v", err)
	}
	got := drainQueue(t, h.channel(), broker.CommandQueue(ingest.MySQL))
	if want := map[string]int{"job-1": 2}; !maps.Equal(got, want) {
		t.Errorf("the queue held %v, want %v: the first one had arrived, only its confirm was lost", got, want)
	}
}

// A caller who stops waiting leaves the connection as it was.
func TestCallerStopsWaitingForConfirm(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	p := newProxy(h)
	b := h.start(p.through)
	p.set(func() { p.mute = true })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := b.PublishCommand(ctx, command("job-1"), ""); !errors.Is(err, broker.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("giving up gives %v, want ErrUnknown for the deadline", err)
	}
	p.set(func() { p.mute = false })
	if err := b.PublishCommand(t.Context(), command("job-2"), ""); err != nil {
		t.Errorf("publishing after another caller gave up: %v", err)
	}
	if got := b.Reconnects(); got != 0 {
		t.Errorf("%d connections were lost over it, want none", got)
	}
}

// What comes back for a caller who is gone is not taken for the next one's.
func TestReturnAfterCallerStoppedWaiting(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	p := newProxy(h)
	b := h.start(p.through)
	other := h.channel()
	if err := other.QueueUnbind(broker.CommandQueue(ingest.MySQL), "mysql", broker.CommandsExchange, nil); err != nil {
		t.Fatalf("deleting a binding: %v", err)
	}
	p.set(func() { p.mute = true })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := b.PublishCommand(ctx, command("job-1"), ""); !errors.Is(err, broker.ErrUnknown) {
		t.Errorf("giving up gives %v, want ErrUnknown", err)
	}
	p.set(func() { p.mute = false })
	stacktest.Eventually(t, "the message is settled", func() bool { return b.InFlight() == 0 })
	if err := other.QueueBind(broker.CommandQueue(ingest.MySQL), "mysql", broker.CommandsExchange, false, nil); err != nil {
		t.Fatalf("binding the queue: %v", err)
	}
	for range 4 { // on whatever channels there are
		if err := b.PublishCommand(t.Context(), command("job-2"), ""); err != nil {
			t.Errorf("publishing after another caller gave up: %v", err)
		}
	}
}

// A broker that does not read must not hold a publisher in the socket.
func TestBrokerDoesNotRead(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	p := newProxy(h)
	b := h.start(p.through, func(c *broker.Config) { c.ConfirmTimeout = 500 * time.Millisecond })
	p.set(func() { p.deaf = true })
	large := event("job-1", ingest.Success)
	large.Body.UserID = strings.Repeat("x", 12<<20) // more than the buffers on the way hold
	began := time.Now()
	err := b.PublishEvent(t.Context(), large, "")
	if took := time.Since(began); !errors.Is(err, broker.ErrUnknown) && !errors.Is(err, broker.ErrUnavailable) || took > 4*time.Second { // before the socket itself gives up
		t.Errorf("publishing into a full socket gives %v after %s, want an error after 500ms", err, took)
	}
	p.set(func() { p.deaf = false })
	stacktest.Eventually(t, "publishing works again", func() bool {
		return b.PublishCommand(t.Context(), command("job-2"), "") == nil
	})
}

func TestAlarm(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	p := newProxy(h)
	b := h.start(p.through)
	handled := make(chan string, 8)
	consume(t, b, 1, func(_ context.Context, d *broker.Delivery) {
		if err := d.Ack(); err != nil {
			t.Errorf("acknowledging during an alarm: %v", err)
		}
		handled <- d.MessageID
	})

	p.raiseAlarm()
	var err error
	stacktest.Eventually(t, "the alarm is noticed", func() bool {
		err = b.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "memory")
	})
	prompt := func(when string) {
		t.Helper()
		began := time.Now()
		err := b.PublishCommand(t.Context(), command("job-1"), "")
		if took := time.Since(began); !errors.Is(err, broker.ErrUnavailable) || took > time.Second {
			t.Errorf("publishing %s gives %v after %s, want ErrUnavailable at once", when, err, took)
		}
	}
	prompt("under an alarm")

	// A connection made under the alarm is not told before it publishes. No command may find
	// that out.
	p.cut()
	stacktest.Eventually(t, "both connections were lost", func() bool { return b.Reconnects() >= 2 })
	stacktest.Eventually(t, "the alarm is noticed on a new connection", func() bool {
		err = b.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "takes no messages")
	})
	prompt("on a new connection under an alarm")

	// Workers go on.
	if err := h.channel().PublishWithContext(t.Context(), broker.CommandsExchange, "mysql", true, false, amqp.Publishing{MessageId: "job-2"}); err != nil {
		t.Fatalf("publishing as another program: %v", err)
	}
	if got := receive(t, "a delivery during the alarm", handled); got != "job-2" {
		t.Errorf("message %s was delivered, want job-2", got)
	}

	p.endAlarm()
	waitReady(t, b)
	if err := b.PublishCommand(t.Context(), command("job-3"), ""); err != nil {
		t.Errorf("publishing after the alarm: %v", err)
	}
	if got := receive(t, "a delivery after the alarm", handled); got != "job-3" {
		t.Errorf("message %s was delivered, want job-3 and nothing of what was refused", got)
	}
}

// Messages caught by an alarm do not keep their senders for the whole confirm timeout.
func TestAlarmCatchesPublishes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	p := newProxy(h)
	b := h.start(p.through, func(c *broker.Config) { c.ConfirmTimeout = time.Minute })
	p.set(func() { p.deaf = true })
	caught := make(chan error, 1)
	go func() { caught <- b.PublishCommand(context.Background(), command("job-1"), "") }()
	stacktest.Eventually(t, "the publish waits", func() bool { return b.InFlight() == 1 })
	began := time.Now()
	p.raiseAlarm()
	err := receive(t, "the outcome of a publish that an alarm caught", caught)
	if took := time.Since(began); !errors.Is(err, broker.ErrUnknown) || took > 5*time.Second {
		t.Errorf("a publish caught by an alarm gives %v after %s, want ErrUnknown after about 1s", err, took)
	}
	p.set(func() { p.deaf = false })
	p.endAlarm()
	waitReady(t, b)
}

// A message that nil says is safe must be there, and one that was not sent must not, wherever the
// connection breaks.
func TestNothingConfirmedIsLost(t *testing.T) {
	t.Parallel()
	const publishers, losses = 32, 7
	h := newHost(t)
	p := newProxy(h)
	b := h.start(p.through)

	var mu sync.Mutex
	outcomes := make(map[string]error)
	safe := 0
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for s := range publishers {
		senders.Go(func() {
			pace := time.NewTicker(20 * time.Millisecond)
			defer pace.Stop()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("job-%d-%d", s, n)
				err := b.PublishCommand(t.Context(), command(id), "")
				mu.Lock()
				outcomes[id] = err
				if err == nil {
					safe++
				}
				mu.Unlock()
				if errors.Is(err, broker.ErrUnavailable) {
					<-pace.C
				}
			}
		})
	}
	confirmed := func() int {
		mu.Lock()
		defer mu.Unlock()
		return safe
	}
	for range losses {
		more := confirmed() + publishers + rand.IntN(10*publishers)
		stacktest.Eventually(t, "messages flow", func() bool { return confirmed() > more })
		before := b.Reconnects()
		p.cut()
		stacktest.Eventually(t, "the loss is noticed", func() bool { return b.Reconnects() > before })
	}
	close(stop)
	senders.Wait()
	waitReady(t, b)

	arrived := consumeAll(t, h, broker.CommandQueue(ingest.MySQL))
	tally := make(map[string]int)
	for id, err := range outcomes {
		switch {
		case err == nil:
			tally["confirmed"]++
			if arrived[id] != 1 {
				t.Errorf("message %s was confirmed and arrived %d times, want once", id, arrived[id])
			}
		case errors.Is(err, broker.ErrUnavailable):
			tally["unavailable"]++
			if arrived[id] != 0 {
				t.Errorf("message %s was not sent and arrived %d times: %v", id, arrived[id], err)
			}
		case errors.Is(err, broker.ErrUnknown):
			tally["unknown"]++
			if arrived[id] > 1 {
				t.Errorf("message %s was sent once and arrived %d times", id, arrived[id])
			}
		default:
			t.Errorf("message %s: %v, which nothing here can cause", id, err)
		}
	}
	t.Logf("over %d losses: %v", b.Reconnects(), tally)
	if tally["confirmed"] < losses*publishers || tally["unknown"] == 0 {
		t.Errorf("outcomes were %v: the connection did not break in the middle of publishing", tally)
	}
}

func TestConflictingQueue(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	queue := broker.DelayName(h.cfg.Delays[0])
	other := h.channel()
	if _, err := other.QueueDeclare(queue, true, false, false, false, nil); err != nil {
		t.Fatalf("declaring a queue with other arguments: %v", err)
	}
	var lines lineCounter
	b := h.startLogging(slog.New(slog.NewTextHandler(&lines, nil)))
	var err error
	stacktest.Eventually(t, "the conflict is known", func() bool {
		err = b.Ready(t.Context())
		_, ok := errors.AsType[*broker.TopologyError](err)
		return ok
	})
	conflict, _ := errors.AsType[*broker.TopologyError](err)
	if conflict.Kind != "queue" || conflict.Name != queue {
		t.Errorf("the conflict is about %s %q, want queue %q", conflict.Kind, conflict.Name, queue)
	}
	if _, ok := errors.AsType[*broker.NotReadyError](err); !ok || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("Ready says %q, want a NotReadyError with advice", err)
	}
	if advice := conflict.Advice(); !strings.Contains(advice, queue) || strings.Contains(advice, h.cfg.VHost) {
		t.Errorf("the advice for everyone is %q: want the queue's name, and nothing of the broker's own words", advice)
	}
	err = b.PublishCommand(t.Context(), command("job-1"), "")
	if _, ok := errors.AsType[*broker.TopologyError](err); !ok || !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("publishing gives %v, want ErrUnavailable because of a TopologyError", err)
	}
	stacktest.Eventually(t, "the conflict was met several times", func() bool { return b.Attempts() >= 6 })
	if n := lines.with("ingesta.delay"); n > 2 {
		t.Errorf("the conflict was logged %d times, want once for each of the two connections", n)
	}
	if _, err := other.QueueDelete(queue, false, false, false); err != nil {
		t.Fatalf("deleting the queue: %v", err)
	}
	waitReady(t, b)
}

// Between two attempts at a conflict lies a long time, whatever the backoff says.
func TestConflictIsRetriedSlowly(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	if _, err := h.channel().QueueDeclare(broker.DeadQueue, true, false, false, false, nil); err != nil {
		t.Fatalf("declaring a queue with other arguments: %v", err)
	}
	b := broker.New(h.cfg, "test", []ingest.Database{ingest.MySQL}, logger(t))
	b.Hasten(time.Hour, time.Hour)
	background(t, func(ctx context.Context) { _ = b.Run(ctx) })
	stacktest.Eventually(t, "both connections met the conflict", func() bool { return b.Attempts() == 2 })
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	<-timer.C // long enough for a dozen attempts at the usual pace
	if got := b.Attempts(); got != 2 {
		t.Errorf("the broker was asked %d times, want once for each connection", got)
	}
}

// Run ends cleanly at any moment of its life, with publishes and consumers in progress.
func TestRunEndsAtAnyMoment(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.start() // the topology exists, so that the rounds are quick
	for range 30 {
		b := broker.New(h.cfg, "short-lived", []ingest.Database{ingest.MySQL, ingest.PostgreSQL}, logger(t))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := b.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		running.Go(func() {
			if err := b.Consume(ctx, ingest.MySQL, 4, func(_ context.Context, d *broker.Delivery) { _ = d.Ack() }); err != nil {
				t.Errorf("Consume: %v", err)
			}
		})
		for range 4 {
			running.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					_ = b.PublishCommand(ctx, command(fmt.Sprint(n)), "")
				}
			})
		}
		timer := time.NewTimer(rand.N(150 * time.Millisecond)) // somewhere in the life of a connection
		<-timer.C
		cancel()
		done := make(chan struct{})
		go func() { running.Wait(); close(done) }()
		receive(t, "the end of everything", done)
	}
}

// What the broker shows of us in its management interface.
func TestConnectionNames(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.start()
	var names []string
	stacktest.Eventually(t, "the broker lists both connections", func() bool {
		names = h.connections("")
		return len(names) == 2
	})
	if got := len(h.connections("test publishing")) + len(h.connections("test consuming")); got != 2 {
		t.Errorf("the connections %v are not called what they are for", slices.Sorted(slices.Values(names)))
	}
}
