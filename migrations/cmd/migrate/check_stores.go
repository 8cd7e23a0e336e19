package main

import (
	"cmp"
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
				version, err := store.Probe(ctx)
				if err != nil {
					return check.Fail(err, redisStep(err))
				}
				return check.OK("a key was written, read, and expired", "Redis "+version)
			}},
			check.Step{Title: "persistence, eviction", Run: func(ctx context.Context) check.Outcome {
				complaints, err := store.Durability(ctx)
				if err != nil {
					return check.Fail(err, redisStep(err))
				}
				if len(complaints) > 0 {
					return check.Fail(errors.New(strings.Join(complaints, "; ")), "set it in redis.conf, and by CONFIG SET")
				}
				return check.OK("keeps an append-only file, evicts nothing")
			}},
		)
	})}
}

// redisStep returns what to do about a failure of the probe.
func redisStep(err error) string {
	switch {
	case errors.Is(err, jobstore.ErrNoPassword), errors.Is(err, jobstore.ErrWrongPassword):
		return "set REDIS_PASSWORD to what the server was started with (requirepass)"
	case errors.Is(err, jobstore.ErrForbidden):
		return "let the user use all commands on all keys that begin with INGESTA_REDIS_PREFIX"
	case errors.Is(err, jobstore.ErrReadOnly):
		return "set REDIS_HOST to the primary, or bring its replicas back"
	case errors.Is(err, jobstore.ErrFull):
		return "give the server more memory (maxmemory), or remove what others keep there"
	case errors.Is(err, jobstore.ErrNotSaving):
		return "free space on the disk of the server, and look at its log"
	case errors.Is(err, jobstore.ErrUnreachable):
		return startIt("redis")
	default:
		return "look at the server's log: make logs"
	}
}

// checkBucket looks whether the bucket takes objects.
func (t *tool) checkBucket() check.Check {
	var cfg upload.Config
	return check.Check{Service: check.S3, Title: "bucket", Run: func(ctx context.Context) []check.Finding {
		if !t.process.AnySet("AWS_BUCKET_NAME") {
			return []check.Finding{{Outcome: check.Skip("no bucket of this installation: AWS_BUCKET_NAME is not set")}}
		}
		return t.configured(&cfg, func(ctx context.Context) []check.Finding {
			lake, err := upload.New(ctx, cfg)
			if err == nil {
				err = lake.Probe(ctx)
			}
			if err != nil {
				return []check.Finding{{Outcome: bucketFailure(cfg, err)}}
			}
			return []check.Finding{{Outcome: check.OK("an object was written, read and deleted in " + cfg.Bucket)}}
		})(ctx)
	}}
}

// bucketFailure is the outcome of a probe of the bucket that failed. What S3 said at length is for
// those who want more.
func bucketFailure(cfg upload.Config, err error) check.Outcome {
	for _, known := range []struct {
		reason error
		step   string
	}{
		{upload.ErrUnreachable, "mend AWS_ENDPOINT_URL (" + cmp.Or(cfg.Endpoint, "Amazon's") + ") or the network; a server of your own: start it"},
		{upload.ErrNoCredentials, "give the SDK credentials: a role, ~/.aws/credentials, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
		{upload.ErrCredentials, "mend key and secret, or renew them: session tokens expire"},
		{upload.ErrAccessDenied, "allow s3:GetObject, s3:PutObject, s3:DeleteObject, s3:ListBucket and the multipart actions on " + cfg.Bucket},
		{upload.ErrNoBucket, "create " + cfg.Bucket + ", or mend AWS_BUCKET_NAME and AWS_REGION"},
	} {
		if errors.Is(err, known.reason) {
			return check.Fail(known.reason, known.step, err.Error())
		}
	}
	return check.Fail(err, "look at what S3 says")
}
