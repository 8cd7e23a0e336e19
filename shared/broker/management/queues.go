package management

import "context"

// Queue is a queue of the virtual host.
type Queue struct {
	Name      string         `json:"name"`
	Type      string         `json:"type"` // quorum, classic
	Durable   bool           `json:"durable"`
	Messages  int            `json:"messages"` // ready, or delivered and not acknowledged; may be some seconds old
	Consumers int            `json:"-"`
	Policy    string         `json:"policy"` // the one that applies, if any
	Arguments map[string]any `json:"arguments"`
}

// Queues returns the queues of the virtual host. It takes any tag and permissions there, or the tag
// administrator.
func (c *Client) Queues(ctx context.Context) ([]Queue, error) {
	queues, err := c.queues(ctx)
	if err != nil {
		return nil, err
	}
	var consumers []struct{ Queue struct{ Name string } }
	err = c.get(ctx, "listing the broker's consumers", path("consumers", c.broker.VHost)+"?columns=queue.name", &consumers)
	if err != nil {
		return nil, err
	}
	count := make(map[string]int, len(queues))
	for _, consumer := range consumers {
		count[consumer.Queue.Name]++
	}
	for i := range queues {
		queues[i].Consumers = count[queues[i].Name]
	}
	return queues, nil
}

// queues returns the queues without their consumers. The broker is asked for no statistics: with
// them it tells what it knew some seconds ago, and of a new queue not even the policy.
func (c *Client) queues(ctx context.Context) ([]Queue, error) {
	var queues []Queue
	err := c.get(ctx, "listing the broker's queues", path("queues", c.broker.VHost)+
		"?disable_stats=true&enable_queue_totals=true&columns=name,type,durable,messages,policy,arguments", &queues)
	return queues, err
}

type exchange struct {
	Name    string `json:"name"`
	Kind    string `json:"type"`
	Durable bool   `json:"durable"`
}

func (c *Client) exchanges(ctx context.Context) ([]exchange, error) {
	var exchanges []exchange
	err := c.get(ctx, "listing the broker's exchanges", path("exchanges", c.broker.VHost)+"?columns=name,type,durable", &exchanges)
	return exchanges, err
}

type binding struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Kind        string `json:"destination_type"` // queue, exchange
	Key         string `json:"routing_key"`
}

func (c *Client) bindings(ctx context.Context) ([]binding, error) {
	var bindings []binding
	err := c.get(ctx, "listing the broker's bindings",
		path("bindings", c.broker.VHost)+"?columns=source,destination,destination_type,routing_key", &bindings)
	return bindings, err
}
