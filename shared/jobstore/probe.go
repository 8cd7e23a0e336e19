package jobstore

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Reasons for which Probe fails. Each calls for another remedy, and each comes with ErrUnavailable.
var (
	// ErrUnreachable: nobody answers at the address in time.
	ErrUnreachable = errors.New("redis cannot be reached")
	// ErrNoPassword: the server wants a password, and none is configured.
	ErrNoPassword = errors.New("redis wants a password")
	// ErrWrongPassword: the server has another password.
	ErrWrongPassword = errors.New("redis refuses the password")
	// ErrForbidden: the server's access rules forbid a command or a key that the store needs.
	ErrForbidden = errors.New("redis does not allow what the store needs")
	// ErrReadOnly: the server is a replica, or too few replicas follow it.
	ErrReadOnly = errors.New("redis takes no writes")
	// ErrFull: the server's memory is used up.
	ErrFull = errors.New("redis is out of memory")
	// ErrNotSaving: the server cannot write to its disk, and so takes no writes either.
	ErrNotSaving = errors.New("redis cannot save to its disk")
)

// reasons tells by the code that begins a reply why a probe failed.
var reasons = []struct {
	code   string
	reason error
}{
	{"NOAUTH", ErrNoPassword},
	{"WRONGPASS", ErrWrongPassword},
	{"NOPERM", ErrForbidden},
	{"READONLY", ErrReadOnly},
	{"NOREPLICAS", ErrReadOnly},
	{"OOM", ErrFull},
	{"MISCONF", ErrNotSaving},
}

const (
	probeLife     = time.Minute           // of the key of a probe that could not remove it
	probeExpiry   = 10 * time.Millisecond // of the key, to see it go
	probePatience = 50 * time.Millisecond // for it to be gone
)

// readKey reads a key as the store reads everything.
var readKey = redis.NewScript("return redis.call('GET', KEYS[1])")

// Probe writes a key of the store's prefix, reads it back by a script, and sees it expire; nothing
// is left of it. Nil means that the password is right and the store can work: that its server also
// keeps what it acknowledges, Durability tells. The version is the server's, "" if it does not tell;
// it is returned with an error as well, once it is known.
//
// A failure is one of ErrUnreachable, ErrNoPassword, ErrWrongPassword, ErrForbidden, ErrReadOnly,
// ErrFull and ErrNotSaving, or ErrUnavailable alone when the server says why, in other words.
func (s *Store) Probe(ctx context.Context) (version string, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := s.client.Ping(ctx).Err(); err != nil {
		return "", explained(ctx, "pinging redis", err)
	}
	if version, err = s.version(ctx); err != nil {
		return "", err
	}
	key := s.prefix + "probe:" + rand.Text()
	defer func() {
		if err != nil { // it may be there
			after, cancel := s.bounded(context.WithoutCancel(ctx))
			defer cancel()
			_ = s.client.Del(after, key).Err() // or it goes by itself
		}
	}()
	if err := s.client.Set(ctx, key, key, probeLife).Err(); err != nil {
		return version, explained(ctx, "writing a key to redis", err)
	}
	got, err := readKey.Run(ctx, s.client, []string{key}).Text()
	if err != nil {
		return version, explained(ctx, "reading a key from redis by a script", err)
	}
	if got != key {
		return version, errors.New("reading a key from redis by a script: it holds another value than was written")
	}
	return version, s.expires(ctx, key)
}

// expires makes sure that the key, which was written with probeLife, goes when its time is over.
func (s *Store) expires(ctx context.Context, key string) error {
	const doing = "seeing a key of redis expire"
	life, err := s.client.PTTL(ctx, key).Result()
	if err != nil {
		return explained(ctx, doing, err)
	}
	if life <= 0 || life > probeLife {
		return fmt.Errorf("%s: it has %v to live, want at most %v", doing, life, probeLife)
	}
	if err := s.client.PExpire(ctx, key, probeExpiry).Err(); err != nil {
		return explained(ctx, doing, err)
	}
	begun := time.Now()
	tick := time.NewTicker(probeExpiry)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return explained(ctx, doing, ctx.Err())
		}
		elapsed := time.Since(begun) // before the question: the answer may take its time
		there, err := s.client.Exists(ctx, key).Result()
		switch {
		case err != nil:
			return explained(ctx, doing, err)
		case there == 0:
			return nil
		case elapsed > probePatience:
			return fmt.Errorf("%s: it is there %v after its time", doing, elapsed-probeExpiry)
		}
	}
}

// version asks the server for its version.
func (s *Store) version(ctx context.Context) (string, error) {
	text, err := s.client.Info(ctx, "server").Result()
	if err != nil && !forbidden(err) {
		return "", explained(ctx, "asking redis for its version", err)
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		if version, ok := strings.CutPrefix(lines.Text(), "redis_version:"); ok {
			return strings.TrimSpace(version), nil
		}
	}
	return "", nil
}

// explained is wrap with the reason.
func explained(ctx context.Context, doing string, err error) error {
	wrapped := wrap(ctx, doing, err)
	if errors.Is(ctx.Err(), context.Canceled) {
		return wrapped
	}
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return fmt.Errorf("%w: %w", ErrUnreachable, wrapped)
	}
	for _, r := range reasons {
		if saysCode(reply, r.code) {
			return fmt.Errorf("%w: %w", r.reason, wrapped)
		}
	}
	return wrapped
}
