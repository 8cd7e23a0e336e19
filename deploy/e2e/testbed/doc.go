// Package testbed runs the whole system as real processes on servers of its own, gives tests the
// means to break every part of it, and verifies afterwards that nothing was lost, doubled, cut
// short or left behind.
//
// A test brings the servers up once (Up), and makes a System of its own on them for each scenario:
// a gateway and workers in a virtual host, key prefix and bucket that nobody else uses. It breaks
// servers (Servers), processes (Process), connections (Wire) and single requests to S3 (Lake). At
// the end Audit holds every job, object, event and queue against the invariants:
//
//	I1  every accepted job reaches exactly one terminal state
//	I2  success means that the objects exist, and their rows and SHA-256 are those of the record
//	I3  the fence of a job never decreases
//	I4  no multipart upload is left
//	I5  every end has at least one event, and always one event id
//	I6  queues drain, goroutines and memory return to where they were
//	I7  no object is cut short, or written by an attempt that had lost its job
//
// There is no failpoint in the product: a process is stopped at a chosen line by holding what it
// says or hears there on the wire.
package testbed
