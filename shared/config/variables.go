package config

import "slices"

// variables lists every INGESTA_* variable that any program of the system reads. A test holds the
// list against the programs' Config structs and against .env.example.
var variables = []string{
	"INGESTA_CONCURRENCY",
	"INGESTA_CONFIRM_TIMEOUT",
	"INGESTA_DEFAULT_WAIT",
	"INGESTA_ENV",
	"INGESTA_GRACE",
	"INGESTA_IDEMPOTENCY_TTL",
	"INGESTA_KEY_TEMPLATE",
	"INGESTA_LEASE",
	"INGESTA_LEASE_GIVE_UP",
	"INGESTA_LEASE_RENEW",
	"INGESTA_MAX_FAILURES",
	"INGESTA_MAX_WAIT",
	"INGESTA_OUTBOX_AGE",
	"INGESTA_REAP_AGE",
	"INGESTA_REAP_INTERVAL",
	"INGESTA_RECONCILE_INTERVAL",
	"INGESTA_REDIS_DIAL_TIMEOUT",
	"INGESTA_REDIS_IO_TIMEOUT",
	"INGESTA_REDIS_PREFIX",
	"INGESTA_REDIS_TIMEOUT",
	"INGESTA_REPUBLISH_AFTER",
	"INGESTA_RETENTION",
	"INGESTA_RETRY_DELAYS",
	"INGESTA_S3_ATTEMPTS",
	"INGESTA_S3_PATH_STYLE",
	"INGESTA_S3_TIMEOUT",
	"INGESTA_SOURCE_SILENCE",
	"INGESTA_UPLOAD_MEMORY",
	"INGESTA_UPLOAD_PARALLEL",
	"INGESTA_UPLOAD_PART_SIZE",
	"INGESTA_URL",
}

// Variables returns the INGESTA_* variables that programs of the system read.
func Variables() []string { return slices.Clone(variables) }
