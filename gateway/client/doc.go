// Package client is the gateway's HTTP API for Go programs: the operator's command line is one.
//
// It guarantees:
//
//   - A request that the gateway refuses comes back as *Problem, one that gets no answer as
//     *Unreachable. What the end of the context says comes back as that.
//   - A request for jobs carries an idempotency key, and a replay of a dead letter is one by itself:
//     both are repeated when the answer got lost or the gateway is short of a server, and make their
//     jobs once. So are requests that change nothing. Others are sent once.
//   - Watch outlasts the gateway's restarts: it resumes where it was, and tells every end.
//   - The token goes to the gateway and nowhere else: redirects are not followed with it.
//
// It knows nothing of the server's packages: the contract between the two is the documented one.
package client
