// Package api is the HTTP face of the gateway: routes, request decoding, answers, errors, access
// log and request metrics.
//
// It guarantees that every answer other than success is problem+json (RFC 9457) with a stable
// code and the request's id, that no answer tells of the inside, and that a request it cannot
// read is refused with a reason rather than guessed at. What the answers mean for jobs is the
// part of package jobs.
package api
