package management

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
	"strconv"
	"strings"
	"time"

	"github.com/pharmavida/ingesta/shared/broker"
)

const (
	// requestTimeout bounds one request and its answer.
	requestTimeout = 10 * time.Second
	// maxAnswer bounds an answer. A queue takes some hundred bytes.
	maxAnswer = 64 << 20
	// maxReason bounds what of an answer is shown in an error.
	maxReason = 300
)

// Client asks the management interface of one broker, about one virtual host. It keeps no
// connection, and may be used by several goroutines at once.
type Client struct {
	address        string
	user, password string
	broker         broker.Config
	http           *http.Client
}

// New returns a client of the broker at b. Both configurations must be valid.
func New(cfg Config, b broker.Config) *Client {
	c := &Client{
		address: "http://" + net.JoinHostPort(b.Host, strconv.Itoa(cfg.Port)),
		user:    b.User, password: b.Password.Reveal(),
		broker: b,
		http: &http.Client{
			// No proxy: the broker's AMQP port is reached without one as well.
			Transport:     &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if cfg.User != "" {
		c.user, c.password = cfg.User, cfg.Password.Reveal()
	}
	return c
}

// path returns a path of the interface whose variable parts are escaped: the name of a virtual host
// may hold a slash.
func path(parts ...string) string {
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return "/api/" + strings.Join(parts, "/")
}

// get reads answer from the path.
func (c *Client) get(ctx context.Context, doing, path string, answer any) error {
	return c.call(ctx, doing, http.MethodGet, path, nil, answer)
}

// put sends body to the path.
func (c *Client) put(ctx context.Context, doing, path string, body any) error {
	return c.call(ctx, doing, http.MethodPut, path, body, nil)
}

// call makes a request with body and answer as JSON; either may be nil. doing names it in errors,
// which are of *Error unless the caller has cancelled ctx.
func (c *Client) call(ctx context.Context, doing, method, path string, body, answer any) error {
	status, said, err := c.send(ctx, method, path, body)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if status/100 != 2 {
		return fmt.Errorf("%s: %w", doing, c.refusal(ctx, status, said))
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(said, answer); err != nil {
		return fmt.Errorf("%s: %w", doing, &Error{Kind: Failed, Status: status, Cause: err})
	}
	return nil
}

// send makes a request and returns whatever was answered.
func (c *Client) send(ctx context.Context, method, path string, body any) (status int, said []byte, err error) {
	limited, cancel := context.WithTimeoutCause(ctx, requestTimeout, fmt.Errorf("no answer within %s", requestTimeout))
	defer cancel()
	var payload io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return 0, nil, fmt.Errorf("encoding the request: %w", err)
		}
		payload = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(limited, method, c.address+path, payload)
	if err != nil {
		return 0, nil, fmt.Errorf("making the request: %w", err)
	}
	request.SetBasicAuth(c.user, c.password)
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, unanswered(ctx, limited, err)
	}
	defer response.Body.Close()
	said, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, unanswered(ctx, limited, err)
	}
	if len(said) > maxAnswer {
		return 0, nil, &Error{Kind: Failed, Status: response.StatusCode, Cause: fmt.Errorf("the answer is longer than %d bytes", maxAnswer)}
	}
	return response.StatusCode, said, nil
}

// unanswered interprets the error of a request that got no answer under limited, which is ctx with a
// limit of its own. That the caller gave up is no fault of the broker; that its time ran out is.
func unanswered(ctx, limited context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	if limited.Err() != nil {
		return &Error{Kind: Unreachable, Cause: context.Cause(limited)}
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the method and the address, which doing says better
	}
	return &Error{Kind: Unreachable, Cause: err}
}

// refusal interprets an answer other than success.
func (c *Client) refusal(ctx context.Context, status int, said []byte) error {
	e := &Error{Kind: Failed, Status: status, Reason: reason(said)}
	switch {
	case status == http.StatusUnauthorized:
		// The broker says the same to a stranger as to a user who may not do this. To a user it
		// says who that is.
		e.Kind = Unauthorized
		if known, _, err := c.send(ctx, http.MethodGet, path("whoami"), nil); err == nil && known == http.StatusOK {
			e.Kind = Forbidden
		}
	case status == http.StatusForbidden:
		e.Kind = Forbidden
	case status == http.StatusNotFound:
		e.Kind = NotFound
	case status/100 == 4:
		e.Kind = Refused
	}
	return e
}

// reason returns what the broker says in an error's body; anything that is not JSON comes from
// somebody else and says nothing.
func reason(said []byte) string {
	var body struct{ Reason any }
	if json.Unmarshal(said, &body) != nil || body.Reason == nil {
		return ""
	}
	text := fmt.Sprint(body.Reason)
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}

// missing reports whether err says that there is no such thing.
func missing(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == NotFound
}
