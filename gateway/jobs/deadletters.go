package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// DeadLetter is a command that nobody could carry out.
type DeadLetter struct {
	ID         string          `json:"id"`
	Database   string          `json:"database"`             // whose workers gave it up, whatever the command says
	JobID      string          `json:"job_id,omitempty"`     // as far as the command can be read
	Code       string          `json:"code,omitempty"`       // an ingest.Code; absent where RabbitMQ itself gave it up
	Reason     string          `json:"reason,omitempty"`     // the same for people
	BuriedAt   time.Time       `json:"buried_at,omitzero"`   // absent when nobody says
	MessageID  string          `json:"message_id,omitempty"` // as its publisher chose it
	Size       int             `json:"size"`                 // of the command, in bytes
	Replayable bool            `json:"replayable"`
	WhyNot     *Refusal        `json:"why_not,omitempty"` // what a replay would answer now
	Command    *ingest.Command `json:"command,omitempty"` // absent when it cannot be read, or is too large to show
}

// Refusal is what the Error of a refused request would say.
type Refusal struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"`
}

// DeadLetters is the older end of all dead letters.
type DeadLetters struct {
	Letters []DeadLetter // the oldest first
	Total   int          // of all there are
}

// MaxDeadLetters is how many letters can be listed and replayed: the oldest ones.
const MaxDeadLetters = broker.MaxDeadLetters

// maxListable is how many bytes a command may have to be shown in a list.
const maxListable = 64 << 10

// DeadLetters returns up to limit dead letters and says which can be replayed. None is taken away.
// Its errors are LettersBusy, BrokerUnavailable and StoreUnavailable ones.
func (s *Service) DeadLetters(ctx context.Context, limit int) (DeadLetters, error) {
	list := DeadLetters{Letters: []DeadLetter{}}
	// Letters that are being read are hidden from others: what takes time comes after.
	var contents []content
	total, err := s.broker.DeadLetters(ctx, limit, func(l broker.DeadLetter) {
		c := s.read(l)
		letter := DeadLetter{
			ID: l.ID, Database: l.RoutingKey, JobID: c.jobID, Code: l.Code, Reason: l.Reason,
			BuriedAt: l.BuriedAt, MessageID: l.MessageID, Size: len(l.Body),
		}
		if len(l.Body) <= maxListable {
			letter.Command = c.command
		}
		c.command = nil
		list.Letters, contents = append(list.Letters, letter), append(contents, c)
	})
	if err != nil {
		return DeadLetters{}, unread("", err)
	}
	list.Total = total
	for i, c := range contents {
		_, err := s.workOfLetter(ctx, c)
		refused, isRefusal := errors.AsType[*Error](err)
		switch {
		case err == nil:
			list.Letters[i].Replayable = true
		case isRefusal && refused.Code != StoreUnavailable:
			list.Letters[i].WhyNot = &Refusal{Code: refused.Code, Detail: refused.Message}
		default:
			return DeadLetters{}, err
		}
	}
	return list, nil
}

// Replay makes a new job of what the letter's job has left undone or, when Redis does not know that
// one any more, of all that the letter's command names. The letter is removed once the new job is
// confirmed. The request's orders and idempotency key mean nothing here: a letter makes one job,
// however often it is replayed and whatever breaks in between, and every repetition is answered
// with that, for as long as Redis knows it.
//
// Its errors are those of Submit for a job that is retried, and LetterNotFound, LetterUnreadable and
// LettersBusy ones. After each of them the letter is where it was.
func (s *Service) Replay(ctx context.Context, id string, r Request) (Receipt, error) {
	receipt, db, err := s.replay(ctx, id, r)
	s.count([]ingest.Database{db}, receipt, err)
	return receipt, err
}

func (s *Service) replay(ctx context.Context, id string, r Request) (receipt Receipt, db ingest.Database, err error) {
	// No letter is touched that cannot be dealt with now.
	if err := s.store.Ping(ctx); err != nil {
		return receipt, "", s.translate("", err)
	}
	if err := s.broker.Ready(ctx); err != nil {
		return receipt, "", brokerAway(err)
	}
	once := jobstore.Idempotency{Subject: letterSubject, Key: id, BodyHash: id, Lasting: true}
	again := func(ctx context.Context) (known bool, err error) {
		receipt, known, err = s.recall(ctx, once, r.Traceparent)
		if known && err == nil {
			db = receipt.Jobs[0].Database
		}
		return known, err
	}
	err = s.broker.TakeDeadLetter(ctx, id, func(l broker.DeadLetter) error {
		ctx := context.WithoutCancel(ctx)
		if known, err := again(ctx); known || err != nil {
			return err
		}
		w, err := s.workOfLetter(ctx, s.read(l))
		db = w.database
		if err != nil {
			return err
		}
		receipt, err = s.accept(ctx, []work{w}, &once, r)
		return err
	})
	switch {
	case errors.Is(err, broker.ErrNoLetter):
		// Another gateway may have replayed it just now, or an earlier request whose answer was lost.
		known, err := again(ctx)
		if err == nil && !known {
			err = unread(id, broker.ErrNoLetter)
		}
		return receipt, db, err
	case errors.Is(err, broker.ErrStale):
		s.log.Warn("a dead letter was replayed and may still be there; replaying it again does nothing but remove it", "letter", id, "job_id", receipt.Jobs[0].ID, "database", db, "error", err)
		return receipt, db, nil
	case err != nil:
		if refused, ok := errors.AsType[*Error](err); ok && refused.Code == Unconfirmed {
			refused.Message = fmt.Sprintf("recorded as %s, but RabbitMQ has not confirmed it; it will run unless cancelled. Replay the letter once more, or follow the job", strings.Join(refused.JobIDs, ", "))
		}
		return receipt, db, unread(id, err)
	}
	return receipt, db, nil
}

// letterSubject is whom replays are remembered under: nobody who sends requests, as names of those
// do not begin with a zero byte.
const letterSubject = "\x00dead letter"

// unread turns the errors of reading dead letters into *Error. Others stay what they are.
func unread(id string, err error) error {
	if _, told := errors.AsType[*Error](err); told {
		return err
	}
	switch {
	case errors.Is(err, broker.ErrNoLetter):
		return refuse(LetterNotFound, nil, "there is no dead letter %s among the %d oldest", id, MaxDeadLetters)
	case errors.Is(err, broker.ErrBusy):
		return refuse(LettersBusy, err, "the dead letters are in use by other requests; try again in a moment")
	case errors.Is(err, broker.ErrUnavailable):
		return refuse(BrokerUnavailable, err, "RabbitMQ, which holds the dead letters, is not available; try again later")
	default:
		return err
	}
}

// content is what a letter's body says.
type content struct {
	jobID   string          // as far as it can be read
	command *ingest.Command // nil when it cannot be read
	work    work            // all that the command names

	unreadable error // why nothing can be done
	gone       error // why all that the command names cannot be done: the catalog lacks a part of it
}

// read reads the letter's body.
func (s *Service) read(l broker.DeadLetter) content {
	command, err := ingest.DecodeCommand(l.Body)
	if err != nil {
		return content{
			jobID:      legibleJobID(l.Body),
			unreadable: refuse(LetterUnreadable, err, "dead letter %s cannot be replayed: %s", l.ID, ingest.AsError(err).Message),
		}
	}
	var datasets []string
	for _, t := range command.Targets {
		datasets = append(datasets, t.Dataset)
	}
	c := content{jobID: command.JobID, command: &command}
	c.work, c.gone = s.again(command.Database, datasets, command.JobID)
	return c
}

// legibleJobID returns the id of the job that a message names which is no command known here, or
// nothing.
func legibleJobID(body []byte) string {
	var named struct {
		JobID string `json:"job_id"`
	}
	if len(body) > ingest.MaxCommand || json.Unmarshal(body, &named) != nil || uuid.Validate(named.JobID) != nil {
		return ""
	}
	return named.JobID
}

// workOfLetter returns what a replay of the letter is to do, or an *Error.
func (s *Service) workOfLetter(ctx context.Context, c content) (work, error) {
	if c.unreadable != nil {
		return work{}, c.unreadable
	}
	job, err := s.store.Get(ctx, c.jobID)
	switch {
	case errors.Is(err, jobstore.ErrNotFound):
		return c.work, c.gone
	case err != nil:
		return work{}, s.translate(c.jobID, err)
	}
	return s.undone(job)
}
