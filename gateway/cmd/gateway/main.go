// Command gateway serves the HTTP API of the ingestion system.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/pharmavida/ingesta/gateway"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/program"
)

func main() { os.Exit(program.Main(run)) }

func run(ctx context.Context, process program.Process) int {
	return program.Program[gateway.Config]{
		Name:    "gateway",
		About:   "Serves the HTTP API of the ingestion system.",
		Check:   gateway.Check,
		Address: gateway.Config.Address,
		Run: func(ctx context.Context, cfg gateway.Config, log *slog.Logger) error {
			jobstore.LogClient(log)
			return gateway.Run(ctx, cfg, log)
		},
	}.Execute(ctx, process)
}
