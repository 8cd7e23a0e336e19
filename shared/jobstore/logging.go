package jobstore

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LogClient sends what the Redis client itself reports, such as failed dials, to log at debug
// level: calls return the same errors to whoever can act on them. The client library has one
// logger per process and otherwise prints to standard error, so a program calls this once, at its
// start.
func LogClient(log *slog.Logger) { redis.SetLogger(clientLog{log}) }

type clientLog struct{ log *slog.Logger }

func (c clientLog) Printf(ctx context.Context, format string, args ...any) {
	c.log.DebugContext(ctx, "redis client", "report", fmt.Sprintf(format, args...))
}
