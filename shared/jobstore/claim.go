package jobstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Outcome is the answer to a claim.
type Outcome string

// The outcomes of a claim.
const (
	Claimed   Outcome = "claimed"   // the job is the caller's, for as long as it renews the lease
	Exhausted Outcome = "exhausted" // the same, but it failed as often as it may: finish it as an error
	Over      Outcome = "over"      // the job is terminal
	Busy      Outcome = "busy"      // another attempt holds a live lease
	Early     Outcome = "early"     // the next attempt may not start yet
	Unknown   Outcome = "unknown"   // there is no such job, and it was not to be adopted
)

// ClaimRequest asks for a job.
type ClaimRequest struct {
	Command ingest.Command
	Worker  string // who asks, for the record
	Adopt   bool   // create the job from the command when it is unknown
	Nonce   string // names this claim, so that it counts once however often it is made (see NewNonce)
}

// NewNonce returns a name that no other claim has.
func NewNonce() string { return rand.Text() }

// Claim is the answer to a ClaimRequest.
type Claim struct {
	Outcome     Outcome
	Job         ingest.Job    // zero when Unknown
	RetryAfter  time.Duration // when Busy or Early: until a claim may succeed
	KeptFor     time.Duration // when Over: until the job is forgotten, and its command would make it anew
	EndedAgo    time.Duration // when Over
	Adopted     bool          // the job was once unknown, and made anew from its command: it may have ended before
	Lease       *Lease        // when Claimed or Exhausted, else nil
	Failures    int           // transient failures and expired leases so far
	MaxFailures int           // at this many the job is over
}

// LastChance reports whether one more failure exhausts the job: instead of releasing it, its
// holder then finishes it as an error.
func (c Claim) LastChance() bool { return c.Failures+1 >= c.MaxFailures }

// Claim tries to make the caller the owner of the command's job. It succeeds for a queued job that
// is due, and for a running one whose lease is dead: that counts as a failure of the job, and ends
// the attempt before as expired. Each success has a fence greater than all before.
//
// A claim that was answered with ErrUnavailable may have succeeded: made again with the same nonce, it
// gets that lease. Without a nonce each call is a claim of its own.
//
// A claimed job may already have CancelRequested set: then clean up and finish it as cancelled.
func (s *Store) Claim(ctx context.Context, req ClaimRequest) (Claim, error) {
	const doing = "claiming a job"
	c := req.Command
	if err := errors.Join(checkNames(c.JobID, c.Database), checkTargets(c.Targets)); err != nil {
		return Claim{}, fmt.Errorf("%s: %w", doing, err)
	}
	targets, err := json.Marshal(c.Targets)
	if err != nil {
		return Claim{}, fmt.Errorf("%s: %w", doing, err)
	}
	nonce := req.Nonce
	if nonce == "" {
		nonce = NewNonce()
	}
	r, err := s.run(ctx, doing, s.scripts.claim,
		c.JobID, nonce, req.Worker, milliseconds(s.cfg.Lease), s.cfg.MaxFailures, milliseconds(s.cfg.RepublishAfter), flag(req.Adopt),
		string(c.Database), c.RequestedBy, c.RequestID, c.RetryOf, c.CatalogDigest, targets, max(0, c.AcceptedAt.UnixMilli()),
		sameness(c.Database, c.Targets, c.CatalogDigest))
	if err != nil {
		return Claim{}, err
	}
	claim := Claim{Outcome: Outcome(r.text(0)), MaxFailures: s.cfg.MaxFailures}
	wait := time.Duration(r.number(1)) * time.Millisecond
	if claim.Outcome == Unknown {
		return claim, nil
	}
	stored := record(r.list(2).fields())
	if claim.Job, err = stored.job(); err != nil {
		return Claim{}, fmt.Errorf("%s: %w", doing, err)
	}
	failures, err := stored.number("failures")
	if err != nil {
		return Claim{}, fmt.Errorf("%s: %w", doing, err)
	}
	claim.Failures = int(failures)
	claim.Adopted = stored["adopted"] != ""
	switch claim.Outcome {
	case Claimed, Exhausted:
		claim.Lease = newLease(s, claim.Job, stored)
	case Over:
		claim.KeptFor = wait
		claim.EndedAgo = max(0, time.Duration(r.number(3)-claim.Job.FinishedAt.UnixMilli())*time.Millisecond)
	case Busy, Early:
		claim.RetryAfter = wait
	default:
		return Claim{}, unexpected(doing, string(claim.Outcome))
	}
	return claim, nil
}
