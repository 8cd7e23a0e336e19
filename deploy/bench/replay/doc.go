// Package replay serves the documents of one collection over MongoDB's wire protocol from memory, as
// fast as a client can take them: what it sends of a batch lies ready, and no document is looked at.
//
// It is a server to measure clients with. It knows the commands by which drivers and tools read a
// collection from its beginning to its end, honours their batch sizes and a real server's limit of 16
// MiB for a batch, and refuses all others, and a find for less than the whole collection, so that
// nobody measures something that was not served. A projection, a sort order and a hint are not heeded.
// There is no authentication.
package replay
