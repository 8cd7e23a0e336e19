package ingest

import (
	"errors"
	"fmt"
)

// Code is a stable, machine-readable name of a failure. Codes cross process boundaries: they
// stand in job bodies, events, manifests and dead-letter headers, so one is never renamed.
type Code string

// The failures of an ingestion.
const (
	// Of the source.
	TableNotFound     Code = "table_not_found"    // the table or collection does not exist
	ColumnNotFound    Code = "column_not_found"   // a declared column does not exist
	SourceUnavailable Code = "source_unavailable" // the database cannot be reached, or went away
	SourceDenied      Code = "source_denied"      // login or permission refused
	QueryFailed       Code = "query_failed"       // the database refused the statement
	UnsupportedType   Code = "unsupported_type"   // a column's type has no place in the dialect
	UnknownDataset    Code = "unknown_dataset"    // the worker's catalog has no such dataset

	// Of the lake.
	StorageUnavailable Code = "storage_unavailable" // S3 cannot be reached, or asks to slow down
	StorageDenied      Code = "storage_denied"      // S3 refused the credentials or the bucket
	ObjectConflict     Code = "object_conflict"     // another job's object stands at the key

	// Of the job itself.
	AttemptsExhausted   Code = "attempts_exhausted"    // failed as often as it may
	JobStoreUnavailable Code = "job_store_unavailable" // Redis cannot be reached
	LeaseLost           Code = "lease_lost"            // another attempt owns the job now
	JobCancelled        Code = "cancelled"             // ended on request
	Shutdown            Code = "shutdown"              // handed back by a worker that is stopping
	MalformedCommand    Code = "malformed_command"     // the command cannot be read
	UnsupportedVersion  Code = "unsupported_version"   // the command is of a version not known here
	Internal            Code = "internal"              // a defect of ours: the log has the cause
)

// Codes lists every failure.
func Codes() []Code {
	return []Code{
		TableNotFound, ColumnNotFound, SourceUnavailable, SourceDenied, QueryFailed, UnsupportedType, UnknownDataset,
		StorageUnavailable, StorageDenied, ObjectConflict,
		AttemptsExhausted, JobStoreUnavailable, LeaseLost, JobCancelled, Shutdown, MalformedCommand, UnsupportedVersion, Internal,
	}
}

// Error is a failure with a name. Message is safe to show to anyone who may see the job: it
// holds no credential, address or statement. The cause is for the log alone.
type Error struct {
	Code      Code
	Message   string
	Transient bool  // true when the same work may succeed later
	Cause     error // may be nil
}

// Permanent returns a failure that repeating the work cannot mend.
func Permanent(code Code, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// Transient returns a failure that may pass by itself.
func Transient(code Code, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Transient: true, Cause: cause}
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// AsError returns the *Error that err carries. An error that carries none is a defect nobody
// foresaw: it comes back as a permanent internal failure whose message tells nothing of the
// cause: what is not known to pass must not be repeated for ever. AsError(nil) is nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return Permanent(Internal, err, "the worker failed in a way nobody foresaw; its log has the cause")
}

// HasCode reports whether err carries the code.
func HasCode(err error, code Code) bool {
	e := AsError(err)
	return e != nil && e.Code == code
}

// IsTransient reports whether err carries a failure that may pass by itself.
func IsTransient(err error) bool {
	e := AsError(err)
	return e != nil && e.Transient
}
