// Package api is the HTTP face of the gateway: routes and who may use them, request decoding,
// answers, errors, access log and request metrics.
//
// It guarantees that every answer other than success is problem+json (RFC 9457) with a stable
// code and the request's id, that no answer tells of the inside, and that a request it cannot
// read is refused with a reason rather than guessed at. What the answers mean for jobs is the
// part of package jobs, and who a caller is that of package auth.
//
// Every route needs a scope, but for four that are open: /health and /ready, because those who
// start, stop and balance gateways have no tokens; /metrics, because Prometheus has none either, and
// its numbers tell of no one's data (they are meant for the inside: a proxy in front should not
// pass the path on); and /, which tells people who find the service what it is.
package api
