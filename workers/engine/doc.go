// Package engine runs jobs: it turns one delivered command into objects in S3, a finished job in
// Redis and a completion event, exactly once as far as anyone outside can see.
//
// The life of a delivery:
//
//	claim the job ─┬─ over: remove what is left in S3, acknowledge
//	               ├─ busy or early: park the delivery
//	               └─ claimed: for each dataset not committed yet
//	                      prepare → stream into a multipart upload → complete → commit
//	                  then manifest → finish → event → acknowledge
//
// What it guarantees:
//
//   - A dataset's object becomes visible only whole, and only while this attempt owns the job:
//     the fence is checked right before completion and again by the commit.
//   - One dataset's failure does not stop the others.
//   - A failure that may pass releases the job and parks the delivery; only datasets that were
//     not committed run again. A permanent one ends the dataset.
//   - Losing the broker never stops an attempt. Losing the lease, a cancellation or a shutdown
//     does, and the query on the server with it.
//   - A job that is over has nothing in S3 but the objects of its committed datasets and the manifest
//     that names them; a cancelled one has nothing at all. Where that cannot be brought about at
//     once, because S3 is away, the delivery is parked until it can, for a day at most.
//   - A cancellation that comes after the manifest, or after the last commit, comes too late: also
//     when the worker that got so far is dead.
//   - The delivery is acknowledged last. Whatever happens before, it comes again, and the claim
//     decides what is left to do.
//
// Uploads that nobody comes by to abort, because their job is forgotten or was a success all the
// same, are reaped once they are a day old. Not guaranteed: an upload that is older and whose job
// another worker runs is reaped in the seconds between a flush of Redis and the renewal that brings
// the job back; its dataset is exported again. Systems that share bucket and key template, and not
// Redis, reap each other's.
//
// It knows databases only as a Source; each of the worker packages provides one.
package engine
