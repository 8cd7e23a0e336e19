package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pharmavida/ingesta/migrations/check"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/broker/management"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// checkMessages sends a message through the broker and back, over AMQP.
func (t *tool) checkMessages() check.Check {
	var cfg broker.Config
	return check.Check{Service: check.RabbitMQ, Title: "messages", Run: t.configured(&cfg, func(ctx context.Context) []check.Finding {
		server, err := broker.Probe(ctx, cfg)
		if err != nil {
			return []check.Finding{{Outcome: check.Fail(err, messageStep(err))}}
		}
		return []check.Finding{{Outcome: check.OK("one was published, confirmed and got back",
			fmt.Sprintf("%s %s, cluster %s", server.Product, server.Version, server.Cluster))}}
	})}
}

// messageStep returns what to do about a failure of broker.Probe.
func messageStep(err error) string {
	switch {
	case errors.Is(err, broker.ErrUnreachable):
		return startIt("rabbitmq") + "; it takes some seconds to start"
	case errors.Is(err, broker.ErrCredentials):
		return "set RABBITMQ_USER and RABBITMQ_PASSWORD to an account of the broker, or make it: migrate init"
	case errors.Is(err, broker.ErrVHost):
		return "mend RABBITMQ_VHOST, or make host and permissions: migrate init"
	case errors.Is(err, broker.ErrForbidden):
		return "give RABBITMQ_USER the permissions configure, write and read on RABBITMQ_VHOST"
	case errors.Is(err, broker.ErrBlocked):
		return "free memory or disk on the broker's machine"
	default:
		return "look at the broker's log: make logs"
	}
}

// checkBroker looks at the broker through its management interface: alarms, and whether our
// queues, bindings and policies are there.
func (t *tool) checkBroker() check.Check {
	var cfg brokerConfig
	return check.Check{Service: check.RabbitMQ, Title: "management", Run: t.configured(&cfg, func(ctx context.Context) []check.Finding {
		definitions, databases, err := cfg.wanted()
		if err != nil {
			return []check.Finding{{Outcome: check.Fail(err, "mend the catalog")}}
		}
		client := management.New(cfg.Management, cfg.Broker)
		var queues []management.Queue
		return check.Walk(ctx,
			check.Step{Title: "management", Gate: true, Run: func(ctx context.Context) check.Outcome {
				o, err := client.Overview(ctx)
				if err != nil {
					return managementFailure(err)
				}
				return check.OK(o.Product+" "+o.Version, "node "+o.Node)
			}},
			check.Step{Title: "alarms", Run: func(ctx context.Context) check.Outcome { return judgeNodes(ctx, client) }},
			check.Step{Title: "topology and policies", Run: func(ctx context.Context) check.Outcome {
				return judgeTopology(ctx, client, definitions, databases)
			}},
			check.Step{Title: "consumers", Run: func(ctx context.Context) check.Outcome {
				if queues, err = client.Queues(ctx); err != nil {
					return managementFailure(err)
				}
				return judgeConsumers(queues, databases)
			}},
			check.Step{Title: "dead letters", Run: func(context.Context) check.Outcome { return judgeDead(queues) }},
		)
	})}
}

func judgeNodes(ctx context.Context, client *management.Client) check.Outcome {
	nodes, err := client.Nodes(ctx)
	if err != nil {
		return managementFailure(err)
	}
	var problems []string
	for _, n := range nodes {
		if !n.Running {
			problems = append(problems, "node "+n.Name+" does not run")
		}
		for _, alarm := range n.Alarms {
			problems = append(problems, "node "+n.Name+" is short of "+alarm)
		}
	}
	if len(problems) > 0 {
		return check.Fail(errors.New(strings.Join(problems, "; ")), "free memory or disk, start the node: until then the broker may take no messages")
	}
	return check.OK(fmt.Sprintf("none on %d node(s)", len(nodes)))
}

func judgeTopology(ctx context.Context, client *management.Client, definitions management.Definitions, databases []ingest.Database) check.Outcome {
	findings, err := client.Verify(ctx, definitions, databases)
	if err != nil {
		return managementFailure(err)
	}
	if len(findings) == 0 {
		return check.OK(fmt.Sprintf("as they must be, %d policies", len(definitions.Policies)))
	}
	var problems, steps []string
	for _, f := range findings {
		problems = append(problems, f.Subject+" "+f.Problem)
		step := cmp.Or(f.Advice, "migrate init")
		if !slices.Contains(steps, step) {
			steps = append(steps, step)
		}
	}
	return check.Fail(errors.New(strings.Join(problems, "; ")), strings.Join(steps, "; "))
}

// judgeConsumers says which workers are there. That none is there is no fault of the infrastructure.
func judgeConsumers(queues []management.Queue, databases []ingest.Database) check.Outcome {
	consumers := map[string]int{}
	var lines []string
	for _, q := range queues {
		consumers[q.Name] = q.Consumers
		lines = append(lines, fmt.Sprintf("%-32s %-8s %6d messages %3d consumers", q.Name, q.Type, q.Messages, q.Consumers))
	}
	var idle []string
	for _, db := range databases {
		if name := broker.CommandQueue(db); consumers[name] == 0 {
			idle = append(idle, name)
		}
	}
	if len(idle) > 0 {
		return check.Skip("no worker waits at "+strings.Join(idle, ", "), lines...)
	}
	return check.OK("a worker waits for the commands of each database", lines...)
}

// judgeDead counts the commands that nobody could carry out. They are for an operator to look at,
// and no fault of the infrastructure.
func judgeDead(queues []management.Queue) check.Outcome {
	for _, q := range queues {
		if q.Name == broker.DeadQueue && q.Messages > 0 {
			return check.Skip(fmt.Sprintf("%d in %s wait for somebody to look at them", q.Messages, q.Name))
		}
	}
	return check.OK("none")
}

func managementFailure(err error) check.Outcome {
	e, _ := errors.AsType[*management.Error](err)
	step := "look at the broker's log: make logs"
	if e != nil {
		switch e.Kind {
		case management.Unreachable:
			step = startIt("rabbitmq") + "; its plugin rabbitmq_management must be enabled, on RABBITMQ_MANAGEMENT_PORT"
		case management.Unauthorized:
			step = "set RABBITMQ_ADMIN_USER and RABBITMQ_ADMIN_PASSWORD (else RABBITMQ_USER, RABBITMQ_PASSWORD) to an administrator's"
		case management.Forbidden:
			step = "give the user the tag monitoring (administrator for migrate init) and permissions on RABBITMQ_VHOST"
		case management.NotFound:
			step = "make the virtual host RABBITMQ_VHOST: migrate init"
		}
	}
	return check.Fail(err, step)
}
