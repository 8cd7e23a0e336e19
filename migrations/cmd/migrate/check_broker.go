package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pharmavida/ingesta/migrations/check"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/broker/management"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// checkMessages sends a message through the broker and back, over AMQP, and looks at the queues.
func (t *tool) checkMessages() check.Check {
	var cfg brokerConfig
	return check.Check{Service: check.RabbitMQ, Title: "messages", Run: t.configured(&cfg, func(ctx context.Context) []check.Finding {
		_, databases, err := cfg.wanted()
		if err != nil {
			return []check.Finding{{Outcome: check.Fail(err, "mend the catalog")}}
		}
		var depths map[string]broker.QueueDepth
		return check.Walk(ctx,
			check.Step{Title: "messages", Gate: true, Run: func(ctx context.Context) check.Outcome {
				server, err := broker.Probe(ctx, cfg.Broker)
				if err != nil {
					return check.Fail(err, messageStep(err))
				}
				return check.OK("one was published, confirmed and got back", fmt.Sprintf("%s %s, cluster %s", server.Product, server.Version, server.Cluster))
			}},
			check.Step{Title: "consumers", Run: func(ctx context.Context) check.Outcome {
				if depths, err = broker.Inspect(ctx, cfg.Broker, databases); err != nil {
					return check.Fail(err, messageStep(err))
				}
				return judgeConsumers(depths, databases)
			}},
			check.Step{Title: "dead letters", Run: func(context.Context) check.Outcome {
				if n := depths[broker.DeadQueue].Messages; n > 0 {
					// For an operator to look at, and no fault of the infrastructure.
					return check.Skip(fmt.Sprintf("%d in %s wait for somebody to look at them", n, broker.DeadQueue))
				}
				return check.OK("none")
			}},
		)
	})}
}

// judgeConsumers says which workers are there. That none is there is no fault of the
// infrastructure; that some are missing is one.
func judgeConsumers(depths map[string]broker.QueueDepth, databases []ingest.Database) check.Outcome {
	var lines, idle []string
	for _, name := range slices.Sorted(maps.Keys(depths)) {
		lines = append(lines, fmt.Sprintf("%-32s %6d messages %3d consumers", name, depths[name].Messages, depths[name].Consumers))
	}
	for _, db := range databases {
		if depths[broker.CommandQueue(db)].Consumers == 0 {
			idle = append(idle, string(db))
		}
	}
	switch len(idle) {
	case 0:
		return check.OK("a worker waits for the commands of each database", lines...)
	case len(databases):
		return check.Skip("no worker runs", lines...)
	default:
		return check.Fail(errors.New("no worker waits for the commands of "+strings.Join(idle, ", ")),
			"start it: docker compose up -d worker-"+idle[0]+", or make up", lines...)
	}
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
// exchanges, queues, bindings and policies are there.
func (t *tool) checkBroker() check.Check {
	var cfg brokerConfig
	return check.Check{Service: check.RabbitMQ, Title: "management", Run: t.configured(&cfg, func(ctx context.Context) []check.Finding {
		definitions, databases, err := cfg.wanted()
		if err != nil {
			return []check.Finding{{Outcome: check.Fail(err, "mend the catalog")}}
		}
		client := management.New(cfg.Management, cfg.Broker)
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
