package management

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// Overview is what a broker says of itself.
type Overview struct {
	Product string `json:"product_name"` // RabbitMQ
	Version string `json:"rabbitmq_version"`
	Cluster string `json:"cluster_name"`
	Node    string `json:"node"` // the one that answers
}

// Overview returns what the broker says of itself. It takes any tag.
func (c *Client) Overview(ctx context.Context) (Overview, error) {
	var o Overview
	err := c.get(ctx, "asking the broker who it is", path("overview"), &o)
	return o, err
}

// Node is a node of the cluster.
type Node struct {
	Name    string
	Running bool

	// Alarms name what the node is short of: memory, disk. The whole cluster takes no messages
	// while any node has one.
	Alarms []string
}

// Nodes returns the nodes of the cluster. It takes the tag monitoring.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	var listed []struct {
		Name      string `json:"name"`
		Running   bool   `json:"running"`
		NoMemory  bool   `json:"mem_alarm"`
		NoStorage bool   `json:"disk_free_alarm"`
	}
	if err := c.get(ctx, "listing the broker's nodes", path("nodes")+"?columns=name,running,mem_alarm,disk_free_alarm", &listed); err != nil {
		return nil, err
	}
	nodes := make([]Node, len(listed))
	for i, n := range listed {
		nodes[i] = Node{Name: n.Name, Running: n.Running}
		if n.NoMemory {
			nodes[i].Alarms = append(nodes[i].Alarms, "memory")
		}
		if n.NoStorage {
			nodes[i].Alarms = append(nodes[i].Alarms, "disk")
		}
	}
	// The list is some seconds old, and without alarms where statistics are switched off. The
	// health check is neither.
	raised, err := c.alarms(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range raised {
		if a.Resource == "disk space" { // as the check calls it
			a.Resource = "disk"
		}
		i := slices.IndexFunc(nodes, func(n Node) bool { return n.Name == a.Node })
		if i < 0 {
			nodes = append(nodes, Node{Name: a.Node, Running: true, Alarms: []string{a.Resource}})
		} else if !slices.Contains(nodes[i].Alarms, a.Resource) {
			nodes[i].Alarms = append(nodes[i].Alarms, a.Resource)
		}
	}
	return nodes, nil
}

// alarm is an alarm in effect.
type alarm struct{ Node, Resource string }

// alarms asks the health check, which answers with a failure when there are alarms.
func (c *Client) alarms(ctx context.Context) ([]alarm, error) {
	const doing = "asking for the broker's alarms"
	status, said, err := c.send(ctx, http.MethodGet, path("health", "checks", "alarms"), nil)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", doing, err)
	case status == http.StatusOK:
		return nil, nil
	case status != http.StatusServiceUnavailable:
		return nil, fmt.Errorf("%s: %w", doing, c.refusal(ctx, status, said))
	}
	var failed struct{ Alarms []alarm }
	if err := json.Unmarshal(said, &failed); err != nil || len(failed.Alarms) == 0 {
		return nil, fmt.Errorf("%s: %w", doing, &Error{Kind: Failed, Status: status, Reason: reason(said), Cause: err})
	}
	return failed.Alarms, nil
}
