package jobstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Lease is the ownership of a job by one attempt. Every method asks Redis whether the fence still
// owns the job, and answers ErrLeaseLost when another attempt does or the job ended otherwise;
// nothing is written then. When Redis forgot the job or the claim, the lease writes the job back as
// it knows it, and goes on. It is safe for concurrent use.
type Lease struct {
	store   *Store
	id      string
	fence   int64
	attempt int
	targets map[string]bool

	mu    sync.Mutex
	known record          // the job as of the claim, and what was committed since: what a restore writes
	done  map[string]bool // which of the datasets committed are
}

func newLease(s *Store, job ingest.Job, stored record) *Lease {
	l := &Lease{
		store: s, id: job.ID, fence: job.Fence, attempt: job.Attempt, known: stored,
		targets: make(map[string]bool, len(job.Results)), done: map[string]bool{},
	}
	for _, r := range job.Results {
		l.targets[r.Dataset] = true
		l.done[r.Dataset] = r.State == ingest.Done
	}
	return l
}

// Fence returns the number that orders this attempt among all of its job: later ones are greater.
func (l *Lease) Fence() int64 { return l.fence }

// Attempt returns the number of this attempt, from 1.
func (l *Lease) Attempt() int { return l.attempt }

// Renew prolongs the lease from now and records how far the datasets are: those being exported
// and those that failed. Others are ignored: done is what Commit says. It reports whether the
// job's cancellation was requested. Once this attempt has finished the job, it does nothing.
func (l *Lease) Renew(ctx context.Context, progress ingest.Results) (cancelRequested bool, err error) {
	const doing = "renewing a lease"
	args, err := l.progress([]any{l.id, l.fence, milliseconds(l.store.cfg.Lease)}, progress)
	if err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	r, err := l.run(ctx, doing, l.store.scripts.renew, args...)
	if err != nil {
		return false, err
	}
	switch r.text(0) {
	case held:
		return r.number(1) == 1, nil
	case finished: // the renewal crossed our own end of the job
		return false, nil
	default:
		return false, ErrLeaseLost
	}
}

// Progress records how far the datasets are, as Renew does, and leaves the lease alone: it neither
// prolongs nor restores it, and does nothing when it is lost.
func (l *Lease) Progress(ctx context.Context, progress ingest.Results) error {
	const doing = "reporting progress"
	args, err := l.progress([]any{l.id, l.fence}, progress)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	_, err = l.store.run(ctx, doing, l.store.scripts.progress, args...)
	return err
}

// progress appends to args what a script is to record of the datasets.
func (l *Lease) progress(args []any, progress ingest.Results) ([]any, error) {
	for _, p := range progress {
		if p.State != ingest.Exporting && p.State != ingest.Broken {
			continue
		}
		dataset, stored, err := l.encode(p)
		if err != nil {
			return nil, err
		}
		args = append(args, dataset, stored)
	}
	return args, nil
}

// Check answers nil while this attempt owns the job.
func (l *Lease) Check(ctx context.Context) error {
	r, err := l.run(ctx, "checking a lease", l.store.scripts.check, l.id, l.fence)
	if err != nil {
		return err
	}
	if r.text(0) != held {
		return ErrLeaseLost
	}
	return nil
}

// Commit records that a dataset is settled, its object complete: later attempts do not export it
// again. One whose object is to go is committed as failed first, so that none takes it for done.
// Idempotent.
func (l *Lease) Commit(ctx context.Context, result ingest.Result) error {
	const doing = "committing a dataset"
	dataset, stored, err := l.encode(result)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	r, err := l.run(ctx, doing, l.store.scripts.commit, l.id, l.fence, dataset, stored)
	if err != nil {
		return err
	}
	if r.text(0) != held {
		return ErrLeaseLost
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known["result:"+dataset], l.done[dataset] = stored, result.State == ingest.Done
	return nil
}

// Release says why and for how long a job is given back.
type Release struct {
	After   time.Duration // until the next attempt may start
	Outcome string        // of this attempt: ingest.OutcomeRetry or OutcomeHandedBack
	Code    ingest.Code   // of the failure, if any
	Message string        // the same for people
	Failure bool          // counts towards the limit; handing back does not
}

// Release gives the job back: it is queued again, what was committed stays, and the lease is over.
// ErrCancelRequested when the job's cancellation was requested: clean up and finish it as
// cancelled instead. Idempotent.
func (l *Lease) Release(ctx context.Context, rel Release) error {
	const doing = "releasing a job"
	r, err := l.run(ctx, doing, l.store.scripts.release, l.id, l.fence, milliseconds(rel.After),
		rel.Outcome, string(rel.Code), rel.Message, flag(rel.Failure))
	if err != nil {
		return err
	}
	switch r.text(0) {
	case released:
		return nil
	case cancelling:
		return ErrCancelRequested
	default:
		return ErrLeaseLost
	}
}

// Finish says how a job ends.
type Finish struct {
	Status  ingest.Status  // terminal
	Results ingest.Results // of datasets not committed before, or of all
	Code    ingest.Code    // why the job as a whole failed, if it did
	Message string         // the same for people
}

// Finish ends the job for good, puts its event into the outbox and returns it as stored. A job
// whose cancellation was requested may still end as anything: whoever holds the lease decides.
// Repeated, it changes nothing and answers the job as the first call left it.
func (l *Lease) Finish(ctx context.Context, fin Finish) (ingest.Job, error) {
	const doing = "finishing a job"
	if !fin.Status.Terminal() {
		return ingest.Job{}, fmt.Errorf("%s: %q is not the end of a job", doing, fin.Status)
	}
	args := []any{l.id, l.fence, string(fin.Status), string(fin.Code), fin.Message, milliseconds(l.store.cfg.Retention)}
	for _, result := range fin.Results {
		dataset, stored, err := l.encode(result)
		if err != nil {
			return ingest.Job{}, fmt.Errorf("%s: %w", doing, err)
		}
		args = append(args, dataset, stored, flag(result.State == ingest.Done))
	}
	args = append(args, l.committed(fin.Results)...)
	r, err := l.run(ctx, doing, l.store.scripts.finish, args...)
	if err != nil {
		return ingest.Job{}, err
	}
	if r.text(0) != finished {
		return ingest.Job{}, ErrLeaseLost
	}
	job, err := record(r.list(1).fields()).job()
	if err != nil {
		return ingest.Job{}, fmt.Errorf("%s: %w", doing, err)
	}
	return job, nil
}

// committed returns the datasets that are done and not among the others, as the script takes them.
func (l *Lease) committed(others ingest.Results) []any {
	l.mu.Lock()
	defer l.mu.Unlock()
	var args []any
	for dataset, done := range l.done {
		if done && others.Of(dataset) == nil {
			args = append(args, dataset, l.known["result:"+dataset], flag(true))
		}
	}
	return args
}

// What a script says of the fence it was called with, see `standing` in prelude.lua.
const (
	held       = "held"
	released   = "released"
	finished   = "finished"
	forgotten  = "forgotten"
	cancelling = "cancelling" // held, but not to be given back
)

// run executes a fenced script, after writing the job back when Redis forgot it.
func (l *Lease) run(ctx context.Context, doing string, script *redis.Script, args ...any) (reply, error) {
	// Redis may lose the job again between the two calls; it does not do so for ever.
	const patience = 3
	for range patience {
		r, err := l.store.run(ctx, doing, script, args...)
		if err != nil || r.text(0) != forgotten {
			return r, err
		}
		if err := l.restore(ctx); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s: %w: it forgot the job %d times in a row", doing, ErrUnavailable, patience)
}

// restore writes the job as this lease knows it, unless somebody newer owns it: the script then
// changes nothing, and the fenced call that follows is refused.
func (l *Lease) restore(ctx context.Context) error {
	cfg := l.store.cfg
	args := []any{l.id, l.fence, milliseconds(cfg.Lease), milliseconds(cfg.RepublishAfter)}
	l.mu.Lock()
	known := maps.Clone(l.known)
	l.mu.Unlock()
	for field, value := range known {
		args = append(args, field, value)
	}
	_, err := l.store.run(ctx, "restoring a forgotten job", l.store.scripts.restore, args...)
	return err
}

// encode returns the stored form of a dataset's result.
func (l *Lease) encode(r ingest.Result) (dataset, stored string, err error) {
	if !l.targets[r.Dataset] {
		return "", "", fmt.Errorf("dataset %q is not part of job %s", r.Dataset, l.id)
	}
	encoded, err := json.Marshal(r)
	if err != nil {
		return "", "", err
	}
	return r.Dataset, string(encoded), nil
}
