package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pharmavida/ingesta/shared/config"
)

// Config says where the gateway is, and how to talk to it.
type Config struct {
	URL     string        // http:// or https://, and a path where a proxy has the gateway under one
	Token   config.Secret // empty: none is sent
	Timeout time.Duration // of one exchange, 30 seconds when 0; streams and downloads may be silent as long
	Agent   string        // what the gateway's log calls the client

	// Trouble is told of each failure that a repetition follows, and how long the pause is. It may be nil.
	Trouble func(err error, pause time.Duration)
}

const (
	defaultTimeout = 30 * time.Second
	maxAnswer      = 64 << 20        // bytes: a page of jobs with thousands of columns
	attempts       = 4               // of a request that may be repeated
	longestPause   = 5 * time.Second // before a repetition; who is asked to wait longer gets to know that
)

// Client talks to one gateway. Its methods may be called from any goroutine.
type Client struct {
	cfg    Config
	base   *url.URL
	http   *http.Client
	object *http.Client // for what lies elsewhere: it has no token

	met atomic.Bool // somebody has answered at the address
}

// New returns a client of the gateway. The error says what is wrong with the address.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(cfg.URL)
	switch {
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return nil, fmt.Errorf("the gateway's address is %.200q: it must begin with http:// or https:// and name a host", cfg.URL)
	case base.User != nil:
		return nil, errors.New("the gateway's address must hold no user and no password: a token says who you are")
	case base.RawQuery != "" || base.Fragment != "":
		return nil, fmt.Errorf("the gateway's address is %.200q: it must end with the path", cfg.URL)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Trouble == nil {
		cfg.Trouble = func(error, time.Duration) {}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: min(cfg.Timeout, 10*time.Second), KeepAlive: 15 * time.Second}).DialContext
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		cfg: cfg, base: base,
		http:   &http.Client{Transport: transport, CheckRedirect: stay},
		object: &http.Client{Transport: transport},
	}, nil
}

// URL returns the address of the gateway.
func (c *Client) URL() string { return strings.TrimSuffix(c.base.String(), "/") }

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call is a request to be made.
type call struct {
	method string
	path   []string // its segments, unescaped
	query  url.Values
	body   any // nil: none
	header http.Header
	again  bool // it may be repeated: a second time changes nothing that the first did not
}

// answer is an HTTP answer that was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// get is a call that changes nothing.
func get(path ...string) call { return call{method: http.MethodGet, path: path, again: true} }

// post is a call that changes something.
func post(path ...string) call { return call{method: http.MethodPost, path: path} }

// fetch makes the call and reads the answer into out, unless that is nil. Each answer but a success
// is a *Problem.
func (c *Client) fetch(ctx context.Context, r call, out any) (answer, error) {
	a, err := c.exchange(ctx, r)
	if err != nil {
		return a, err
	}
	if a.status < 200 || a.status > 299 {
		return a, problemOf(a)
	}
	if out == nil {
		return a, nil
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return a, fmt.Errorf("reading the answer of %s: is that the gateway? %w", c.URL(), err)
	}
	return a, nil
}

// exchange makes the call, and repeats it where that may help and does no harm. Answers that say how
// the system fares are not told from others here.
func (c *Client) exchange(ctx context.Context, r call) (answer, error) {
	for attempt := 1; ; attempt++ {
		a, err := c.once(ctx, r)
		pause, may := c.mayRepeat(r, a, err)
		if !may || attempt == attempts {
			return a, err
		}
		if pause == 0 {
			pause = time.Duration(attempt*attempt) * 100 * time.Millisecond
		}
		trouble := err
		if trouble == nil {
			trouble = problemOf(a)
		}
		c.cfg.Trouble(trouble, pause)
		if wait(ctx, pause) != nil {
			return a, err // what happened says more than that we are out of time
		}
	}
}

// mayRepeat reports whether to make the call again, and after which pause, 0 where nobody says.
func (c *Client) mayRepeat(r call, a answer, err error) (pause time.Duration, may bool) {
	if !r.again {
		return 0, false
	}
	if lost, ok := errors.AsType[*Unreachable](err); ok {
		return 0, lost.Sent // where nobody listens, nobody will in a second
	}
	if err != nil || a.status < http.StatusBadRequest {
		return 0, false
	}
	p := problemOf(a)
	if p.Code == "" && p.Status == http.StatusServiceUnavailable && json.Valid(a.body) {
		return 0, false // a report of the health, which is an answer
	}
	return p.RetryAfter, p.Temporary() && p.RetryAfter <= longestPause
}

// errNoAnswer is why an exchange ended that took too long.
var errNoAnswer = errors.New("no answer came in time")

// once makes the call once. Errors are *Unreachable, or what the end of ctx says.
func (c *Client) once(ctx context.Context, r call) (answer, error) {
	within, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, fmt.Errorf("%w: within %s", errNoAnswer, c.cfg.Timeout))
	defer cancel()
	request, err := c.request(within, r)
	if err != nil {
		return answer{}, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, c.lost(ctx, within, err)
	}
	defer response.Body.Close()
	c.met.Store(true)
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer{}, c.lost(ctx, within, err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: body}, nil
}

// request returns the call as a request with our headers.
func (c *Client) request(ctx context.Context, r call) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		encoded, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("writing a request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	address := *c.base
	escaped := make([]string, len(r.path))
	for i, segment := range r.path {
		escaped[i] = url.PathEscape(segment)
	}
	root := strings.TrimSuffix(c.base.EscapedPath(), "/") + "/"
	address.RawPath = root + strings.Join(escaped, "/")
	path, err := url.PathUnescape(address.RawPath)
	if err != nil {
		return nil, fmt.Errorf("writing a request: %w", err)
	}
	address.Path, address.RawQuery = path, r.query.Encode()
	request, err := http.NewRequestWithContext(ctx, r.method, address.String(), body)
	if err != nil {
		return nil, fmt.Errorf("writing a request: %w", err)
	}
	for name, values := range r.header {
		request.Header[name] = values
	}
	if request.Header.Get("Accept") == "" {
		request.Header.Set("Accept", "application/json, application/problem+json")
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.cfg.Agent != "" {
		request.Header.Set("User-Agent", c.cfg.Agent)
	}
	if c.cfg.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.cfg.Token.Reveal())
	}
	return request, nil
}

// lost says why no answer came: ctx is the caller's, within the exchange's own.
func (c *Client) lost(ctx, within context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if within.Err() != nil {
		err = context.Cause(within)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // the address stands beside it
	}
	sent := true
	if network, ok := errors.AsType[*net.OpError](err); ok && network.Op == "dial" {
		sent = false
	}
	return &Unreachable{URL: c.URL(), Sent: sent, Cause: err}
}

// wait returns nil after the pause, or an error when ctx ends before.
func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// readAll reads an answer as far as it goes: of a refusal a part says something, too.
func readAll(response *http.Response) answer {
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return answer{status: response.StatusCode, header: response.Header, body: body}
}
