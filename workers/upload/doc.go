// Package upload streams objects into S3.
//
// An object is written like a file and appears in the bucket whole or not at all: every object is
// a multipart upload, however small, whose completion is conditional and fenced. Parts are sent
// in parallel while the producer still reads; the SHA-256 runs beside them over the very bytes
// that leave.
//
// Guarantees
//   - Nothing is visible at a key before Complete succeeded, and Complete never succeeds for a
//     producer that failed: whoever does not complete aborts, and an abort leaves no upload.
//   - An object is never overwritten blindly. Completion demands that nothing stands at the key,
//     or exactly the older object of the same job that is to be replaced. The metadata of what
//     stands there decides every doubt: a lost reply, a refused condition, a vanished upload.
//   - An attempt whose fence is older than the object's never replaces it.
//   - All objects of a Store together use at most the configured memory for parts, whatever the
//     size and number of the objects; an idle Store holds none.
//   - Every request has a bounded time and a bounded number of tries.
//
// Not guaranteed: a server that ignores If-None-Match silently cannot be told from one that
// honours it. A reply of CreateMultipartUpload that is lost may leave an empty upload behind: Complete
// sweeps it up if the object was begun by another try; if none succeeded, or the object is not
// completed, it stays until AbortStale, the reaper (see StaleUploads) or a life-cycle rule of the
// bucket removes it.
//
// Delete looks at the object, asks the guard, and deletes it if its ETag is still the same. The ETag
// does not tell two attempts apart that wrote the same bytes, and a server without conditional
// deletes tells none apart: what a later attempt completes between the guard's answer and the moment
// the deletion takes effect, be it one that stalls on its way, is deleted too.
//
// Errors are *ingest.Error: StorageUnavailable (transient), StorageDenied, ObjectConflict and
// LeaseLost. When the caller's context ended, its cause is returned instead.
package upload
