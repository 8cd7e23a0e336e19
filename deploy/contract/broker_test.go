package contract

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/pharmavida/ingesta/gateway/openapi"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// brokerContract is the contract of the broker and its compiled schemas.
type brokerContract struct {
	compiler *jsonschema.Compiler
	channels map[string]map[string]any // messages by channel
	types    map[string]string         // type property by message
	fields   map[string][]string       // names of the properties by schema
}

func readBrokerContract(t *testing.T) *brokerContract {
	t.Helper()
	var document any
	if err := yaml.Unmarshal(broker.AsyncAPI(), &document); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Channels   map[string]struct{ Messages map[string]any }
		Components struct {
			Messages map[string]struct {
				Bindings struct {
					AMQP struct {
						MessageType string `yaml:"messageType"`
					}
				}
			}
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := yaml.Unmarshal(broker.AsyncAPI(), &read); err != nil {
		t.Fatal(err)
	}
	c := &brokerContract{
		compiler: jsonschema.NewCompiler(), channels: map[string]map[string]any{}, types: map[string]string{}, fields: map[string][]string{},
	}
	c.compiler.DefaultDraft(jsonschema.Draft7) // AsyncAPI's own
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource("contract.json", document); err != nil {
		t.Fatal(err)
	}
	for name, channel := range read.Channels {
		c.channels[name] = channel.Messages
	}
	for name, message := range read.Components.Messages {
		c.types[name] = message.Bindings.AMQP.MessageType
	}
	for name, schema := range read.Components.Schemas {
		c.fields[name] = slices.Sorted(maps.Keys(schema.Properties))
	}
	return c
}

// message is one of a real queue, as the management interface shows it.
type message struct {
	Payload    string
	RoutingKey string `json:"routing_key"`
	Properties struct {
		Headers       map[string]any
		ContentType   string `json:"content_type"`
		DeliveryMode  int    `json:"delivery_mode"`
		MessageID     string `json:"message_id"`
		CorrelationID string `json:"correlation_id"`
		Type          string
		Timestamp     int64
	}
}

// check holds a message of a channel against the contract. Its schemas are of the headers and the body.
func (c *brokerContract) check(t *testing.T, m message, channel, name, headers, body string) {
	t.Helper()
	if _, listed := c.channels[channel][name]; !listed {
		t.Errorf("the contract's channel %s does not have the message %s", channel, name)
	}
	var payload any
	if err := json.Unmarshal([]byte(m.Payload), &payload); err != nil && body != "" {
		t.Fatalf("message %s: %v: %s", name, err, m.Payload)
	}
	given := map[string]any{}
	maps.Copy(given, m.Properties.Headers)
	for part, value := range map[string]any{"headers": given, "payload": payload} {
		schema, err := c.compiler.Compile("contract.json#/components/messages/" + name + "/" + part)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("the %s of message %s on %s are not as the contract says: %v\n%v", part, name, channel, err, value)
		}
	}
	c.knows(t, name, headers, given)
	if fields, ok := payload.(map[string]any); ok && body != "" {
		c.knows(t, name, body, fields)
	}
	p := m.Properties
	if want := c.types[name]; want != "" && p.Type != want {
		t.Errorf("message %s has the type %q, the contract says %q", name, p.Type, want)
	}
	if body == "" {
		return
	}
	id := payload.(map[string]any)["job_id"]
	if p.ContentType != "application/json" || p.DeliveryMode != 2 || p.CorrelationID != id || p.MessageID == "" || p.Timestamp == 0 {
		t.Errorf("message %s has the properties %+v", name, p)
	}
}

// knows fails the test for names that the schema does not declare, but for what RabbitMQ adds itself.
func (c *brokerContract) knows(t *testing.T, name, schema string, fields map[string]any) {
	t.Helper()
	for field := range fields {
		if field != "x-delivery-count" && !slices.Contains(c.fields[schema], field) {
			t.Errorf("message %s has %q, which the contract's %s does not", name, field, schema)
		}
	}
}

// get takes messages out of a queue.
func (s *system) get(t *testing.T, queue string) (got []message) {
	t.Helper()
	stacktest.Management(t, http.MethodPost, "/api/queues/"+s.vhost+"/"+queue+"/get",
		map[string]any{"count": 100, "ackmode": "ack_requeue_false", "encoding": "auto"}, &got)
	return got
}

// Every kind of message, as a gateway and a worker publish it and a queue holds it, is as the contract
// says.
func TestBroker(t *testing.T) {
	c := readBrokerContract(t)
	catalog := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(catalog, []byte(oneDatabase), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSystem(t, http.DefaultClient, "CATALOG_FILE="+catalog)
	g := s.gateway(t).as("ingesta:admin")
	stacktest.Eventually(t, "the gateway is ready", func() bool { return g.ask("GET", "/ready", "").status == http.StatusOK })
	const heard = "contract.heard"
	stacktest.Management(t, http.MethodPut, "/api/queues/"+s.vhost+"/"+heard, map[string]any{"durable": true}, nil)
	stacktest.Management(t, http.MethodPost, "/api/bindings/"+s.vhost+"/e/"+broker.EventsExchange+"/q/"+heard, map[string]any{"routing_key": "job.#"}, nil)

	accepted := g.wants(202, "POST", "/api/ingesta/mysql", "", inTrace, named)
	command := s.get(t, "ingesta.commands.mysql")
	if len(command) != 1 || command[0].RoutingKey != "mysql" {
		t.Fatalf("the queue of commands holds %v, want the command of one job", command)
	}
	for _, channel := range []string{"commands", "work"} {
		c.check(t, command[0], channel, "command", "CommandHeaders", "Command")
	}
	g.wants(202, "POST", accepted.header.Get("Location")+"/cancel", "")

	s.worker(t)
	const wait = "Prefer: wait=60"
	g.wants(200, "POST", "/api/ingesta/mysql", `{"datasets":["users"]}`, wait, inTrace)
	partial := g.wants(200, "POST", "/api/ingesta/mysql", "", wait)
	g.wants(200, "POST", "/api/ingesta/mysql", `{"datasets":["gone"]}`, wait)
	g.wants(200, "POST", partial.header.Get("Location")+"/retry", "", wait)
	stacktest.Management(t, http.MethodPost, "/api/exchanges/"+s.vhost+"/"+broker.CommandsExchange+"/publish", map[string]any{
		"routing_key": "mysql", "payload": "not a command", "payload_encoding": "string",
		"properties": map[string]any{"headers": map[string]any{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}},
	}, nil)

	var dead []message
	stacktest.Eventually(t, "the worker has buried what is no command", func() bool {
		dead = append(dead, s.get(t, broker.DeadQueue)...)
		return len(dead) > 0
	})
	for _, channel := range []string{"burying", "dead"} {
		c.check(t, dead[0], channel, "deadLetter", "DeadLetterHeaders", "")
	}

	kinds := map[string]bool{}
	ends := 0
	stacktest.Eventually(t, "every kind of event was heard", func() bool {
		for _, m := range s.get(t, heard) {
			parts := strings.Split(m.RoutingKey, ".")
			if len(parts) != 3 || parts[0] != "job" || parts[1] != "mysql" {
				t.Errorf("an event has the routing key %q", m.RoutingKey)
				continue
			}
			c.check(t, m, "events", parts[2], "EventHeaders", "EventBody")
			kinds[parts[2]] = true
		}
		for _, m := range s.get(t, "batch_processed") {
			ends++
			c.check(t, m, "ends", m.RoutingKey[strings.LastIndex(m.RoutingKey, ".")+1:], "EventHeaders", "EventBody")
		}
		return len(kinds) == len(c.channels["events"]) && ends >= len(c.channels["ends"])
	})
}

// A message that lies is found out.
func TestLyingMessagesAreNoticed(t *testing.T) {
	c := readBrokerContract(t)
	const body = `{"batch_id":"01a22bb8-7bb7-79d2-921c-b4c1ec445a6f","status":"completed","userid":"ana","job_id":"01a22bb8-7bb7-79d2-921c-b4c1ec445a6f",` +
		`"database":"mysql","created_at":"2026-11-30T09:10:40Z","finished_at":"2026-11-30T09:10:41Z","attempt":1,"progress":{"rows":0,"bytes":0,"estimated_rows":0},"result":{"users":{"state":"done"}}}`
	schema, err := c.compiler.Compile("contract.json#/components/messages/success/payload")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(text string) bool {
		var payload any
		if err := json.Unmarshal([]byte(text), &payload); err != nil {
			t.Fatal(err)
		}
		return schema.Validate(payload) == nil
	}
	if !valid(body) {
		t.Fatalf("the contract refuses %s: %v", body, schema)
	}
	for _, lie := range [][2]string{
		{`"completed"`, `"partial"`}, {`"batch_id"`, `"batch"`}, {`"2026-11-30T09:10:41Z"`, `"now"`}, {`"done"`, `"lost"`}, {`"attempt":1`, `"attempt":"one"`},
	} {
		if valid(strings.Replace(body, lie[0], lie[1], 1)) {
			t.Errorf("the contract allows a success with %s", lie[1])
		}
	}
}

// What both contracts speak of, they describe in the same words.
func TestContractsAgree(t *testing.T) {
	schemas := func(document []byte) map[string]any {
		var read struct {
			Components struct{ Schemas map[string]any }
		}
		if err := yaml.Unmarshal(document, &read); err != nil {
			t.Fatal(err)
		}
		return read.Components.Schemas
	}
	ofHTTP, shared := schemas(openapi.YAML()), 0
	for name, ofBroker := range schemas(broker.AsyncAPI()) {
		described, both := ofHTTP[name]
		if !both {
			continue
		}
		shared++
		if !reflect.DeepEqual(described, ofBroker) {
			t.Errorf("%s differs: over HTTP it is\n%v\non the broker\n%v", name, described, ofBroker)
		}
	}
	if shared < 5 {
		t.Errorf("the contracts share %d schemas, want the parts of jobs", shared)
	}
}
