// Package ingest is the vocabulary of the system: what a job is, which states it may pass
// through, how a command and an event look on the wire, and how a failure is named.
//
// It holds facts, not machinery: no driver, no network, no clock. Every other package speaks in
// its types, so a word has one meaning from the HTTP answer to the worker's log.
//
//   - A database is one kind of source (mongodb, mysql, postgresql).
//   - A dataset is one named thing exported to one object: a table, a collection or a query.
//   - A job is one accepted request to export datasets of one database.
//   - A command is the message that tells a worker of a job.
//   - An attempt is one claim of a job by a worker, fenced by a number that only grows.
//   - An event is a published fact about a job.
package ingest
