package api

// Headers that Echo has no name for.
const (
	headerETag                = "ETag"
	headerIdempotencyKey      = "Idempotency-Key"
	headerIdempotencyReplayed = "Idempotency-Replayed"
	headerIfNoneMatch         = "If-None-Match"
	headerLastEventID         = "Last-Event-ID"
	headerLink                = "Link"
	headerPrefer              = "Prefer"
	headerPreferenceApplied   = "Preference-Applied"
	headerRateLimit           = "RateLimit"
	headerRateLimitPolicy     = "RateLimit-Policy"
	headerTraceparent         = "Traceparent"
	headerTracestate          = "Tracestate"
)
