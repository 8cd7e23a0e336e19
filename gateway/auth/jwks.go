package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"
)

// The times and sizes of fetching keys.
const (
	refreshEvery = 5 * time.Minute  // and so, how long a withdrawn key is honoured
	refreshPause = 10 * time.Second // between fetches that unknown keys bring about
	retryAfter   = 5 * time.Second  // after a fetch that failed
	fetchTimeout = 5 * time.Second
	largestSet   = 1 << 20 // bytes

	// lookupTimeout is how long a request waits for a fetch: a little longer than one may take.
	lookupTimeout = fetchTimeout + time.Second
)

// keyName is what a token says of the key that signed it.
type keyName struct{ kid, algorithm string }

// keySet is the keys that an issuer publishes at a URL (RFC 7517).
type keySet struct {
	url    string
	client *http.Client
	log    *slog.Logger

	every, pause, retry, limit, patience time.Duration

	wake chan struct{} // holds one element while an unknown key waits for a fetch

	mu      sync.Mutex
	keys    map[keyName]any // nil until a fetch has succeeded
	failure error           // of the latest fetch
	asked   time.Time       // when an unknown key last brought about a fetch
	coming  chan struct{}   // closed at the end of the fetch that is due or under way; nil: there is none
}

func newKeySet(url string, log *slog.Logger) *keySet {
	return &keySet{
		url: url, log: log, every: refreshEvery, pause: refreshPause, retry: retryAfter,
		limit: fetchTimeout, patience: lookupTimeout,
		client: &http.Client{
			// A connection every few minutes is not worth keeping.
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
			// Whoever may redirect chooses the keys: only the configuration does.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		wake: make(chan struct{}, 1), coming: make(chan struct{}),
	}
}

// known reports whether a fetch has ever succeeded.
func (s *keySet) known() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys != nil
}

// lookup returns the public key of the name. One that is not known is looked for at the issuer,
// unless that was done a moment ago. Its errors are *Error, or what the end of ctx says.
func (s *keySet) lookup(ctx context.Context, name keyName) (any, error) {
	waiting, cancel := context.WithTimeoutCause(ctx, s.patience, errors.New("waiting for the issuer's keys timed out"))
	defer cancel()
	for waited := false; ; waited = true {
		key, coming, failure := s.look(name, !waited)
		switch {
		case key != nil:
			return key, nil
		case failure != nil:
			return nil, unavailable(failure)
		case coming == nil || waited:
			return nil, invalid("the token is signed with a key that its issuer does not publish")
		}
		select {
		case <-coming:
		case <-waiting.Done():
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, unavailable(context.Cause(waiting))
		}
	}
}

func unavailable(cause error) *Error {
	return &Error{Reason: Unavailable, Message: "the issuer of the tokens cannot be asked for its keys; try again later", Cause: cause}
}

// look returns the key, or nil, the end of the fetch that is coming, and the failure of the latest.
// With ask it has a fetch come for a key that is not known.
func (s *keySet) look(name keyName, ask bool) (key any, coming <-chan struct{}, failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key = s.keys[name]
	// After a failure run tries again by itself.
	if ask && key == nil && s.failure == nil && s.coming == nil && time.Since(s.asked) >= s.pause {
		s.asked, s.coming = time.Now(), make(chan struct{})
		s.wake <- struct{}{} // never blocks: it is empty while no fetch is coming
	}
	return key, s.coming, s.failure
}

// run fetches the keys until ctx ends.
func (s *keySet) run(ctx context.Context) {
	for ctx.Err() == nil {
		timer := time.NewTimer(s.refresh(ctx))
		select {
		case <-timer.C:
		case <-s.wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// refresh fetches the keys once and returns how long to wait before the next time. A fetch that
// fails changes no key.
func (s *keySet) refresh(ctx context.Context) time.Duration {
	s.mu.Lock()
	if s.coming == nil {
		s.coming = make(chan struct{})
	}
	select {
	case <-s.wake: // met by this fetch
	default:
	}
	s.mu.Unlock()

	keys, err := s.fetch(ctx)

	s.mu.Lock()
	defer s.mu.Unlock()
	before, failed := s.keys, s.failure
	if err == nil {
		s.keys = keys
	}
	s.failure = err
	close(s.coming)
	s.coming = nil
	switch {
	case ctx.Err() != nil: // the end of our patience, not the issuer's fault
	case err != nil && (failed == nil || failed.Error() != err.Error()):
		s.log.Warn("the keys of the tokens' issuer cannot be fetched", "error", err, "keys_kept", len(before))
	case err == nil && (failed != nil || !sameNames(before, keys)):
		s.log.Info("the keys of the tokens' issuer are fetched", "keys", len(keys))
	}
	if err != nil {
		return s.retry
	}
	return s.every
}

func sameNames(a, b map[keyName]any) bool {
	return len(a) == len(b) && maps.EqualFunc(a, b, func(any, any) bool { return true })
}

// fetch asks the issuer. An answer without a key of use is a failure: a server that is not itself
// must not take all keys away.
func (s *keySet) fetch(ctx context.Context) (map[keyName]any, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("no answer within %s", s.limit))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching keys: %s answers %s", s.url, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, largestSet+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("fetching keys: %w", err)
	case len(body) > largestSet:
		return nil, fmt.Errorf("fetching keys: %s answers with more than %d bytes", s.url, largestSet)
	}
	keys, err := parseKeySet(body)
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %s: %w", s.url, err)
	}
	return keys, nil
}
