package management

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"

	"github.com/pharmavida/ingesta/shared/broker"
)

// Policy sets limits of the queues whose names it matches.
type Policy struct {
	VHost      string         `json:"vhost"`
	Name       string         `json:"name"`
	Pattern    string         `json:"pattern"`
	ApplyTo    string         `json:"apply-to"`
	Priority   int            `json:"priority"` // of two that match, the higher one applies
	Definition map[string]any `json:"definition"`
}

func (p Policy) equal(q Policy) bool { return reflect.DeepEqual(p, q) }

// Policies returns the policies of the virtual host.
func (c *Client) Policies(ctx context.Context) ([]Policy, error) {
	var policies []Policy
	err := c.get(ctx, "listing the broker's policies", path("policies", c.broker.VHost), &policies)
	return policies, err
}

func (c *Client) putPolicy(ctx context.Context, p Policy) error {
	return c.put(ctx, "setting policy "+p.Name, path("policies", p.VHost, p.Name), p)
}

// eventsPolicy is the policy of the queue where other services wait for events, whose name is a
// setting.
const eventsPolicy = "batch-processed"

// Definitions are the policies of a file in RabbitMQ's own format for definitions.
type Definitions struct {
	Policies []Policy `json:"policies"`
}

// ParseDefinitions reads the file. It fails when there is no policy in it, or one whose pattern is
// no regular expression.
func ParseDefinitions(text []byte) (Definitions, error) {
	var d Definitions
	if err := json.Unmarshal(text, &d); err != nil {
		return Definitions{}, fmt.Errorf("reading the broker's definitions: %w", err)
	}
	if len(d.Policies) == 0 {
		return Definitions{}, errors.New("reading the broker's definitions: no policy is in them")
	}
	for _, p := range d.Policies {
		if _, err := regexp.Compile(p.Pattern); err != nil {
			return Definitions{}, fmt.Errorf("reading the broker's definitions: policy %s: %w", p.Name, err)
		}
	}
	return d, nil
}

// of returns the policies as the configured broker should have them: in its virtual host, and for
// the queue that its configuration names.
func (d Definitions) of(cfg broker.Config) []Policy {
	policies := make([]Policy, len(d.Policies))
	for i, p := range d.Policies {
		p.VHost = cfg.VHost
		if p.Name == eventsPolicy {
			p.Pattern = "^" + regexp.QuoteMeta(cfg.Queue) + "$"
		}
		policies[i] = p
	}
	return policies
}

// applying returns the one of the policies that should apply to the queue, and whether there is
// one.
func applying(policies []Policy, queue string) (best Policy, ok bool) {
	for _, p := range policies {
		if matched, err := regexp.MatchString(p.Pattern, queue); err == nil && matched && (!ok || p.Priority > best.Priority) {
			best, ok = p, true
		}
	}
	return best, ok
}
