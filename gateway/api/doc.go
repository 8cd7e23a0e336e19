// Package api is the HTTP face of the gateway: routes and who may use them, request decoding,
// answers, errors, streams of events, access log, audit log and request metrics. Other parts of the
// gateway have their routes served behind the same door, see Route.
//
// It guarantees that every answer other than success is problem+json (RFC 9457) with a stable
// code and the request's id, that no answer tells of the inside, and that a request it cannot
// read is refused with a reason rather than guessed at. What the answers mean for jobs is the
// part of package jobs, and who a caller is that of package auth.
//
// A request passes, in this order: compression of its answer; its ids, log lines and the form of its
// errors (observe); what pages of other origins may do (origins); who asks, and whether they may
// (authenticate); how much they may ask (limit); the handler. A body is read by the handler, so by
// nobody who is refused. Each request that changes something, refused or not, leaves one line "audit" in
// the log, at level info: it is not for production to log less.
//
// Of the API's own routes every one needs a scope, but for four that are open: /health and /ready,
// because those who start, stop and balance gateways have no tokens; /metrics, because Prometheus has none
// either, and its numbers tell of no one's data (they are meant for the inside: a proxy in front should
// not pass the path on); and /, which tells programs that find the service what it is.
//
// Streams hold no event back: to a slow client they send the latest state when it has read the one
// before, and one that reads nothing is cut off. How many streams there are is not limited; how fast one
// caller may open them is.
package api
