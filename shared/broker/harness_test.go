package broker_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// patience bounds every wait of the tests. It is long: it only matters when something is broken.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// host is a virtual host of the test's own on the real broker.
type host struct {
	t   testing.TB
	cfg broker.Config
}

// newHost makes a virtual host and removes it when the test ends.
func newHost(t testing.TB) *host {
	t.Helper()
	var cfg struct{ Broker broker.Config }
	stacktest.Load(t, &cfg, "RABBITMQ_VHOST="+stacktest.VHost(t), "INGESTA_RETRY_DELAYS=300ms,1s")
	return &host{t: t, cfg: cfg.Broker}
}

func (h *host) path() string { return url.PathEscape(h.cfg.VHost) }

// connections returns the names, by the management interface's reckoning, of the connections
// whose own name has the suffix.
func (h *host) connections(suffix string) []string {
	h.t.Helper()
	var all []struct {
		Name string `json:"name"`
		Own  string `json:"user_provided_name"`
	}
	stacktest.Management(h.t, http.MethodGet, "/api/vhosts/"+h.path()+"/connections", nil, &all)
	var names []string
	for _, c := range all {
		if strings.HasSuffix(c.Own, suffix) {
			names = append(names, c.Name)
		}
	}
	return names
}

// closeConnections has the broker close the connections whose own name has the suffix, at least
// one.
func (h *host) closeConnections(suffix string) {
	h.t.Helper()
	var names []string
	stacktest.Eventually(h.t, "the broker lists a connection called …"+suffix, func() bool {
		names = h.connections(suffix)
		return len(names) > 0
	})
	for _, name := range names {
		stacktest.Management(h.t, http.MethodDelete, "/api/connections/"+url.PathEscape(name), nil, nil)
	}
}

// start runs a broker of the configuration until the test ends, and waits until it is ready.
func (h *host) start(change ...func(*broker.Config)) *broker.Broker {
	h.t.Helper()
	b := h.startUnready(change...)
	waitReady(h.t, b)
	return b
}

// startUnready runs a broker of the configuration until the test ends.
func (h *host) startUnready(change ...func(*broker.Config)) *broker.Broker {
	h.t.Helper()
	return h.startLogging(logger(h.t), change...)
}

func (h *host) startLogging(log *slog.Logger, change ...func(*broker.Config)) *broker.Broker {
	h.t.Helper()
	cfg := h.cfg
	for _, c := range change {
		c(&cfg)
	}
	b := broker.New(cfg, "test", []ingest.Database{ingest.MySQL, ingest.PostgreSQL}, log)
	b.Hasten(200*time.Millisecond, time.Minute)
	background(h.t, func(ctx context.Context) {
		if err := b.Run(ctx); err != nil {
			h.t.Errorf("Run: %v", err)
		}
	})
	return b
}

// background runs f until the test ends and waits for it then. What is started last ends first.
func background(t testing.TB, f func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { f(ctx) })
	stop = func() {
		cancel()
		done.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// consume runs Consume until the test ends, and waits until it consumes.
func consume(t testing.TB, b *broker.Broker, prefetch int, handle func(context.Context, *broker.Delivery)) (stop func()) {
	t.Helper()
	stop = background(t, func(ctx context.Context) {
		if err := b.Consume(ctx, ingest.MySQL, prefetch, handle); err != nil {
			t.Errorf("Consume: %v", err)
		}
	})
	stacktest.Eventually(t, "a consumer is on the queue", func() bool {
		depths, err := b.Depths(t.Context())
		return err == nil && depths[broker.CommandQueue(ingest.MySQL)].Consumers > 0
	})
	return stop
}

// channel opens a channel of a plain client, as another program would have it.
func (h *host) channel() *amqp.Channel {
	h.t.Helper()
	conn, err := amqp.DialConfig(
		fmt.Sprintf("amqp://%s", net.JoinHostPort(h.cfg.Host, strconv.Itoa(h.cfg.Port))),
		amqp.Config{Vhost: h.cfg.VHost, SASL: []amqp.Authentication{&amqp.PlainAuth{Username: h.cfg.User, Password: h.cfg.Password.Reveal()}}})
	if err != nil {
		h.t.Fatalf("connecting as another program: %v", err)
	}
	h.t.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		h.t.Fatalf("opening a channel as another program: %v", err)
	}
	return ch
}

// get takes the next message off the queue.
func get(t testing.TB, ch *amqp.Channel, queue string) amqp.Delivery {
	t.Helper()
	var got amqp.Delivery
	stacktest.Eventually(t, "a message is in "+queue, func() bool {
		m, ok, err := ch.Get(queue, true)
		if err != nil {
			t.Fatalf("getting a message from %s: %v", queue, err)
		}
		got = m
		return ok
	})
	return got
}

// drainQueue takes all messages off the queue and counts them by message id.
func drainQueue(t testing.TB, ch *amqp.Channel, queue string) map[string]int {
	t.Helper()
	ids := make(map[string]int)
	for {
		m, ok, err := ch.Get(queue, true)
		if err != nil {
			t.Fatalf("getting a message from %s: %v", queue, err)
		}
		if !ok {
			return ids
		}
		ids[m.MessageId]++
	}
}

// consumeAll takes all messages off the queue, fast, and counts them by message id.
func consumeAll(t testing.TB, h *host, queue string) map[string]int {
	t.Helper()
	ch := h.channel()
	if err := ch.Qos(1000, 0, false); err != nil {
		t.Fatalf("setting the prefetch: %v", err)
	}
	deliveries, err := ch.Consume(queue, "all", false, false, false, false, nil)
	if err != nil {
		t.Fatalf("consuming from %s: %v", queue, err)
	}
	ids := make(map[string]int)
	idle := time.NewTimer(patience)
	defer idle.Stop()
	for {
		// Quiet for a second: only then the queue is asked, because messages on their way to
		// this consumer are no longer counted by it.
		idle.Reset(time.Second)
		select {
		case m, open := <-deliveries:
			if !open {
				t.Fatalf("the channel was closed while %s was emptied", queue)
			}
			ids[m.MessageId]++
			if err := m.Ack(false); err != nil {
				t.Fatalf("acknowledging: %v", err)
			}
		case <-idle.C:
			if q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil); err != nil {
				t.Fatalf("asking for the length of %s: %v", queue, err)
			} else if q.Messages == 0 {
				return ids
			}
		}
	}
}

// receive returns the next value of the channel.
func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v := <-from:
		return v
	case <-timer.C:
		t.Fatalf("waited %s for %s", patience, what)
		panic("unreachable")
	}
}

func waitReady(t testing.TB, b *broker.Broker) {
	t.Helper()
	var last error
	defer func() {
		if t.Failed() {
			t.Logf("the last answer of Ready: %v", last)
		}
	}()
	stacktest.Eventually(t, "the broker is ready", func() bool {
		last = b.Ready(t.Context())
		return last == nil
	})
}

// logger writes to the test's log.
func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// command returns a command of MySQL.
func command(job string) ingest.Command {
	return ingest.Command{
		Version: ingest.CommandVersion, JobID: job, Database: ingest.MySQL,
		Targets:     []ingest.Target{{Dataset: "users", Key: "mysql/users_20250102_153045.csv"}},
		RequestedBy: "ana", RequestID: "req-1", AcceptedAt: time.Date(2025, 1, 2, 15, 30, 45, 0, time.UTC),
		CatalogDigest: "sha256:0",
	}
}

// event returns the event of a job of MySQL in the status.
func event(job string, status ingest.Status) ingest.Event {
	at := time.Date(2025, 1, 2, 15, 30, 45, 123456000, time.UTC)
	return ingest.EventOf(ingest.Job{
		ID: job, Database: ingest.MySQL, Status: status, RequestedBy: "ana",
		CreatedAt: at, StartedAt: at, FinishedAt: at, Attempt: 1,
		Results: ingest.Results{{Dataset: "users", State: ingest.Done, Rows: 3, Format: "CSV"}},
	})
}

// lineCounter keeps log lines.
type lineCounter struct {
	mu    sync.Mutex
	lines []string
}

func (c *lineCounter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, string(p))
	return len(p), nil
}

// with returns how many lines have the text.
func (c *lineCounter) with(text string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range c.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}
