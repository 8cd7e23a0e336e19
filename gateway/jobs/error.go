package jobs

import "fmt"

// Code is a stable, machine-readable name of a reason why a request was not met. Clients branch
// on codes, so one is never renamed.
type Code string

// The reasons.
const (
	UnknownDatabase     Code = "unknown_database"
	UnknownDataset      Code = "unknown_dataset"
	DuplicateDataset    Code = "duplicate_dataset"
	NoDatasets          Code = "no_datasets"
	NotFound            Code = "job_not_found"
	Over                Code = "job_over"                // the job is in a terminal state
	NotOver             Code = "job_not_over"            // the job is in none
	Succeeded           Code = "job_succeeded"           // the job has left nothing undone
	Conflicting         Code = "job_conflict"            // another job does the same, and the order is not to be joined to it
	DatabaseGone        Code = "database_not_in_catalog" // it was when the job was made
	DatasetGone         Code = "dataset_not_in_catalog"  // it was when the job was made
	LetterNotFound      Code = "dead_letter_not_found"
	LetterUnreadable    Code = "dead_letter_unreadable" // it holds no command that this version reads
	LettersBusy         Code = "dead_letters_busy"      // others are reading them
	InvalidCursor       Code = "invalid_cursor"
	IdempotencyMismatch Code = "idempotency_key_reused"
	StoreUnavailable    Code = "redis_unavailable"
	BrokerUnavailable   Code = "rabbitmq_unavailable"
	Unconfirmed         Code = "acceptance_unconfirmed" // accepted, but the broker's word is missing
)

// Codes lists every reason.
func Codes() []Code {
	return []Code{
		UnknownDatabase, UnknownDataset, DuplicateDataset, NoDatasets, NotFound, Over, NotOver, Succeeded,
		Conflicting, DatabaseGone, DatasetGone, LetterNotFound, LetterUnreadable, LettersBusy, InvalidCursor,
		IdempotencyMismatch, StoreUnavailable, BrokerUnavailable, Unconfirmed,
	}
}

// Error says why a request was not met. Message is safe to show to the client; the cause is for
// the log alone.
type Error struct {
	Code    Code
	Message string
	Known   []string // what could have been named instead, where that is a short list
	Fields  []Field  // which parts of the request are at fault
	JobIDs  []string // of Unconfirmed: the jobs that were kept; of Conflicting: those that do the same
	Cause   error    // may be nil
}

// Field is one part of a request that is at fault.
type Field struct {
	Pointer string // JSON pointer into the body
	Detail  string
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

func refuse(code Code, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Cause: cause}
}
