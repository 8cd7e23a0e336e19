package main

import (
	"context"
	"errors"
	"strings"

	"github.com/pharmavida/ingesta/migrations/check"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/workers/upload"
)

// checkRedis looks whether Redis keeps what it is told.
func (t *tool) checkRedis() check.Check {
	var cfg jobstore.Config
	return check.Check{Service: check.Redis, Title: "job store", Run: t.configured(&cfg, func(ctx context.Context) []check.Finding {
		store, err := jobstore.Open(cfg)
		if err != nil {
			return []check.Finding{{Outcome: check.Fail(err, "mend the REDIS_* settings")}}
		}
		defer store.Close()
		return check.Walk(ctx,
			check.Step{Title: "job store", Gate: true, Run: func(ctx context.Context) check.Outcome {
				if err := store.Ping(ctx); err != nil {
					return check.Fail(err, startIt("redis"))
				}
				return check.OK("answers")
			}},
			check.Step{Title: "persistence, eviction", Run: func(ctx context.Context) check.Outcome {
				complaints, err := store.Durability(ctx)
				if err != nil {
					return check.Fail(err, startIt("redis"))
				}
				if len(complaints) > 0 {
					return check.Fail(errors.New(strings.Join(complaints, "; ")), "set it in redis.conf, and by CONFIG SET")
				}
				return check.OK("keeps an append-only file, evicts nothing")
			}},
		)
	})}
}

// checkBucket looks whether the bucket takes objects.
func (t *tool) checkBucket() check.Check {
	var cfg upload.Config
	return check.Check{Service: check.S3, Title: "bucket", Run: func(ctx context.Context) []check.Finding {
		if !t.anySet("AWS_BUCKET_NAME") {
			return []check.Finding{{Outcome: check.Skip("no bucket of this installation: AWS_BUCKET_NAME is not set")}}
		}
		return t.configured(&cfg, func(ctx context.Context) []check.Finding {
			lake, err := upload.New(ctx, cfg)
			if err == nil {
				err = lake.Ping(ctx)
			}
			if err != nil {
				return []check.Finding{{Outcome: check.Fail(err, startIt("s3"))}}
			}
			return []check.Finding{{Outcome: check.OK("answers")}}
		})(ctx)
	}}
}
