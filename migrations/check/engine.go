package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// defaultDockerHost is where an engine listens unless it was told otherwise.
const defaultDockerHost = "unix:///var/run/docker.sock"

// dialTimeout is how long an engine on another machine may take to accept a connection.
const dialTimeout = 2 * time.Second

// maxAnswer bounds what is read of an engine's answer, in bytes.
const maxAnswer = 16 << 20

// engine is a client of the Docker Engine API. It asks in the engine's own version of it.
type engine struct {
	client  *http.Client
	base    string // of all addresses
	address string // for people
}

var errNoAddress = errors.New("DOCKER_HOST is no address: use unix:///path or tcp://host:port")

// newEngine returns a client of the engine at host, as DOCKER_HOST names it; empty is the default.
// It connects to nothing yet. close must be called.
func newEngine(host string) (*engine, error) {
	if host == "" {
		host = defaultDockerHost
	}
	scheme, address, ok := strings.Cut(host, "://")
	address = strings.TrimSuffix(address, "/")
	if !ok || address == "" {
		return nil, errNoAddress
	}
	e := &engine{base: "http://docker", address: address}
	network := "unix"
	switch scheme {
	case "unix":
	case "tcp", "http":
		network = "tcp"
		if strings.Contains(address, "@") { // the end of a login, which must not be shown
			return nil, errNoAddress
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			e.address = net.JoinHostPort(strings.Trim(address, "[]"), "2375")
		}
	default: // the rest of the address may hold a login
		return nil, fmt.Errorf("DOCKER_HOST has the scheme %s, which this check cannot speak: unix and tcp only", scheme)
	}
	e.client = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			dialer := net.Dialer{Timeout: dialTimeout}
			return dialer.DialContext(ctx, network, e.address)
		},
	}}
	return e, nil
}

// close closes the connections.
func (e *engine) close() { e.client.CloseIdleConnections() }

// unreachable reports whether no connection came about: nobody listens, or we may not connect.
func unreachable(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "dial"
}

// errNotFound says that the engine knows no such thing.
var errNotFound = errors.New("404 Not Found")

// listedContainer is a container as the engine lists it, as far as it is used here.
type listedContainer struct {
	ID     string            `json:"Id"`
	Labels map[string]string `json:"Labels"`
}

func (c listedContainer) service() string { return c.Labels["com.docker.compose.service"] }

// inspectedContainer is a container as the engine describes it alone, as far as it is used here.
type inspectedContainer struct {
	Name         string
	RestartCount int
	State        struct {
		Status    string // created, running, paused, restarting, removing, exited or dead
		ExitCode  int
		OOMKilled bool
		Error     string // why it could not be started
		Health    *struct{ Status string }
	}
	Config struct{ Image string }
}

// health returns healthy, unhealthy or starting, and "" or "none" when nobody examines the container.
func (c inspectedContainer) health() string {
	if c.State.Health == nil {
		return ""
	}
	return c.State.Health.Status
}

// containers returns the containers of a compose project, the ended ones too, but not those that
// `docker compose run` made for a moment.
func (e *engine) containers(ctx context.Context, project string) ([]listedContainer, error) {
	filters, err := json.Marshal(map[string][]string{
		"label": {"com.docker.compose.project=" + project, "com.docker.compose.service"},
	})
	if err != nil {
		return nil, fmt.Errorf("asking for containers: %w", err)
	}
	var all, lasting []listedContainer
	switch err := e.get(ctx, "/containers/json?all=1&filters="+url.QueryEscape(string(filters)), &all); {
	case errors.Is(err, errNotFound):
		return nil, fmt.Errorf("what answers at %s is no Docker engine: %w", e.address, err)
	case err != nil:
		return nil, err
	}
	for _, c := range all {
		if c.Labels["com.docker.compose.oneoff"] != "True" {
			lasting = append(lasting, c)
		}
	}
	return lasting, nil
}

// inspect describes a container. One that is gone meanwhile is errNotFound.
func (e *engine) inspect(ctx context.Context, id string) (c inspectedContainer, err error) {
	return c, e.get(ctx, "/containers/"+url.PathEscape(id)+"/json", &c)
}

// get reads the answer to a GET into a value. The error is errNotFound for 404.
func (e *engine) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.base+path, nil)
	if err != nil {
		return fmt.Errorf("asking the Docker engine: %w", err)
	}
	response, err := e.client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if called, ok := errors.AsType[*url.Error](err); ok {
			err = called.Err // without the address, which names no machine
		}
		if unreachable(err) {
			return err // names it
		}
		return fmt.Errorf("asking the Docker engine at %s: %w", e.address, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer of the Docker engine at %s: %w", e.address, err)
	case response.StatusCode == http.StatusNotFound:
		return errNotFound
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("the Docker engine at %s answers %s: %.200s", e.address, response.Status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("what answers at %s is no Docker engine: %w", e.address, err)
	}
	return nil
}
