package broker

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Inspect returns the depth of every queue of the topology of these databases, over a connection of
// its own, as the queues themselves tell it: without the delay of the management interface's
// statistics. A queue that does not exist is left out. The errors are those of Declare.
func Inspect(ctx context.Context, cfg Config, databases []ingest.Database) (depths map[string]QueueDepth, err error) {
	err = visit(ctx, cfg, "ingesta inspecting", func(e *epoch) (err error) {
		depths, err = e.depths(ctx, Topology(cfg, databases).Queues)
		return err
	})
	return depths, err
}

// depths measures the queues that there are.
func (e *epoch) depths(ctx context.Context, queues []Queue) (map[string]QueueDepth, error) {
	depths := make(map[string]QueueDepth, len(queues))
	var ch *amqp.Channel
	for _, q := range queues {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("measuring queues: %w", err)
		}
		if ch == nil {
			var err error
			if ch, err = e.channel(); err != nil {
				return nil, fmt.Errorf("measuring queues: %w", err)
			}
			defer e.closeChannel(ch)
		}
		var got amqp.Queue
		err := e.within(e.timing.answer, "inspecting "+q.Name, func() (err error) {
			got, err = ch.QueueDeclarePassive(q.Name, true, false, false, false, nil)
			return err
		})
		if said, ok := errors.AsType[*amqp.Error](err); ok && said.Code == amqp.NotFound {
			ch = nil // closed by the broker
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("measuring queues: %w", err)
		}
		depths[q.Name] = QueueDepth{Messages: got.Messages, Consumers: got.Consumers}
	}
	return depths, nil
}
