package jobstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Conflict says what becomes of a submission when a job that is not over does the same already: the
// same datasets of the same database by the same catalog.
type Conflict string

// What there is to do.
const (
	Queue  Conflict = ""       // one more job
	Join   Conflict = "join"   // the job that there is
	Reject Conflict = "reject" // nothing: *ConflictError
)

// ConflictError names the jobs that do the same as submissions that were not to be accepted then.
type ConflictError struct {
	JobIDs []string // each once
}

func (e *ConflictError) Error() string {
	return "the same is done already by " + strings.Join(e.JobIDs, ", ")
}

func conflict(ids reply) *ConflictError {
	e := &ConflictError{}
	for i := range ids {
		if id := ids.text(i); !slices.Contains(e.JobIDs, id) {
			e.JobIDs = append(e.JobIDs, id)
		}
	}
	return e
}

// sameness returns a name for what a job does, whatever the order of its datasets.
func sameness(database ingest.Database, targets []ingest.Target, catalogDigest string) string {
	datasets := make([]string, len(targets))
	for i, t := range targets {
		datasets[i] = t.Dataset
	}
	slices.Sort(datasets)
	sum := sha256.New()
	for _, part := range append(datasets, string(database), catalogDigest) {
		_, _ = fmt.Fprintf(sum, "%d ", len(part)) // a hash takes all; lengths keep the parts apart
		_, _ = io.WriteString(sum, part)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
