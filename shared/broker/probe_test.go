package broker_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

var databases = []ingest.Database{ingest.MySQL, ingest.PostgreSQL}

// queues returns the names of the queues of the virtual host.
func (h *host) queues() (names []string) {
	h.t.Helper()
	var all []struct{ Name string }
	stacktest.Management(h.t, http.MethodGet, "/api/queues/"+h.path()+"?columns=name", nil, &all)
	for _, q := range all {
		names = append(names, q.Name)
	}
	return names
}

// user makes a user with permissions on the virtual host and returns the configuration that logs
// it in.
func (h *host) user(configure, write, read string) broker.Config {
	h.t.Helper()
	name, password := "test-"+strings.ToLower(rand.Text()), rand.Text()
	stacktest.Management(h.t, http.MethodPut, "/api/users/"+name, map[string]string{"password": password, "tags": ""}, nil)
	h.t.Cleanup(func() { stacktest.Management(h.t, http.MethodDelete, "/api/users/"+name, nil, nil) })
	stacktest.Management(h.t, http.MethodPut, "/api/permissions/"+h.path()+"/"+name,
		map[string]string{"configure": configure, "write": write, "read": read}, nil)
	cfg := h.cfg
	cfg.User, cfg.Password = name, config.Secret(password)
	return cfg
}

func TestProbe(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	server, err := broker.Probe(t.Context(), h.cfg)
	if err != nil {
		t.Fatalf("probing a broker that works: %v", err)
	}
	if server.Product != "RabbitMQ" || server.Version == "" || server.Cluster == "" {
		t.Errorf("the broker is said to be %+v, want RabbitMQ with a version and a cluster", server)
	}
	if names := h.queues(); len(names) != 0 {
		t.Errorf("the probe left the queues %v behind", names)
	}
}

// Permissions on what begins with ingesta. and on the default exchange are enough.
func TestProbeNeedsLittle(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	if _, err := broker.Probe(t.Context(), h.user(`^ingesta\.`, `^(ingesta\.|amq\.default$)`, `^ingesta\.`)); err != nil {
		t.Errorf("probing with few permissions: %v", err)
	}
}

// What a person has to do differs, so the reason must not be mistaken.
func TestProbeSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	stranger := h.cfg
	stranger.Password = "not-the-password"
	nobody := h.cfg
	nobody.User = "nobody-of-that-name"
	elsewhere := h.cfg
	elsewhere.VHost = "no-such-virtual-host"
	closed := h.cfg
	closed.Port = stacktest.FreePort(t)
	other := h.cfg
	other.VHost = stacktest.VHost(t)
	outsider := h.user(".*", ".*", ".*")
	outsider.VHost = other.VHost
	proxied := func(change func(*proxy)) broker.Config {
		p, cfg := newProxy(h), h.cfg
		p.through(&cfg)
		change(p)
		return cfg
	}
	alarmed := proxied(func(p *proxy) { p.raiseAlarm() })
	mute := proxied(func(p *proxy) { p.set(func() { p.mute = true }) })
	lost := h.cfg
	lost.Port = hangingUp(t)
	for name, test := range map[string]struct {
		cfg  broker.Config
		want error
	}{
		"wrong password":           {stranger, broker.ErrCredentials},
		"unknown user":             {nobody, broker.ErrCredentials},
		"no such virtual host":     {elsewhere, broker.ErrVHost},
		"closed to the user":       {outsider, broker.ErrVHost},
		"closed port":              {closed, broker.ErrUnreachable},
		"a port that hangs up":     {lost, broker.ErrUnreachable},
		"a broker that is silent":  {mute, broker.ErrUnreachable},
		"a broker under an alarm":  {alarmed, broker.ErrBlocked},
		"no permission to declare": {h.user("", ".*", ".*"), broker.ErrForbidden},
		"no permission to write":   {h.user(".*", "", ".*"), broker.ErrForbidden},
		"no permission to read":    {h.user(".*", ".*", ""), broker.ErrForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
			defer cancel()
			began := time.Now()
			_, err := broker.Probe(ctx, test.cfg)
			if !errors.Is(err, test.want) {
				t.Errorf("probing says %v, want %v", err, test.want)
			}
			for _, reason := range []error{
				broker.ErrCredentials, broker.ErrVHost, broker.ErrUnreachable, broker.ErrBlocked, broker.ErrForbidden,
			} {
				if reason != test.want && errors.Is(err, reason) { //nolint:errorlint // one of two sentinels
					t.Errorf("probing says %v as well as %v, want one reason", reason, test.want)
				}
			}
			if secret := test.cfg.Password.Reveal(); secret != h.cfg.User && err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows the password: %v", err)
			}
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("probing took %s, want no longer than its context", took)
			}
		})
	}
}

// hangingUp returns a port where connections are accepted and closed, as a proxy does whose server
// is away.
func hangingUp(t testing.TB) int {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	})
	t.Cleanup(func() {
		listener.Close()
		done.Wait()
	})
	return listener.Addr().(*net.TCPAddr).Port
}

// A broker that takes the message and never confirms it costs the confirm timeout.
func TestProbeWithoutConfirm(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	p, cfg := newProxy(h), h.cfg
	p.through(&cfg)
	cfg.ConfirmTimeout = 200 * time.Millisecond
	p.set(func() { p.silent = true })
	began := time.Now()
	server, err := broker.Probe(t.Context(), cfg)
	if took := time.Since(began); !errors.Is(err, broker.ErrUnknown) || took > 5*time.Second {
		t.Errorf("probing says %v after %s, want ErrUnknown after about 200ms", err, took)
	}
	if server.Version == "" {
		t.Error("the version that the broker gave before is not returned")
	}
}

// That the caller gave up is not the broker's fault.
func TestProbeOfACallerWhoGaveUp(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	p, cfg := newProxy(h), h.cfg
	p.through(&cfg)
	p.set(func() { p.mute = true })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := broker.Probe(ctx, cfg); !errors.Is(err, context.Canceled) || errors.Is(err, broker.ErrUnreachable) {
		t.Errorf("probing says %v, want that it was cancelled and nothing of the broker", err)
	}
}

func TestDeclare(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, time := range []string{"the first time", "again"} {
		if err := broker.Declare(t.Context(), h.cfg, databases); err != nil {
			t.Fatalf("declaring the topology %s: %v", time, err)
		}
	}
	want := len(broker.Topology(h.cfg, databases).Queues)
	if names := h.queues(); len(names) != want {
		t.Errorf("the broker has the queues %v, want all %d", names, want)
	}
	h.start() // a broker finds nothing to complain of
	ch := h.channel()
	if _, err := ch.QueueDeclare(h.cfg.Queue, true, false, false, false, nil); err != nil {
		t.Errorf("another service declares %s as it always did: %v", h.cfg.Queue, err)
	}
}

// A queue that exists with other arguments is named, with the way out; so is a lack of permission.
func TestDeclareConflict(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	if _, err := h.channel().QueueDeclare(broker.DeadQueue, true, false, false, false, nil); err != nil {
		t.Fatalf("declaring a queue with other arguments: %v", err)
	}
	err := broker.Declare(t.Context(), h.cfg, databases)
	conflict, ok := errors.AsType[*broker.TopologyError](err)
	if !ok || conflict.Name != broker.DeadQueue || conflict.Cause.Code != amqp.PreconditionFailed || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("declaring says %v, want a conflict about %s and what to do", err, broker.DeadQueue)
	}
	err = broker.Declare(t.Context(), h.user("nothing", ".*", ".*"), databases)
	if refused, ok := errors.AsType[*broker.TopologyError](err); !ok || refused.Cause.Code != amqp.AccessRefused {
		t.Errorf("declaring without permission says %v, want a TopologyError of 403", err)
	}
}

func TestDeclareWithoutBroker(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	cfg := h.cfg
	cfg.Port = stacktest.FreePort(t)
	if err := broker.Declare(t.Context(), cfg, databases); !errors.Is(err, broker.ErrUnreachable) {
		t.Errorf("declaring without a broker says %v, want ErrUnreachable", err)
	}
	cfg.Delays = nil
	if err := broker.Declare(t.Context(), cfg, databases); err == nil || !strings.Contains(err.Error(), "INGESTA_RETRY_DELAYS") {
		t.Errorf("declaring with a configuration that cannot work says %v, want the setting's name", err)
	}
}
