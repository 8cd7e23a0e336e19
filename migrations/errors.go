package migrations

import "errors"

// ServerError is a failure to reach or use the server, with its next step in words.
type ServerError struct {
	Transient bool   // the server may be there in a moment: trying again makes sense
	Number    uint16 // the server's error number; 0 when it did not answer
	Message   string // the cause and the next step
	cause     error
}

func (e *ServerError) Error() string { return e.Message }
func (e *ServerError) Unwrap() error { return e.cause }

// Transient reports whether err is a failure that may pass by itself.
func Transient(err error) bool {
	refused, ok := errors.AsType[*ServerError](err)
	return ok && refused.Transient
}

// DirtyError says that a migration stopped half-way.
type DirtyError struct {
	Version uint // that schema_migrations names
}

func (e *DirtyError) Error() string { return "dirty" }

// AdoptionError says why a database that holds some of the schema is not adopted.
type AdoptionError struct {
	Database string
	Problems []string // each thing that is wrong
}

func (e *AdoptionError) Error() string { return "half-made" }

// UnknownVersionError names a version that this program has no migration for.
type UnknownVersionError struct {
	Version, Latest uint
}

func (e *UnknownVersionError) Error() string { return "unknown version" }

// BusyError says that another migrator held the lock all the time.
type BusyError struct {
	Database string
}

func (e *BusyError) Error() string { return "busy" }
