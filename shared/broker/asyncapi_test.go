package broker

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// described is what these tests read of the broker's contract.
type described struct {
	Channels map[string]struct {
		Address    string
		Parameters map[string]struct{ Enum []string }
		Bindings   struct {
			AMQP struct {
				Is       string
				Exchange struct {
					Name, Type          string
					Durable, AutoDelete bool
				}
				Queue struct {
					Name                           string
					Durable, Exclusive, AutoDelete bool
				}
			}
		}
		Arguments map[string]any                   `yaml:"x-arguments"`
		Bound     []struct{ Exchange, Key string } `yaml:"x-bindings"`
	}
	Components struct {
		Schemas struct {
			FailureCode  struct{ Enum []ingest.Code } `yaml:"FailureCode"`
			EventHeaders struct {
				Required   []string
				Properties map[string]any
			} `yaml:"EventHeaders"`
		}
	}
}

func describe(t *testing.T) (d described) {
	t.Helper()
	if err := yaml.Unmarshal(AsyncAPI(), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The contract names the exchanges, queues, arguments and bindings of the topology, and no others.
func TestContractDescribesTopology(t *testing.T) {
	d := describe(t)
	databases := []ingest.Database{ingest.MongoDB, ingest.MySQL}
	cfg := Config{Queue: "batch_processed"}
	for _, delay := range d.Channels["waiting"].Parameters["delay"].Enum {
		parsed, err := time.ParseDuration(delay)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Delays = append(cfg.Delays, parsed)
	}
	want := Topology(cfg, databases)

	var got Declarations
	// each returns the text once for each value of its placeholder.
	each := func(text string) (all []string, values []any) {
		switch {
		case strings.Contains(text, "{database}"):
			for _, db := range databases {
				all, values = append(all, strings.ReplaceAll(text, "{database}", string(db))), append(values, string(db))
			}
		case strings.Contains(text, "{delay}"):
			for _, delay := range cfg.Delays {
				name := strings.TrimPrefix(DelayName(delay), prefix+"delay.")
				all, values = append(all, strings.ReplaceAll(text, "{delay}", name)), append(values, delay)
			}
		default:
			all, values = []string{text}, []any{""}
		}
		return all, values
	}
	for name, channel := range d.Channels {
		amqp := channel.Bindings.AMQP
		if amqp.Is == "routingKey" {
			if !amqp.Exchange.Durable || amqp.Exchange.AutoDelete {
				t.Errorf("the contract's exchange of %s is not durable", name)
			}
			names, _ := each(amqp.Exchange.Name)
			for _, exchange := range names {
				got.Exchanges = append(got.Exchanges, Exchange{exchange, amqp.Exchange.Type})
			}
			continue
		}
		if !amqp.Queue.Durable || amqp.Queue.AutoDelete || amqp.Queue.Exclusive || amqp.Queue.Name != channel.Address {
			t.Errorf("the contract's queue of %s is not durable and shared, or has another address: %+v", name, amqp.Queue)
		}
		names, values := each(amqp.Queue.Name)
		for i, queue := range names {
			var args map[string]any
			for argument, value := range channel.Arguments {
				if args == nil {
					args = map[string]any{}
				}
				if value == "{delay}" {
					value = values[i].(time.Duration).Milliseconds()
				}
				args[argument] = value
			}
			got.Queues = append(got.Queues, Queue{queue, args})
			for _, b := range channel.Bound {
				exchanges, _ := each(b.Exchange)
				keys, _ := each(b.Key)
				got.Bindings = append(got.Bindings, Binding{exchanges[min(i, len(exchanges)-1)], keys[min(i, len(keys)-1)], queue})
			}
		}
	}
	for _, set := range []*Declarations{&got, &want} {
		slices.SortFunc(set.Exchanges, func(a, b Exchange) int { return strings.Compare(a.Name, b.Name) })
		slices.SortFunc(set.Queues, func(a, b Queue) int { return strings.Compare(a.Name, b.Name) })
		slices.SortFunc(set.Bindings, func(a, b Binding) int { return strings.Compare(a.Queue+a.Key, b.Queue+b.Key) })
	}
	if !reflect.DeepEqual(got.Exchanges, want.Exchanges) {
		t.Errorf("the contract has the exchanges\n%v, the topology\n%v", got.Exchanges, want.Exchanges)
	}
	if !reflect.DeepEqual(got.Queues, want.Queues) {
		t.Errorf("the contract has the queues\n%v, the topology\n%v", got.Queues, want.Queues)
	}
	if !reflect.DeepEqual(got.Bindings, want.Bindings) {
		t.Errorf("the contract has the bindings\n%v, the topology\n%v", got.Bindings, want.Bindings)
	}
}

// The contract names the headers of events that there are.
func TestContractDescribesEventHeaders(t *testing.T) {
	m, err := eventMessage(ingest.EventOf(ingest.Job{ID: "a", Status: ingest.Queued}), "00-trace", "test")
	if err != nil {
		t.Fatal(err)
	}
	headers := describe(t).Components.Schemas.EventHeaders
	if got, want := slices.Sorted(maps.Keys(headers.Properties)), slices.Sorted(maps.Keys(m.Headers)); !slices.Equal(got, want) {
		t.Errorf("the contract has the headers %v, an event %v", got, want)
	}
	delete(m.Headers, HeaderTraceparent)
	if got, want := slices.Sorted(slices.Values(headers.Required)), slices.Sorted(maps.Keys(m.Headers)); !slices.Equal(got, want) {
		t.Errorf("the contract requires the headers %v, every event has %v", got, want)
	}
}
