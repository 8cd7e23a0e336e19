package jobstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Submission asks for one job.
type Submission struct {
	ID       string
	Database ingest.Database
	// Targets name the datasets and their keys. The literal {stamp} in a key becomes the second of
	// acceptance, as 20060102_150405, with _2, _3… for later jobs of the same database and second.
	Targets       []ingest.Target
	RequestedBy   string
	RequestID     string
	RetryOf       string
	CatalogDigest string
	OnConflict    Conflict
}

// Idempotency marks a request that its client may repeat.
type Idempotency struct {
	Subject  string // who asks; keys of different subjects are unrelated
	Key      string // chosen by the client
	BodyHash string // tells whether a repeated request is the same
	Lasting  bool   // known as long as terminal jobs are kept, if that is longer than Config.IdempotencyTTL
}

// Acceptance is the answer to accepted submissions.
type Acceptance struct {
	Jobs     []ingest.Job // in the order of the submissions, keys resolved
	Joined   []bool       // for each of Jobs, whether it is a job of another request that does the same; nil: none
	Replayed bool         // true when these are the jobs of an earlier request with the same idempotency key
	// Unconfirmed names the jobs whose command is still in the outbox: nobody knows yet that the
	// broker has it. For jobs just accepted that is all of them.
	Unconfirmed []string
}

// Accept records the submitted jobs as queued, all or none, with a command for each in the outbox.
// The caller publishes the commands and settles them; what it does not get to, the reconciler does.
//
// With idem, a repeated request gets the jobs of the first while all of them exist; one with
// another body gets ErrIdempotencyMismatch. Submitting an id that exists creates nothing and
// answers what is stored.
//
// A submission that would Join gets the oldest job that does the same, is not over and not to be
// cancelled, if there is one; nobody discards that from then on. If there is one for any that would
// Reject, nothing is accepted: *ConflictError.
func (s *Store) Accept(ctx context.Context, subs []Submission, idem *Idempotency) (Acceptance, error) {
	const doing = "accepting jobs"
	if len(subs) == 0 {
		return Acceptance{}, fmt.Errorf("%s: there is no submission", doing)
	}
	args, made := s.acceptance(idem), make([]record, len(subs))
	for i, sub := range subs {
		if err := errors.Join(checkNames(sub.ID, sub.Database), checkTargets(sub.Targets)); err != nil {
			return Acceptance{}, fmt.Errorf("%s: %w", doing, err)
		}
		targets, err := json.Marshal(sub.Targets)
		if err != nil {
			return Acceptance{}, fmt.Errorf("%s: %w", doing, err)
		}
		made[i] = record{"status": string(ingest.Queued)}
		for _, f := range [...][2]string{
			{"id", sub.ID}, {"database", string(sub.Database)}, {"requested_by", sub.RequestedBy}, {"request_id", sub.RequestID},
			{"retry_of", sub.RetryOf}, {"catalog_digest", sub.CatalogDigest}, {"targets", string(targets)},
		} {
			made[i][f[0]] = f[1]
			args = append(args, f[1])
		}
		args = append(args, sameness(sub.Database, sub.Targets, sub.CatalogDigest), string(sub.OnConflict))
	}
	return s.accept(ctx, doing, args, made)
}

// Recall returns the jobs of an earlier request under the idempotency key, as Accept answers a
// repetition, and makes none: ErrNotFound when there was no such request, or its jobs are gone.
func (s *Store) Recall(ctx context.Context, idem Idempotency) (Acceptance, error) {
	return s.accept(ctx, "recalling accepted jobs", s.acceptance(&idem), nil)
}

// acceptance returns the arguments of the script that come before the jobs.
func (s *Store) acceptance(idem *Idempotency) []any {
	recordName, bodyHash, ttl := "", "", s.cfg.IdempotencyTTL
	if idem != nil {
		// Hashed, because both parts come from clients and may hold anything.
		sum := sha256.Sum256([]byte(idem.Subject + "\x00" + idem.Key))
		recordName, bodyHash = hex.EncodeToString(sum[:]), idem.BodyHash
		if idem.Lasting {
			ttl = max(ttl, s.cfg.Retention)
		}
	}
	return []any{recordName, bodyHash, milliseconds(ttl), milliseconds(s.cfg.RepublishAfter)}
}

// accept runs the script. The records are those of the jobs that it may make, as far as the caller
// has them.
func (s *Store) accept(ctx context.Context, doing string, args []any, made []record) (Acceptance, error) {
	r, err := s.run(ctx, doing, s.scripts.accept, args...)
	if err != nil {
		return Acceptance{}, err
	}
	a := Acceptance{}
	switch outcome := r.text(0); outcome {
	case "accepted":
	case "replayed":
		a.Replayed = true
	case "mismatch":
		return Acceptance{}, ErrIdempotencyMismatch
	case "conflict":
		return Acceptance{}, conflict(r[1:])
	case "unknown":
		return Acceptance{}, ErrNotFound
	default:
		return Acceptance{}, unexpected(doing, outcome)
	}
	joined, anyJoined := make([]bool, len(r)-1), false
	for i := 1; i < len(r); i++ {
		stored := r.list(i)
		fields := record(stored.list(1).fields())
		if fields["id"] == "" && i <= len(made) { // made by this very call
			maps.Copy(fields, made[i-1])
		}
		job, err := fields.job()
		if err != nil {
			return Acceptance{}, fmt.Errorf("%s: %w", doing, err)
		}
		a.Jobs = append(a.Jobs, job)
		joined[i-1] = stored.number(2) == 1
		anyJoined = anyJoined || joined[i-1]
		if stored.number(0) == 1 && !job.Status.Terminal() {
			a.Unconfirmed = append(a.Unconfirmed, job.ID)
		}
	}
	if anyJoined {
		a.Joined = joined
	}
	return a, nil
}

// Discard undoes an acceptance that the broker refused: jobs never claimed vanish, with their
// outbox entries and idempotency record, unless their command was confirmed after all, for a
// repetition of the request, or another request joined them. It reports whether none of the jobs is
// left. Unknown ids are no error.
func (s *Store) Discard(ctx context.Context, ids ...string) (gone bool, err error) {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	r, err := s.run(ctx, "discarding jobs", s.scripts.discard, args...)
	if err != nil {
		return false, err
	}
	return r.number(1) == 0, nil
}
