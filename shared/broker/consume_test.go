package broker_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func publish(t testing.TB, b *broker.Broker, jobs ...string) {
	t.Helper()
	for _, job := range jobs {
		if err := b.PublishCommand(t.Context(), command(job), traceparent); err != nil {
			t.Fatalf("publishing: %v", err)
		}
	}
}

func TestConsume(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	deliveries := make(chan *broker.Delivery)
	consume(t, b, 2, func(_ context.Context, d *broker.Delivery) { deliveries <- d })
	const id = "0194f3c0-0000-7000-8000-000000000001"
	publish(t, b, id)
	d := receive(t, "a delivery", deliveries)
	if c, err := ingest.DecodeCommand(d.Body); err != nil || c.JobID != id {
		t.Errorf("the body is %s (%v), want the command of job %s", d.Body, err, id)
	}
	if d.MessageID != id || d.CorrelationID != id || d.Traceparent != traceparent || d.Redelivered {
		t.Errorf("the delivery is %+v", d)
	}
	if err := d.Ack(); err != nil {
		t.Errorf("acknowledging: %v", err)
	}
	for what, again := range map[string]func() error{
		"Ack":     d.Ack,
		"Requeue": d.Requeue,
		"Delay":   func() error { return b.Delay(t.Context(), d, 0) },
		"Bury":    func() error { return b.Bury(t.Context(), d, ingest.Internal, "") },
	} {
		if err := again(); !errors.Is(err, broker.ErrAnswered) {
			t.Errorf("%s after an answer gives %v, want ErrAnswered", what, err)
		}
	}
	publish(t, b, "job-2")
	if d := receive(t, "another delivery on the same channel", deliveries); d.MessageID != "job-2" {
		t.Errorf("message %s was delivered, want job-2", d.MessageID)
	}
	if got := b.Reconnects(); got != 0 {
		t.Errorf("%d connections were lost, want none", got)
	}
}

func TestConsumeRefusesMistakes(t *testing.T) {
	b := broker.New(broker.Config{}, "test", []ingest.Database{ingest.MySQL}, logger(t))
	handle := func(context.Context, *broker.Delivery) {}
	for what, err := range map[string]error{
		"a database without a queue":  b.Consume(t.Context(), ingest.MongoDB, 1, handle),
		"no prefetch":                 b.Consume(t.Context(), ingest.MySQL, 0, handle),
		"a prefetch beyond the wire":  b.Consume(t.Context(), ingest.MySQL, 1<<16, handle),
		"a subscription to nothing":   b.Subscribe(t.Context(), nil, nil, nil),
		"an unusable configuration":   b.Run(t.Context()),
		"an unusable configuration 2": b.Run(t.Context()),
	} {
		if err == nil {
			t.Errorf("%s gives no error", what)
		}
	}
}

// The heart of it: an acknowledgement never crosses connections, a handler never notices, and the
// message comes again.
func TestAckAfterReconnect(t *testing.T) {
	t.Parallel()
	for _, ending := range []string{"closed by the broker", "cut"} {
		t.Run(ending, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			p := newProxy(h)
			b := h.start(p.through)
			type seen struct {
				*broker.Delivery
				ctx context.Context
			}
			deliveries := make(chan seen)
			consume(t, b, 1, func(ctx context.Context, d *broker.Delivery) { deliveries <- seen{d, ctx} })
			publish(t, b, "job-1", "job-2")
			first := receive(t, "the first delivery", deliveries)
			if ending == "cut" {
				p.cut()
			} else {
				h.closeConnections(" consuming")
			}
			again := receive(t, "the delivery on the new connection", deliveries)
			if again.MessageID != "job-1" || !again.Redelivered {
				t.Errorf("message %s came (redelivered: %t), want job-1 again", again.MessageID, again.Redelivered)
			}
			if first.ctx.Err() != nil {
				t.Errorf("the context of a handler ended with its connection: %v", first.ctx.Err())
			}
			// The tag of the first delivery is that of the second as well: taken over the new
			// channel, this would acknowledge what is still in work.
			if err := first.Ack(); !errors.Is(err, broker.ErrStale) {
				t.Errorf("acknowledging on a lost connection gives %v, want ErrStale", err)
			}
			if err := again.Ack(); err != nil {
				t.Errorf("acknowledging on the new connection: %v", err)
			}
			if d := receive(t, "the next delivery", deliveries); d.MessageID != "job-2" {
				t.Errorf("message %s came next, want job-2: job-1 came once more than it should", d.MessageID)
			} else if err := d.Ack(); err != nil {
				t.Errorf("acknowledging: %v", err)
			}
			stacktest.Eventually(t, "the queue is empty", func() bool {
				q, err := h.channel().QueueDeclarePassive(broker.CommandQueue(ingest.MySQL), true, false, false, false, nil)
				return err == nil && q.Messages == 0
			})
		})
	}
}

// Moving a delivery whose channel is gone makes a second copy. That is the safe side.
func TestDelayAfterReconnect(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	p := newProxy(h)
	b := h.start(p.through)
	deliveries := make(chan *broker.Delivery)
	consume(t, b, 1, func(_ context.Context, d *broker.Delivery) { deliveries <- d })
	publish(t, b, "job-1")
	first := receive(t, "the first delivery", deliveries)
	p.cut()
	again := receive(t, "the delivery on the new connection", deliveries)
	waitReady(t, b)
	if err := b.Delay(t.Context(), first, 0); err != nil {
		t.Errorf("delaying a delivery of a lost connection: %v", err)
	}
	if err := again.Ack(); err != nil {
		t.Errorf("acknowledging: %v", err)
	}
	if d := receive(t, "the delayed copy", deliveries); d.MessageID != "job-1" {
		t.Errorf("message %s came, want the copy of job-1", d.MessageID)
	} else if err := d.Ack(); err != nil {
		t.Errorf("acknowledging: %v", err)
	}
}

func TestDeletedQueueIsDeclaredAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	deliveries := make(chan *broker.Delivery)
	consume(t, b, 1, func(_ context.Context, d *broker.Delivery) { deliveries <- d })
	publish(t, b, "job-1")
	lost := receive(t, "a delivery", deliveries)
	began := time.Now()
	if _, err := h.channel().QueueDelete(broker.CommandQueue(ingest.MySQL), false, false, false); err != nil {
		t.Fatalf("deleting the queue: %v", err)
	}
	stacktest.Eventually(t, "the queue and its consumer are back", func() bool {
		depths, err := b.Depths(t.Context())
		return err == nil && depths[broker.CommandQueue(ingest.MySQL)].Consumers == 1
	})
	publish(t, b, "job-2")
	d := receive(t, "a delivery from the new queue", deliveries)
	if took := time.Since(began); d.MessageID != "job-2" || took > 10*time.Second {
		t.Errorf("message %s came after %s, want job-2 within 10s", d.MessageID, took)
	}
	if err := d.Ack(); err != nil {
		t.Errorf("acknowledging: %v", err)
	}
	if err := lost.Ack(); !errors.Is(err, broker.ErrStale) {
		t.Errorf("acknowledging a message of the deleted queue gives %v, want ErrStale", err)
	}
	waitReady(t, b)
}

func TestDelay(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	deliveries := make(chan *broker.Delivery)
	consume(t, b, 1, func(_ context.Context, d *broker.Delivery) { deliveries <- d })
	publish(t, b, "job-1")
	first := receive(t, "the first delivery", deliveries)
	d := first
	for _, delay := range h.cfg.Delays {
		began := time.Now()
		if err := b.Delay(t.Context(), d, delay); err != nil {
			t.Fatalf("delaying by %s: %v", delay, err)
		}
		d = receive(t, "the delivery after "+delay.String(), deliveries)
		if took := time.Since(began); took < delay {
			t.Errorf("a delay of %s took %s", delay, took)
		}
		if string(d.Body) != string(first.Body) || d.MessageID != "job-1" || d.CorrelationID != "job-1" || d.Traceparent != traceparent {
			t.Errorf("after a delay of %s the message is %+v, want it unchanged", delay, d)
		}
		// The broker writes a history of its own. Ours would grow with each round, and a
		// publisher's own x-death is taken at its word.
		if deaths, _ := d.Headers["x-death"].([]any); len(deaths) != 1 {
			t.Errorf("after a delay of %s the history is %v, want one entry", delay, d.Headers["x-death"])
		}
	}
	if err := d.Ack(); err != nil {
		t.Errorf("acknowledging: %v", err)
	}
}

// A message in a command queue may have come there under any key.
func TestDelayOfForeignMessage(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	deliveries := make(chan *broker.Delivery)
	consume(t, b, 1, func(_ context.Context, d *broker.Delivery) { deliveries <- d })
	m := amqp.Publishing{
		MessageId: "foreign", UserId: h.cfg.User, Expiration: "60000", ContentType: "text/plain", Body: []byte{0, 255, 'x'},
		Headers: amqp.Table{"x-delivery-count": int64(99), "list": []any{int32(1), "two", amqp.Table{"three": true}}, "x-mine": "kept"},
	}
	if err := h.channel().PublishWithContext(t.Context(), "", broker.CommandQueue(ingest.MySQL), true, false, m); err != nil {
		t.Fatalf("publishing as another program: %v", err)
	}
	if err := b.Delay(t.Context(), receive(t, "the delivery", deliveries), 0); err != nil {
		t.Fatalf("delaying: %v", err)
	}
	d := receive(t, "the delivery after the delay", deliveries)
	if err := b.Bury(t.Context(), d, ingest.MalformedCommand, "it is not JSON"); err != nil {
		t.Fatalf("burying: %v", err)
	}
	dead := get(t, h.channel(), broker.DeadQueue)
	if string(dead.Body) != string(m.Body) || dead.ContentType != "text/plain" || dead.MessageId != "foreign" || dead.DeliveryMode != amqp.Persistent {
		t.Errorf("the dead letter is %+v, want the message as it was, but persistent", dead)
	}
	if dead.Headers["x-mine"] != "kept" || fmt.Sprint(dead.Headers["list"]) != "[1 two map[three:true]]" {
		t.Errorf("the headers are %v, want those of the message", dead.Headers)
	}
	for header, value := range dead.Headers {
		if strings.Contains(header, "death") || header == "x-delivery-count" && value != int64(0) {
			t.Errorf("header %s: %v is left, which only the broker may write", header, value)
		}
	}
}

func TestBury(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	deliveries := make(chan *broker.Delivery)
	consume(t, b, 1, func(_ context.Context, d *broker.Delivery) { deliveries <- d })
	publish(t, b, "job-1")
	d := receive(t, "the delivery", deliveries)
	if err := b.Bury(t.Context(), d, ingest.UnsupportedVersion, "the command is of version 9"); err != nil {
		t.Fatalf("burying: %v", err)
	}
	dead := get(t, h.channel(), broker.DeadQueue)
	if string(dead.Body) != string(d.Body) || dead.MessageId != "job-1" || dead.CorrelationId != "job-1" {
		t.Errorf("the dead letter is %+v, want the message unchanged", dead)
	}
	at, err := time.Parse(time.RFC3339, fmt.Sprint(dead.Headers["x-ingesta-buried-at"]))
	if err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("buried at %v, want now", dead.Headers["x-ingesta-buried-at"])
	}
	delete(dead.Headers, "x-ingesta-buried-at")
	delete(dead.Headers, "x-delivery-count") // the broker's own, of this delivery
	want := map[string]any{
		"x-ingesta-code": "unsupported_version", "x-ingesta-reason": "the command is of version 9",
		"x-ingesta-routing-key": "mysql", "traceparent": traceparent,
	}
	if got := map[string]any(dead.Headers); !maps.Equal(got, want) {
		t.Errorf("the headers are %v, want %v", got, want)
	}
	if left := drainQueue(t, h.channel(), broker.CommandQueue(ingest.MySQL)); len(left) != 0 {
		t.Errorf("the command queue holds %v, want nothing", left)
	}
}

// Nothing is answered before the broker has the copy.
func TestMoveThatFailsAnswersNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	deliveries := make(chan *broker.Delivery)
	consume(t, b, 1, func(_ context.Context, d *broker.Delivery) { deliveries <- d })
	publish(t, b, "job-1")
	d := receive(t, "the delivery", deliveries)
	if err := h.channel().QueueUnbind(broker.DeadQueue, "", broker.DeadExchange, nil); err != nil {
		t.Fatalf("unbinding the dead letters: %v", err)
	}
	if err := b.Bury(t.Context(), d, ingest.Internal, "test"); !errors.Is(err, broker.ErrUnroutable) {
		t.Fatalf("burying where no queue is gives %v, want ErrUnroutable", err)
	}
	stacktest.Eventually(t, "burying succeeds", func() bool { return b.Bury(t.Context(), d, ingest.Internal, "test") == nil })
	if dead := drainQueue(t, h.channel(), broker.DeadQueue); dead["job-1"] != 1 {
		t.Errorf("the dead letters are %v, want job-1 once", dead)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	const prefetch = 3
	var jobs []string
	for n := range 10 {
		jobs = append(jobs, fmt.Sprintf("job-%d", n))
	}
	publish(t, b, jobs...)

	started := make(chan string, len(jobs))
	release := make(chan struct{})
	finish := sync.OnceFunc(func() { close(release) })
	defer finish()
	answered := make(chan string, len(jobs))
	stopped := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(stopped)
		err := b.Consume(ctx, ingest.MySQL, prefetch, func(ctx context.Context, d *broker.Delivery) {
			started <- d.MessageID
			<-release
			if ctx.Err() != nil {
				t.Errorf("the context of a handler ended before the handler: %v", ctx.Err())
			}
			if err := d.Ack(); err != nil {
				t.Errorf("acknowledging while draining: %v", err)
			}
			answered <- d.MessageID
		})
		if err != nil {
			t.Errorf("Consume: %v", err)
		}
	}()
	for range prefetch {
		receive(t, "a handler to start", started)
	}
	consumers := func() int {
		var all []any
		stacktest.Management(h.t, http.MethodGet, "/api/consumers/"+h.path(), nil, &all)
		return len(all)
	}
	stacktest.Eventually(t, "the broker lists the consumer", func() bool { return consumers() == 1 })
	cancel()
	stacktest.Eventually(t, "the intake is stopped", func() bool { return consumers() == 0 })
	select {
	case <-stopped:
		t.Fatal("Consume returned before its handlers")
	default:
	}
	finish()
	receive(t, "the end of Consume", stopped)
	if len(started) != 0 || len(answered) != prefetch {
		t.Errorf("%d more handlers were started and %d answered, want the first %d only", len(started), len(answered), prefetch)
	}
	rest := consumeAll(t, h, broker.CommandQueue(ingest.MySQL))
	if len(rest) != len(jobs)-prefetch {
		t.Errorf("the queue holds %v, want the %d jobs that nobody began", rest, len(jobs)-prefetch)
	}
	for range prefetch {
		if job := <-answered; rest[job] != 0 {
			t.Errorf("%s was acknowledged and is in the queue all the same", job)
		}
	}
}

// Messages that were on their way to a consumer that stops go back: none is lost, none is done
// twice.
func TestDrainInFullFlow(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	const total = 300
	var publishers sync.WaitGroup
	for n := range total {
		publishers.Go(func() {
			if err := b.PublishCommand(t.Context(), command(fmt.Sprintf("job-%d", n)), ""); err != nil {
				t.Errorf("publishing: %v", err)
			}
		})
	}
	publishers.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	handled := make(map[string]bool)
	err := b.Consume(ctx, ingest.MySQL, total, func(_ context.Context, d *broker.Delivery) {
		cancel()
		if err := d.Ack(); err != nil {
			t.Errorf("acknowledging: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		handled[d.MessageID] = true
	})
	if err != nil {
		t.Fatalf("Consume: %v", err)
	}
	rest := consumeAll(t, h, broker.CommandQueue(ingest.MySQL))
	for n := range total {
		if job := fmt.Sprintf("job-%d", n); handled[job] == (rest[job] > 0) {
			t.Errorf("%s was handled: %t, is in the queue: %t; want exactly one of them", job, handled[job], rest[job] > 0)
		}
	}
	t.Logf("%d handled, %d left", len(handled), len(rest))
}

// Some brokers attach a consumer to the new queue when one is deleted and declared again in the
// same moment, and the first messages then never reach it.
func TestQueueReplacedUnderConsumer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := broker.New(h.cfg, "test", []ingest.Database{ingest.MySQL}, logger(t))
	b.Hasten(time.Hour, time.Second)
	background(t, func(ctx context.Context) { _ = b.Run(ctx) })
	waitReady(t, b)
	handled := make(chan string)
	consume(t, b, 1, func(_ context.Context, d *broker.Delivery) {
		if err := d.Ack(); err != nil {
			t.Errorf("acknowledging: %v", err)
		}
		handled <- d.MessageID
	})
	publish(t, b, "job-1")
	receive(t, "a delivery", handled)

	ch := h.channel()
	for _, q := range broker.Topology(h.cfg, []ingest.Database{ingest.MySQL}).Queues {
		if q.Name != broker.CommandQueue(ingest.MySQL) {
			continue
		}
		if _, err := ch.QueueDelete(q.Name, false, false, false); err != nil {
			t.Fatalf("deleting the queue: %v", err)
		}
		if _, err := ch.QueueDeclare(q.Name, true, false, false, false, q.Args); err != nil {
			t.Fatalf("declaring the queue: %v", err)
		}
		if err := ch.QueueBind(q.Name, "mysql", broker.CommandsExchange, false, nil); err != nil {
			t.Fatalf("binding the queue: %v", err)
		}
	}
	publish(t, b, "job-2")
	if got := receive(t, "the delivery from the new queue", handled); got != "job-2" {
		t.Errorf("message %s came, want job-2", got)
	}
}

// A consumer is replaced only while nothing is in work.
func TestRenewalSparesHandlers(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := broker.New(h.cfg, "test", []ingest.Database{ingest.MySQL}, logger(t))
	const renew = 50 * time.Millisecond
	b.Hasten(time.Hour, renew)
	background(t, func(ctx context.Context) { _ = b.Run(ctx) })
	waitReady(t, b)
	handled := make(chan *broker.Delivery)
	consume(t, b, 1, func(_ context.Context, d *broker.Delivery) {
		timer := time.NewTimer(4 * renew) // the work
		defer timer.Stop()
		<-timer.C
		if err := d.Ack(); err != nil {
			t.Errorf("acknowledging after long work: %v", err)
		}
		handled <- d
	})
	publish(t, b, "job-1", "job-2", "job-3")
	times := make(map[string]int)
	for range 3 {
		times[receive(t, "the end of the work", handled).MessageID]++
	}
	if len(times) != 3 {
		t.Errorf("the messages were handled %v times, want each once", times)
	}
}

func TestRequeue(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	deliveries := make(chan *broker.Delivery)
	consume(t, b, 1, func(_ context.Context, d *broker.Delivery) { deliveries <- d })
	publish(t, b, "job-1")
	if err := receive(t, "the delivery", deliveries).Requeue(); err != nil {
		t.Fatalf("requeueing: %v", err)
	}
	d := receive(t, "the delivery again", deliveries)
	if d.MessageID != "job-1" || !d.Redelivered {
		t.Errorf("message %s came (redelivered: %t), want job-1 again", d.MessageID, d.Redelivered)
	}
	if err := d.Ack(); err != nil {
		t.Errorf("acknowledging: %v", err)
	}
}

// Newer brokers give up on a message that came back too often. Ours ends with the dead letters.
func TestDeliveryLimitDropsNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	stacktest.Management(h.t, http.MethodPut, "/api/policies/"+h.path()+"/limit", map[string]any{
		"pattern": "^ingesta\\.commands\\.", "apply-to": "queues", "definition": map[string]any{"delivery-limit": 2},
	}, nil)
	b := h.start()
	consume(t, b, 1, func(_ context.Context, d *broker.Delivery) {
		if err := d.Requeue(); err != nil {
			t.Errorf("requeueing: %v", err)
		}
	})
	publish(t, b, "job-1")
	if dead := get(t, h.channel(), broker.DeadQueue); dead.MessageId != "job-1" || dead.RoutingKey != "mysql" {
		t.Errorf("message %s under key %s is dead, want job-1 under mysql", dead.MessageId, dead.RoutingKey)
	}
}

// One delivery that takes its time does not hold up the others.
func TestHandlersRunSideBySide(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	const prefetch = 4
	var together sync.WaitGroup
	together.Add(prefetch)
	met := make(chan struct{}, prefetch)
	consume(t, b, prefetch, func(_ context.Context, d *broker.Delivery) {
		together.Done()
		together.Wait()
		met <- struct{}{}
		if err := d.Ack(); err != nil {
			t.Errorf("acknowledging: %v", err)
		}
	})
	publish(t, b, "job-1", "job-2", "job-3", "job-4")
	for range prefetch {
		receive(t, "the handlers to meet", met)
	}
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	p := newProxy(h)
	b := h.start(p.through)
	type seen struct {
		event   ingest.Event
		headers map[string]any
	}
	ready, events := make(chan struct{}, 8), make(chan seen, 8)
	background(t, func(ctx context.Context) {
		err := b.Subscribe(ctx, []string{"job.mysql.#", "job.*.success"}, func() { ready <- struct{}{} },
			func(e ingest.Event, headers map[string]any) { events <- seen{e, headers} })
		if err != nil {
			t.Errorf("Subscribe: %v", err)
		}
	})
	receive(t, "the subscription", ready)
	// Something that is no event is passed over.
	if err := h.channel().PublishWithContext(t.Context(), broker.EventsExchange, "job.mysql.success", true, false, amqp.Publishing{Body: []byte("x")}); err != nil {
		t.Fatalf("publishing as another program: %v", err)
	}
	for _, status := range []ingest.Status{ingest.Running, ingest.Success} {
		sent := event("job-1", status)
		if err := b.PublishEvent(t.Context(), sent, traceparent); err != nil {
			t.Fatalf("publishing: %v", err)
		}
		got := receive(t, "the event", events)
		if fmt.Sprintf("%+v", got.event) != fmt.Sprintf("%+v", sent) {
			t.Errorf("the event is\n%+v, want\n%+v", got.event, sent)
		}
		if got.headers["traceparent"] != traceparent {
			t.Errorf("the headers are %v, want the trace among them", got.headers)
		}
	}
	p.cut()
	receive(t, "the subscription to resume", ready)
	waitReady(t, b)
	if err := b.PublishEvent(t.Context(), event("job-2", ingest.Failed), ""); err != nil {
		t.Fatalf("publishing: %v", err)
	}
	if got := receive(t, "the event after a loss", events); got.event.Subject != "job-2" {
		t.Errorf("the event is of %s, want of job-2", got.event.Subject)
	}
	if len(events) != 0 {
		t.Errorf("%d more events came, want each once although two bindings match", len(events))
	}
}
