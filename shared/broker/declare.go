package broker

import (
	"context"
	"fmt"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Declare brings the topology of these databases about, over a connection of its own. What is
// there already stays as it is, so it is safe to repeat. Every Broker does the same whenever it
// connects; this is for whoever prepares a server before the programs run.
//
// A *TopologyError says which exchange or queue the broker refuses, and the way out. The other
// errors are ErrUnreachable, ErrCredentials and ErrVHost. After an error a part may be declared.
func Declare(ctx context.Context, cfg Config, databases []ingest.Database) error {
	err := visit(ctx, cfg, "ingesta declaring", func(e *epoch) error {
		return e.declare(Topology(cfg, databases))
	})
	if err != nil {
		return fmt.Errorf("preparing the broker: %w", err)
	}
	return nil
}
