package broker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestCommandArrivesWhole(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	const id = "0194f3c0-0000-7000-8000-000000000001"
	sent := command(id)
	if err := b.PublishCommand(t.Context(), sent, traceparent); err != nil {
		t.Fatalf("PublishCommand: %v", err)
	}
	m := get(t, h.channel(), broker.CommandQueue(ingest.MySQL))

	got, err := ingest.DecodeCommand(m.Body)
	if err != nil {
		t.Fatalf("decoding the body: %v", err)
	}
	if fmt.Sprint(got) != fmt.Sprint(sent) {
		t.Errorf("the command is %v, want %v", got, sent)
	}
	check := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	check("the content type", m.ContentType, "application/json")
	check("the delivery mode", m.DeliveryMode, uint8(2))
	check("the message id", m.MessageId, id)
	check("the correlation id", m.CorrelationId, id)
	check("the type", m.Type, "pharmavida.ingesta.command")
	check("the app id", m.AppId, "test")
	check("the timestamp", m.Timestamp.UTC(), sent.AcceptedAt)
	check("the routing key", m.RoutingKey, "mysql")
	check("the trace", m.Headers["traceparent"], traceparent)
}

func TestEventArrivesWhole(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	sent := event("job-1", ingest.Success)
	if err := b.PublishEvent(t.Context(), sent, traceparent); err != nil {
		t.Fatalf("PublishEvent: %v", err)
	}
	m := get(t, h.channel(), "batch_processed")

	var body map[string]any
	if err := json.Unmarshal(m.Body, &body); err != nil {
		t.Fatalf("decoding the body: %v", err)
	}
	for field, want := range map[string]any{"batch_id": "job-1", "status": "completed", "userid": "ana"} {
		if body[field] != want {
			t.Errorf("field %s is %v, want %v: InsightService requires it", field, body[field], want)
		}
	}
	want := map[string]any{
		"cloudEvents:specversion": "1.0",
		"cloudEvents:id":          "job-1/end",
		"cloudEvents:type":        "pharmavida.ingesta.job.success",
		"cloudEvents:source":      "/pharmavida/ingesta",
		"cloudEvents:subject":     "job-1",
		"cloudEvents:time":        "2025-01-02T15:30:45.123456Z",
		"traceparent":             traceparent,
	}
	if got := map[string]any(m.Headers); !maps.Equal(got, want) {
		t.Errorf("the headers are %v, want %v", got, want)
	}
	if m.RoutingKey != "job.mysql.success" || m.MessageId != "job-1/end" || m.CorrelationId != "job-1" ||
		m.ContentType != "application/json" || m.DeliveryMode != 2 || m.Type != "pharmavida.ingesta.job.success" {
		t.Errorf("properties are wrong: %+v", m)
	}
}

// Only the end of a job must reach somebody.
func TestEventNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	for _, status := range []ingest.Status{ingest.Queued, ingest.Running} {
		if err := b.PublishEvent(t.Context(), event("job-1", status), ""); err != nil {
			t.Errorf("publishing the event of status %s without a subscriber: %v", status, err)
		}
	}
	if left := drainQueue(t, h.channel(), "batch_processed"); len(left) != 0 {
		t.Errorf("batch_processed holds %v, want terminal events only", left)
	}
	for _, status := range []ingest.Status{ingest.Success, ingest.Partial, ingest.Failed, ingest.Cancelled} {
		if err := b.PublishEvent(t.Context(), event("job-"+string(status), status), ""); err != nil {
			t.Errorf("publishing the event of status %s: %v", status, err)
		}
	}
	if got := drainQueue(t, h.channel(), "batch_processed"); len(got) != 4 {
		t.Errorf("batch_processed held %v, want the four ends", got)
	}
}

func TestUnroutable(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(h *host) error{
		"binding deleted": func(h *host) error {
			return h.channel().QueueUnbind(broker.CommandQueue(ingest.MySQL), "mysql", broker.CommandsExchange, nil)
		},
		"queue deleted": func(h *host) error {
			_, err := h.channel().QueueDelete(broker.CommandQueue(ingest.MySQL), false, false, false)
			return err
		},
		"exchange deleted": func(h *host) error {
			return h.channel().ExchangeDelete(broker.CommandsExchange, false, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			b := h.start()
			if err := damage(h); err != nil {
				t.Fatalf("damaging the topology: %v", err)
			}
			err := b.PublishCommand(t.Context(), command("job-1"), "")
			if !errors.Is(err, broker.ErrUnroutable) {
				t.Fatalf("publishing to nobody gives %v, want ErrUnroutable", err)
			}
			stacktest.Eventually(t, "the topology is mended", func() bool {
				return b.PublishCommand(t.Context(), command("job-2"), "") == nil
			})
			if got := b.Reconnects(); got != 0 {
				t.Errorf("%d connections were lost over it, want none", got)
			}
			if got := drainQueue(t, h.channel(), broker.CommandQueue(ingest.MySQL)); got["job-1"] != 0 || got["job-2"] != 1 {
				t.Errorf("the queue held %v, want job-2 once and the unroutable job-1 never", got)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	stacktest.Management(h.t, http.MethodPut, "/api/policies/"+h.path()+"/full", map[string]any{
		"pattern": "^ingesta\\.commands\\.", "apply-to": "queues", "definition": map[string]any{"max-length": 1},
	}, nil)
	b := h.start()
	var accepted int
	var err error
	stacktest.Eventually(t, "the queue is full", func() bool {
		if err = b.PublishCommand(t.Context(), command("job-1"), ""); err == nil {
			accepted++
		}
		return err != nil
	})
	if !errors.Is(err, broker.ErrRefused) {
		t.Fatalf("publishing to a full queue gives %v, want ErrRefused", err)
	}
	if got := drainQueue(t, h.channel(), broker.CommandQueue(ingest.MySQL))["job-1"]; got != accepted {
		t.Errorf("the queue held %d messages, want the %d accepted ones", got, accepted)
	}
}

// A command that no worker would read is refused before it is sent.
func TestCommandTooLarge(t *testing.T) {
	t.Parallel()
	b := newHost(t).start()
	large := command("job-1")
	large.Targets[0].Key = strings.Repeat("k", ingest.MaxCommand)
	if err := b.PublishCommand(t.Context(), large, ""); !errors.Is(err, broker.ErrRefused) {
		t.Errorf("publishing a command of more than a MiB gives %v, want ErrRefused", err)
	}
}

func TestPublishWithoutConnection(t *testing.T) {
	cfg := broker.Config{
		Host: "127.0.0.1", Port: 1, Queue: "batch_processed", // nobody listens on port 1
		Delays: []time.Duration{time.Second}, ConfirmTimeout: time.Second,
	}
	b := broker.New(cfg, "test", []ingest.Database{ingest.MySQL}, logger(t))
	check := func(when, want string) {
		t.Helper()
		if err := b.PublishCommand(t.Context(), command("job-1"), ""); !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("publishing %s gives %v, want ErrUnavailable", when, err)
		}
		if _, err := b.Depths(t.Context()); !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("measuring %s gives %v, want ErrUnavailable", when, err)
		}
		err := b.Ready(t.Context())
		if _, ok := errors.AsType[*broker.NotReadyError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("Ready %s says %v, want a NotReadyError about %q", when, err, want)
		}
	}
	check("before Run", "Run has not been called")
	stop := background(t, func(ctx context.Context) {
		if err := b.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	stacktest.Eventually(t, "the dial fails", func() bool { return strings.Contains(b.Ready(t.Context()).Error(), "refused") })
	check("while nobody listens", "connection refused")
	stop()
	check("after Run", "has returned")
	if err := b.Run(t.Context()); err == nil {
		t.Error("a second Run gives no error")
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.startUnready(func(c *broker.Config) { c.Password = "wrong" })
	stacktest.Eventually(t, "Ready tells of the login", func() bool {
		err := b.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "username or password")
	})
	if err := b.Ready(t.Context()); strings.Contains(err.Error(), `wrong`) {
		t.Errorf("Ready gives the password away: %v", err)
	}
}

func TestPublisherReconnects(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	if err := b.PublishCommand(t.Context(), command("job-1"), ""); err != nil {
		t.Fatalf("publishing: %v", err)
	}
	h.closeConnections(" publishing")
	stacktest.Eventually(t, "the loss is noticed", func() bool { return b.Reconnects() == 1 })
	waitReady(t, b)
	if err := b.PublishCommand(t.Context(), command("job-2"), ""); err != nil {
		t.Fatalf("publishing after the connection came back: %v", err)
	}
	got := drainQueue(t, h.channel(), broker.CommandQueue(ingest.MySQL))
	if want := map[string]int{"job-1": 1, "job-2": 1}; !maps.Equal(got, want) {
		t.Errorf("the queue held %v, want %v", got, want)
	}
}

func TestCallerGivesUpWaiting(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.PublishCommand(ctx, command("job-1"), ""); !errors.Is(err, broker.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("publishing for nobody gives %v, want ErrUnavailable for context.Canceled", err)
	}
	if got := drainQueue(t, h.channel(), broker.CommandQueue(ingest.MySQL)); len(got) != 0 {
		t.Errorf("the queue held %v, want nothing", got)
	}
}

// InsightService is a Python program that declares its queue before it consumes.
func TestOthersMayDeclareTheirQueue(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, first := range []string{"theirs", "ours"} {
		if _, err := h.channel().QueueDeclare("batch_processed", true, false, false, false, nil); err != nil {
			t.Fatalf("declaring batch_processed as pika does, before %s: %v", first, err)
		}
		h.start()
	}
}

func TestDepths(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.start()
	for _, id := range []string{"job-1", "job-2"} {
		if err := b.PublishCommand(t.Context(), command(id), ""); err != nil {
			t.Fatalf("publishing: %v", err)
		}
	}
	if _, err := h.channel().QueueDelete(broker.DeadQueue, false, false, false); err != nil {
		t.Fatalf("deleting a queue: %v", err)
	}
	var depths map[string]broker.QueueDepth
	stacktest.Eventually(t, "the messages are counted", func() bool {
		var err error
		if depths, err = b.Depths(t.Context()); err != nil {
			t.Fatalf("Depths: %v", err)
		}
		return depths[broker.CommandQueue(ingest.MySQL)] == broker.QueueDepth{Messages: 2}
	})
	got := slices.Sorted(maps.Keys(depths))
	want := []string{"batch_processed", "ingesta.commands.mysql", "ingesta.commands.postgresql", "ingesta.delay.1s", "ingesta.delay.300ms"}
	if !slices.Equal(got, want) {
		t.Errorf("depths of %v, want of %v: all but the deleted queue", got, want)
	}
}

func BenchmarkPublish(b *testing.B) {
	h := newHost(b)
	br := h.start()
	b.SetParallelism(16) // times GOMAXPROCS
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := br.PublishCommand(context.Background(), command("job-1"), ""); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
