// Package broker carries commands to workers and events to subscribers over RabbitMQ. It is the
// only user of the AMQP client library, and the one place where exchanges, queues and message
// properties are written down (see Topology).
//
// What it guarantees:
//
//   - A publish that returns nil was confirmed by the broker: the message lies on the disk of every
//     queue it was meant for. Any other outcome says how much is known: ErrUnavailable (nothing
//     was sent), ErrRefused and ErrUnroutable (the broker has it not), ErrUnknown (perhaps).
//   - Publishing ends in bounded time, also while a broker short of memory or disk has stopped
//     reading: from then on it fails at once with ErrUnavailable, until the alarm ends.
//   - Connections come back by themselves, with backoff; the topology is declared again on each,
//     and consumers resume. A queue that exists with other arguments is reported by name and
//     retried slowly.
//   - An acknowledgement never crosses connections: it goes over the channel that delivered, or it
//     is refused with ErrStale and the message comes again.
//   - Losing a connection never stops a handler.
//   - Reading the dead letters takes none away and keeps their order, whoever reads and however
//     often, given the policies: without them brokers of version 4 drop a letter that was read
//     twenty times.
//   - A message leaves its queue for a delay or for the dead letters only after the broker has
//     confirmed it there: it may be doubled by a crash in between, never lost.
//
// What it does not: delivery is at least once, so handlers must bear repetition. An acknowledgement
// that returned nil was sent, not confirmed; AMQP has no answer to it. Subscribers miss the events
// published while they were away. Nothing is ordered.
//
// It runs on RabbitMQ 3.10 to 4.x. Limits (queue length, message age, delivery limit) are policies
// of the broker, not arguments: those could never be changed again.
package broker
