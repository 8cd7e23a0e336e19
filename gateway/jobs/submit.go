package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// The limits of the steps of an acceptance. Together they stay below the server's write timeout.
const (
	acceptTimeout  = 5 * time.Second
	publishTimeout = 10 * time.Second
	tidyTimeout    = 5 * time.Second
)

// Receipt is what became of a request that was accepted.
type Receipt struct {
	Jobs     []ingest.Job // one per order, in their order
	Replayed bool         // an earlier request with the same idempotency key had made them
	Joined   []bool       // for each of Jobs, whether it is the job of another request, which does the same work; nil: none
}

// Submit accepts the orders, all or none, and returns once Redis has recorded their jobs and
// RabbitMQ has confirmed their commands. Its *Error says how things stand otherwise:
//
//   - the order itself is at fault, Redis or RabbitMQ is away: no job was made;
//   - Conflicting: the same work is queued or running, and an order was to be rejected then: no job was
//     made;
//   - NotFound, NotOver, Succeeded, DatabaseGone and DatasetGone: the job to retry is not known, or
//     not one to retry, or names what the catalog no longer has;
//   - Unconfirmed: the jobs exist and will run unless cancelled, but not all commands are
//     confirmed. Repeating the request with the same idempotency key is safe and asks for the
//     confirmation again.
//
// Once begun it is carried to its end even when ctx is cancelled: a client that hangs up leaves
// either an accepted job or none.
func (s *Service) Submit(ctx context.Context, r Request) (Receipt, error) {
	r.Orders = slices.Clone(r.Orders)
	for i := range r.Orders {
		if r.Orders[i].OnConflict == Queue { // said or not, it is the same request
			r.Orders[i].OnConflict = ""
		}
	}
	receipt, err := s.submit(ctx, r)
	var databases []ingest.Database
	for _, order := range r.Orders {
		databases = append(databases, order.Database)
	}
	s.count(databases, receipt, err)
	return receipt, err
}

// count counts what became of orders for the databases.
func (s *Service) count(databases []ingest.Database, receipt Receipt, err error) {
	refused, _ := errors.AsType[*Error](err)
	for i, db := range databases {
		if _, known := s.catalog.Database(db); !known {
			continue // a label must not be the client's invention
		}
		switch {
		case err == nil && receipt.Joined != nil && receipt.Joined[i]:
			s.metrics.joined(db)
		case err == nil:
			s.metrics.accepted(db, receipt.Replayed)
		case refused != nil:
			s.metrics.refused(db, refused.Code)
		}
	}
}

// submit is Submit but for the counting. It fills in the databases of orders that retry a job.
func (s *Service) submit(ctx context.Context, r Request) (Receipt, error) {
	idempotency, err := r.idempotency()
	if err != nil {
		return Receipt{}, err
	}
	if idempotency != nil && slices.ContainsFunc(r.Orders, func(o Order) bool { return o.RetryOf != "" }) {
		// A repetition is answered as the first was, whatever became of the job and the catalog.
		if receipt, known, err := s.recall(ctx, *idempotency, r.Traceparent); known || err != nil {
			for i, job := range receipt.Jobs {
				r.Orders[i].Database = job.Database
			}
			return receipt, err
		}
	}
	works := make([]work, len(r.Orders))
	for i, order := range r.Orders {
		if works[i], err = s.workOf(ctx, order); err != nil {
			r.Orders[i].Database = works[i].database
			return Receipt{}, err
		}
		r.Orders[i].Database = works[i].database
		works[i].onConflict = order.OnConflict
	}
	return s.accept(ctx, works, idempotency, r)
}

// recall answers the repetition of a request that made jobs before. It reports whether there was
// one.
func (s *Service) recall(ctx context.Context, idempotency jobstore.Idempotency, traceparent string) (Receipt, bool, error) {
	acceptance, err := s.store.Recall(ctx, idempotency)
	switch {
	case errors.Is(err, jobstore.ErrNotFound):
		return Receipt{}, false, nil
	case errors.Is(err, jobstore.ErrIdempotencyMismatch):
		return Receipt{}, false, mismatch()
	case err != nil:
		return Receipt{}, false, s.translate("", err)
	}
	receipt, err := s.confirm(ctx, acceptance, traceparent)
	return receipt, true, err
}

func mismatch() *Error {
	return refuse(IdempotencyMismatch, nil, "this idempotency key was used for a request that asked for something else; choose a new one")
}

// accept makes a job of each work.
func (s *Service) accept(ctx context.Context, works []work, idempotency *jobstore.Idempotency, r Request) (Receipt, error) {
	// A request that RabbitMQ cannot take now is refused before anything is written.
	if err := s.broker.Ready(ctx); err != nil {
		return Receipt{}, brokerAway(err)
	}
	acceptance, err := s.record(ctx, s.submissions(works, r), idempotency)
	if err != nil {
		return Receipt{}, err
	}
	return s.confirm(ctx, acceptance, r.Traceparent)
}

func brokerAway(cause error) *Error {
	return refuse(BrokerUnavailable, cause, "RabbitMQ, which carries the commands, is not available; no job was made, try again later")
}

// confirm has RabbitMQ confirm the commands of the accepted jobs.
func (s *Service) confirm(ctx context.Context, acceptance jobstore.Acceptance, traceparent string) (Receipt, error) {
	receipt := Receipt{Jobs: acceptance.Jobs, Replayed: acceptance.Replayed, Joined: acceptance.Joined}
	ids := idsOf(acceptance.Jobs)
	var made []string // a job that was joined is not ours to undo
	for i, id := range ids {
		if acceptance.Joined == nil || !acceptance.Joined[i] {
			made = append(made, id)
		}
	}
	unconfirmed, delivered, err := s.publishCommands(ctx, acceptance, traceparent)
	switch {
	case len(unconfirmed) == 0:
		return receipt, nil
	case delivered || acceptance.Replayed || len(made) == 0 || !s.undo(ctx, made):
		// Some command may be under way, from now or from the request that this one repeats or joined.
		// The jobs stay, and the reconciler goes on publishing.
		refused := refuse(Unconfirmed, err, "recorded as %s, but RabbitMQ has not confirmed it; it will run unless cancelled. Repeat the request with the same Idempotency-Key, or follow the job", strings.Join(ids, ", "))
		refused.JobIDs = ids
		return Receipt{}, refused
	default:
		return Receipt{}, refuse(BrokerUnavailable, err, "RabbitMQ, which carries the commands, did not take the command; no job was made, try again later")
	}
}

// submissions names the jobs and the keys of their objects.
func (s *Service) submissions(works []work, r Request) []jobstore.Submission {
	submissions := make([]jobstore.Submission, len(works))
	for i, w := range works {
		targets := make([]ingest.Target, len(w.datasets))
		for j, d := range w.datasets {
			targets[j] = ingest.Target{Dataset: d.Name, Key: s.cfg.KeyTemplate.Key(w.database, d.Object)}
		}
		submissions[i] = jobstore.Submission{
			ID: newID(), Database: w.database, Targets: targets, RetryOf: w.retryOf,
			RequestedBy: r.RequestedBy, RequestID: r.RequestID, CatalogDigest: s.catalog.Digest(),
			OnConflict: jobstore.Conflict(w.onConflict),
		}
	}
	return submissions
}

// record has Redis accept the jobs together, each with its command in the outbox.
func (s *Service) record(ctx context.Context, submissions []jobstore.Submission, idempotency *jobstore.Idempotency) (jobstore.Acceptance, error) {
	accepting, cancel := detach(ctx, acceptTimeout, "accepting a job timed out")
	defer cancel()
	acceptance, err := s.store.Accept(accepting, submissions, idempotency)
	switch {
	case err == nil:
		return acceptance, nil
	case errors.Is(err, jobstore.ErrIdempotencyMismatch):
		return acceptance, mismatch()
	}
	if conflict, ok := errors.AsType[*jobstore.ConflictError](err); ok {
		refused := refuse(Conflicting, nil, "the same work is queued or running already as %s; follow that, or ask with on_conflict join to be answered with it", strings.Join(conflict.JobIDs, ", "))
		refused.JobIDs = conflict.JobIDs
		return acceptance, refused
	}
	// The reply may be what was lost, not the request: a job that nobody was told of must not run.
	ids := make([]string, len(submissions))
	for i, submission := range submissions {
		ids[i] = submission.ID
	}
	undone := s.undo(ctx, ids)
	switch {
	case !errors.Is(err, jobstore.ErrUnavailable):
		return acceptance, err
	case undone:
		return acceptance, refuse(StoreUnavailable, err, "Redis, which holds the jobs, does not answer; no job was made, try again later")
	}
	refused := refuse(StoreUnavailable, err, "Redis, which holds the jobs, does not answer; should it have recorded the request before it went away, follow %s", strings.Join(ids, ", "))
	refused.JobIDs = ids
	return acceptance, refused
}

// undo removes jobs whose commands were never sent, and reports whether they are gone.
func (s *Service) undo(ctx context.Context, ids []string) bool {
	ctx, cancel := detach(ctx, tidyTimeout, "removing refused jobs timed out")
	defer cancel()
	gone, err := s.store.Discard(ctx, ids...)
	if err != nil {
		s.log.Warn("refused jobs could not be removed", "job_id", strings.Join(ids, ","), "error", err)
	}
	return gone
}

// publishCommands publishes the commands that wait for their confirmation, side by side. It
// returns the jobs whose command is still not confirmed and why, and whether any command was, or
// may have been, delivered.
func (s *Service) publishCommands(ctx context.Context, acceptance jobstore.Acceptance, traceparent string) (unconfirmed []string, delivered bool, err error) {
	ctx, cancel := detach(ctx, publishTimeout, "publishing commands timed out")
	defer cancel()
	outcomes := make([]error, len(acceptance.Jobs))
	publish := func(i int) {
		job := acceptance.Jobs[i]
		if outcomes[i] = s.broker.PublishCommand(ctx, job.Command(), traceparent); outcomes[i] == nil {
			s.confirmed(ctx, job, traceparent)
		}
	}
	var publishing sync.WaitGroup
	for i, job := range acceptance.Jobs {
		switch {
		case !slices.Contains(acceptance.Unconfirmed, job.ID):
		case i == len(acceptance.Jobs)-1: // mostly the only one
			publish(i)
		default:
			publishing.Go(func() { publish(i) })
		}
	}
	publishing.Wait()
	for i, outcome := range outcomes {
		if outcome != nil {
			unconfirmed = append(unconfirmed, acceptance.Jobs[i].ID)
		}
		delivered = delivered || !undelivered(outcome)
	}
	return unconfirmed, delivered, errors.Join(outcomes...)
}

// undelivered reports whether the broker certainly does not have the message.
func undelivered(err error) bool {
	return errors.Is(err, broker.ErrUnavailable) || errors.Is(err, broker.ErrRefused) || errors.Is(err, broker.ErrUnroutable)
}

// confirmed settles the job's command and has subscribers told of the job. Neither can undo the
// acceptance: a command that is not settled is published once more, which is harmless, and the
// accepted event is best effort.
func (s *Service) confirmed(ctx context.Context, job ingest.Job, traceparent string) {
	s.herald.announce(job, traceparent)
	if err := s.store.Settle(ctx, jobstore.CommandEntry, job.ID); err != nil {
		s.log.Warn("a confirmed command could not be settled and will be published again", "job_id", job.ID, "database", job.Database, "error", err)
	}
}

// publishEnd publishes the terminal event of the job and settles it once confirmed.
func (s *Service) publishEnd(ctx context.Context, job ingest.Job, traceparent string) error {
	if err := s.broker.PublishEvent(ctx, ingest.EventOf(job), traceparent); err != nil {
		return fmt.Errorf("publishing the event of job %s: %w", job.ID, err)
	}
	if err := s.store.Settle(ctx, jobstore.EventEntry, job.ID); err != nil {
		return fmt.Errorf("settling the event of job %s: %w", job.ID, err)
	}
	return nil
}

func idsOf(jobs []ingest.Job) []string {
	ids := make([]string, len(jobs))
	for i, job := range jobs {
		ids[i] = job.ID
	}
	return ids
}
