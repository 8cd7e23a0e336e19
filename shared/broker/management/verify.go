package management

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// Finding is something on the broker that is not as the system needs it.
type Finding struct {
	Subject string // queue "ingesta.dead"
	Problem string // does not exist

	// Advice says what an operator has to do. It is empty when Apply and broker.Declare mend it.
	Advice string
}

// Verify looks for everything that Apply and broker.Declare bring about for these databases, and
// returns what is missing or different; nothing when all is in place. It changes nothing. It takes
// the tag monitoring and permissions on the virtual host; errors are of *Error, NotFound when there
// is no such virtual host.
//
// Whatever else is on the broker is none of its business. Right after a change a queue may still be
// shown without its policy.
func (c *Client) Verify(ctx context.Context, d Definitions, databases []ingest.Database) ([]Finding, error) {
	policies, err := c.Policies(ctx)
	if err != nil {
		return nil, err
	}
	exchanges, err := c.exchanges(ctx)
	if err != nil {
		return nil, err
	}
	queues, err := c.queues(ctx)
	if err != nil {
		return nil, err
	}
	bindings, err := c.bindings(ctx)
	if err != nil {
		return nil, err
	}
	topology, wanted := broker.Topology(c.broker, databases), d.of(c.broker)
	findings := verifyPolicies(wanted, policies)
	findings = append(findings, verifyExchanges(topology.Exchanges, exchanges)...)
	findings = append(findings, verifyQueues(topology.Queues, queues, policies, wanted)...)
	findings = append(findings, verifyBindings(topology.Bindings, exchanges, queues, bindings)...)
	return findings, nil
}

func verifyPolicies(wanted, have []Policy) (findings []Finding) {
	for _, p := range wanted {
		subject := fmt.Sprintf("policy %q", p.Name)
		i := slices.IndexFunc(have, func(q Policy) bool { return q.Name == p.Name })
		if i < 0 {
			findings = append(findings, Finding{Subject: subject, Problem: "does not exist"})
		} else if !p.equal(have[i]) {
			findings = append(findings, Finding{Subject: subject, Problem: "is another than this version needs"})
		}
	}
	return findings
}

func verifyExchanges(wanted []broker.Exchange, have []exchange) (findings []Finding) {
	for _, x := range wanted {
		subject := fmt.Sprintf("exchange %q", x.Name)
		i := slices.IndexFunc(have, func(e exchange) bool { return e.Name == x.Name })
		switch {
		case i < 0:
			findings = append(findings, Finding{Subject: subject, Problem: "does not exist"})
		case have[i].Kind != x.Kind || !have[i].Durable:
			findings = append(findings, Finding{
				Subject: subject, Problem: "is not a durable one of type " + x.Kind,
				Advice: "delete it, or use another virtual host",
			})
		}
	}
	return findings
}

func verifyQueues(wanted []broker.Queue, have []Queue, policies, due []Policy) (findings []Finding) {
	for _, q := range wanted {
		subject := fmt.Sprintf("queue %q", q.Name)
		i := slices.IndexFunc(have, func(other Queue) bool { return other.Name == q.Name })
		if i < 0 {
			findings = append(findings, Finding{Subject: subject, Problem: "does not exist"})
			continue
		}
		if differing := have[i].differing(q.Args); len(differing) > 0 {
			findings = append(findings, Finding{
				Subject: subject, Problem: "has other properties than this version declares (" + strings.Join(differing, ", ") + ")",
				Advice: "empty and delete it, or use another virtual host",
			})
			continue
		}
		// What applies to the queue is only of interest once the policy that should is there.
		p, ok := applying(due, q.Name)
		if !ok || !slices.ContainsFunc(policies, p.equal) || have[i].Policy == p.Name {
			continue
		}
		f := Finding{Subject: subject, Problem: fmt.Sprintf("is not under policy %q", p.Name)}
		if have[i].Policy != "" {
			f.Problem += fmt.Sprintf(" but under %q", have[i].Policy)
			f.Advice = fmt.Sprintf("narrow the pattern of %q, or give it a priority below %d", have[i].Policy, p.Priority)
		}
		findings = append(findings, f)
	}
	return findings
}

// differing returns the names of the arguments in which the queue differs from those that are
// wanted, and "durable" if it is not.
func (q Queue) differing(wanted map[string]any) (names []string) {
	have, want := asJSON(q.Arguments), asJSON(wanted)
	if want[queueType] == nil {
		// Declared without a type a queue has the virtual host's default, which newer brokers show.
		delete(have, queueType)
	}
	for name, value := range want {
		if !reflect.DeepEqual(have[name], value) {
			names = append(names, name)
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			names = append(names, name)
		}
	}
	if !q.Durable {
		names = append(names, "durable")
	}
	return slices.Sorted(slices.Values(names))
}

// queueType is the argument that chooses a type of queue.
const queueType = "x-queue-type"

// asJSON returns a copy of the arguments as they are once they were JSON.
func asJSON(arguments map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range arguments {
		if number, ok := value.(int64); ok {
			value = float64(number)
		}
		out[name] = value
	}
	return out
}

func verifyBindings(wanted []broker.Binding, exchanges []exchange, queues []Queue, have []binding) (findings []Finding) {
	for _, b := range wanted {
		// What does not exist was reported, and is bound when it is declared.
		if !slices.ContainsFunc(exchanges, func(e exchange) bool { return e.Name == b.Exchange }) ||
			!slices.ContainsFunc(queues, func(q Queue) bool { return q.Name == b.Queue }) ||
			slices.Contains(have, binding{Source: b.Exchange, Destination: b.Queue, Kind: "queue", Key: b.Key}) {
			continue
		}
		findings = append(findings, Finding{
			Subject: fmt.Sprintf("queue %q", b.Queue),
			Problem: fmt.Sprintf("does not get what exchange %q has for %q", b.Exchange, b.Key),
		})
	}
	return findings
}
