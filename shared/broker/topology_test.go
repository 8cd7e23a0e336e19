package broker_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
)

func TestDelayNames(t *testing.T) {
	for d, want := range map[time.Duration]string{
		300 * time.Millisecond:  "ingesta.delay.300ms",
		10 * time.Second:        "ingesta.delay.10s",
		time.Minute:             "ingesta.delay.1m",
		90 * time.Second:        "ingesta.delay.1m30s",
		10 * time.Minute:        "ingesta.delay.10m",
		30 * time.Minute:        "ingesta.delay.30m",
		time.Hour:               "ingesta.delay.1h",
		10 * time.Hour:          "ingesta.delay.10h",
		time.Hour + time.Minute: "ingesta.delay.1h1m",
		time.Hour + time.Second: "ingesta.delay.1h0m1s",
	} {
		if got := broker.DelayName(d); got != want {
			t.Errorf("DelayName(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestDelayIsTheShortestThatIsLongEnough(t *testing.T) {
	cfg := broker.Config{Delays: []time.Duration{time.Minute, 10 * time.Second, 30 * time.Minute}}
	for after, want := range map[time.Duration]time.Duration{
		-time.Second:     10 * time.Second,
		0:                10 * time.Second,
		10 * time.Second: 10 * time.Second,
		11 * time.Second: time.Minute,
		2 * time.Minute:  30 * time.Minute,
		24 * time.Hour:   30 * time.Minute,
	} {
		if got := cfg.DelayFor(after); got != want {
			t.Errorf("the delay for %s is %s, want %s", after, got, want)
		}
	}
}

// What stands here is agreed with other programs and with the brokers in use: an argument that
// changes is refused by every broker that has the queue already.
func TestTopology(t *testing.T) {
	kept := func(exchange string) map[string]any {
		return map[string]any{
			"x-queue-type": "quorum", "x-dead-letter-exchange": exchange,
			"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
		}
	}
	delay := kept("ingesta.commands")
	delay["x-message-ttl"] = int64(10000)
	want := broker.Declarations{
		Exchanges: []broker.Exchange{
			{Name: "ingesta.commands", Kind: "direct"},
			{Name: "ingesta.events", Kind: "topic"},
			{Name: "ingesta.dead", Kind: "fanout"},
			{Name: "ingesta.delay.10s", Kind: "fanout"},
		},
		Queues: []broker.Queue{
			{Name: "ingesta.dead", Args: map[string]any{"x-queue-type": "quorum"}},
			{Name: "ingesta.commands.mongodb", Args: kept("ingesta.dead")},
			{Name: "ingesta.delay.10s", Args: delay},
			{Name: "batch_processed"}, // other services declare it without arguments
		},
		Bindings: []broker.Binding{
			{Exchange: "ingesta.dead", Queue: "ingesta.dead"},
			{Exchange: "ingesta.commands", Key: "mongodb", Queue: "ingesta.commands.mongodb"},
			{Exchange: "ingesta.delay.10s", Queue: "ingesta.delay.10s"},
			{Exchange: "ingesta.events", Key: "job.*.success", Queue: "batch_processed"},
			{Exchange: "ingesta.events", Key: "job.*.partial", Queue: "batch_processed"},
			{Exchange: "ingesta.events", Key: "job.*.error", Queue: "batch_processed"},
			{Exchange: "ingesta.events", Key: "job.*.cancelled", Queue: "batch_processed"},
		},
	}
	cfg := broker.Config{Queue: "batch_processed", Delays: []time.Duration{10 * time.Second}}
	if got := broker.Topology(cfg, []ingest.Database{ingest.MongoDB}); !reflect.DeepEqual(got, want) {
		t.Errorf("the topology is\n%+v, want\n%+v", got, want)
	}
}

func TestConfigValidate(t *testing.T) {
	valid := broker.Config{
		Host: "localhost", Port: 5672, Queue: "batch_processed",
		Delays: []time.Duration{10 * time.Second, time.Minute}, ConfirmTimeout: time.Second,
	}
	if err := valid.Validate(); err != nil {
		t.Fatalf("a valid configuration: %v", err)
	}
	for name, test := range map[string]struct {
		change func(*broker.Config)
		want   string
	}{
		"no host":             {func(c *broker.Config) { c.Host = "" }, "RABBITMQ_HOST"},
		"port 0":              {func(c *broker.Config) { c.Port = 0 }, "RABBITMQ_PORT"},
		"no queue":            {func(c *broker.Config) { c.Queue = "" }, "RABBITMQ_QUEUE"},
		"long queue":          {func(c *broker.Config) { c.Queue = strings.Repeat("q", 256) }, "RABBITMQ_QUEUE"},
		"reserved queue":      {func(c *broker.Config) { c.Queue = "amq.x" }, "RABBITMQ_QUEUE"},
		"one of our queues":   {func(c *broker.Config) { c.Queue = "ingesta.dead" }, "RABBITMQ_QUEUE"},
		"no delays":           {func(c *broker.Config) { c.Delays = nil }, "INGESTA_RETRY_DELAYS is empty"},
		"negative delay":      {func(c *broker.Config) { c.Delays[0] = -time.Second }, "has -1s"},
		"delay too fine":      {func(c *broker.Config) { c.Delays[0] = 1500 * time.Microsecond }, "has 1.5ms"},
		"delay too long":      {func(c *broker.Config) { c.Delays[0] = 1000 * time.Hour }, "has 1000h0m0s"},
		"delay twice":         {func(c *broker.Config) { c.Delays[0] = time.Minute }, "1m0s twice"},
		"no confirm timeout":  {func(c *broker.Config) { c.ConfirmTimeout = 0 }, "INGESTA_CONFIRM_TIMEOUT"},
		"all of it, together": {func(c *broker.Config) { *c = broker.Config{} }, "INGESTA_CONFIRM_TIMEOUT"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := valid
			cfg.Delays = append([]time.Duration(nil), valid.Delays...)
			test.change(&cfg)
			if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Validate says %v, want it to name %s", err, test.want)
			}
		})
	}
}
