// Package jobstore keeps jobs in Redis and decides who may do what with them.
//
// Its job: every step of a job's life is one Lua script that compares and sets on the server's own
// clock, so that of any number of gateways and workers exactly one wins. See STATE.md for the
// state machine, the keys and what happens at each crash point.
//
// It guarantees, as long as Redis keeps what it acknowledged:
//
//   - A job has at most one live lease, and each claim's fence is greater than the one before.
//   - A write under an older fence is refused with ErrLeaseLost, whatever the stale worker believes.
//   - A terminal job never changes again, and only terminal jobs expire.
//   - Acceptance and end of a job put their message into the outbox in the same script: it is
//     published at least once, however often processes die.
//   - Each transition is remembered for a while, in order, for whoever follows jobs and was away.
//   - Each call may be executed twice (the client repeats it when a reply is lost) and has the
//     effect and the answer of once.
//
// When Redis loses everything (FLUSHALL), whoever holds a lease writes its job back under its
// fence, and a worker may adopt a job from its command. Lost then are idempotency records, queued
// jobs whose command is lost too, and the cancellation of a queued job.
//
// It does not publish messages, run timers or touch S3: callers ask for what is overdue, stalled
// or abandoned, and act.
package jobstore
