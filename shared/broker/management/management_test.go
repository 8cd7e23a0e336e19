package management_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/deploy/rabbitmq"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/broker/management"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left:", err)
			code = 1
		}
	}
	os.Exit(code)
}

var databases = []ingest.Database{ingest.MongoDB, ingest.MySQL, ingest.PostgreSQL}

// settings are what a program that prepares a broker reads.
type settings struct {
	Management management.Config
	Broker     broker.Config
}

// load returns the settings of the local stack for a virtual host, with the stack's user as the
// administrator and another one for the application.
func load(t testing.TB, vhost string, override ...string) settings {
	t.Helper()
	application := "test-" + strings.ToLower(rand.Text())
	t.Cleanup(func() { stacktest.Management(t, http.MethodDelete, "/api/users/"+application, nil, nil) })
	var s settings
	stacktest.Load(t, &s, append([]string{
		"RABBITMQ_VHOST=" + vhost, "RABBITMQ_USER=" + application, "RABBITMQ_PASSWORD=" + rand.Text(),
		"RABBITMQ_ADMIN_USER=" + stacktest.Env(t, "RABBITMQ_USER"), "RABBITMQ_ADMIN_PASSWORD=" + stacktest.Env(t, "RABBITMQ_PASSWORD"),
	}, override...)...)
	return s
}

func (s settings) client() *management.Client { return management.New(s.Management, s.Broker) }

// application returns a client that logs in as the application's user.
func (s settings) application() *management.Client {
	return management.New(management.Config{Port: s.Management.Port}, s.Broker)
}

// definitions returns those that are part of the product.
func definitions(t testing.TB) management.Definitions {
	t.Helper()
	d, err := management.ParseDefinitions(rabbitmq.Definitions())
	if err != nil {
		t.Fatalf("reading the definitions of the product: %v", err)
	}
	return d
}

// apply applies the definitions of the product and returns what was changed.
func (s settings) apply(t testing.TB) []string {
	t.Helper()
	changes, err := s.client().Apply(t.Context(), definitions(t))
	if err != nil {
		t.Fatalf("applying the definitions: %v", err)
	}
	return changes
}

// declare declares the topology as the application.
func (s settings) declare(t testing.TB) {
	t.Helper()
	if err := broker.Declare(t.Context(), s.Broker, databases); err != nil {
		t.Fatalf("declaring the topology: %v", err)
	}
}

// verify returns what is wrong on the broker, with the advice where there is one.
func (s settings) verify(t testing.TB) []string {
	t.Helper()
	findings, err := s.client().Verify(t.Context(), definitions(t), databases)
	if err != nil {
		t.Fatalf("verifying: %v", err)
	}
	texts := make([]string, len(findings))
	for i, f := range findings {
		texts[i] = strings.TrimSuffix(f.Subject+" "+f.Problem+": "+f.Advice, ": ")
	}
	return texts
}

// settled waits until nothing is wrong: queues get their policies in the background.
func (s settings) settled(t testing.TB) {
	t.Helper()
	var found []string
	defer func() {
		if t.Failed() {
			t.Logf("found last: %q", found)
		}
	}()
	stacktest.Eventually(t, "nothing is wrong on the broker", func() bool {
		found = s.verify(t)
		return len(found) == 0
	})
}

// wantKind fails the test unless err is an *Error of the kind and shows no password.
func wantKind(t testing.TB, doing string, err error, kind management.Kind, s settings) {
	t.Helper()
	e, ok := errors.AsType[*management.Error](err)
	if !ok || e.Kind != kind {
		t.Errorf("%s: error is %v, want one of kind %q", doing, err, kind)
		return
	}
	for _, secret := range []config.Secret{s.Broker.Password, s.Management.Password} {
		if len(secret) > 5 && strings.Contains(err.Error(), secret.Reveal()) {
			t.Errorf("%s: the error shows a password: %v", doing, err)
		}
	}
}

// A broker with nothing on it is prepared, the application works there, and doing it again changes
// nothing.
func TestApply(t *testing.T) {
	vhost := "test-" + strings.ToLower(rand.Text()) + "/with a slash"
	t.Cleanup(func() { stacktest.Management(t, http.MethodDelete, "/api/vhosts/"+url.PathEscape(vhost), nil, nil) })
	s := load(t, vhost)
	_, err := s.client().Verify(t.Context(), definitions(t), databases)
	wantKind(t, "verifying without a virtual host", err, management.NotFound, s)

	first := s.apply(t)
	for _, want := range []string{"virtual host", "user", "permissions", "policy"} {
		if !slices.ContainsFunc(first, func(c string) bool { return strings.Contains(c, want) }) {
			t.Errorf("the changes %q do not tell of the %s", first, want)
		}
	}
	found := s.verify(t)
	if len(found) == 0 || slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, "policy") }) {
		t.Errorf("found before the topology is declared: %q, want queues and exchanges alone", found)
	}
	s.declare(t)
	s.settled(t)
	if _, err := broker.Probe(t.Context(), s.Broker); err != nil {
		t.Errorf("probing the broker as the application: %v", err)
	}
	queues, err := s.client().Queues(t.Context())
	if err != nil || !slices.ContainsFunc(queues, func(q management.Queue) bool { return q.Name == s.Broker.Queue && q.Type == "classic" }) {
		t.Errorf("the queues are %+v, %v; want a classic %s among them, whatever the broker's default", queues, err, s.Broker.Queue)
	}
	if again := s.apply(t); len(again) != 0 {
		t.Errorf("applying again changed %q, want nothing", again)
	}
	s.settled(t)
}

// Who has one user for everything gives no other.
func TestApplyWithOneUser(t *testing.T) {
	s := load(t, stacktest.VHost(t),
		"RABBITMQ_USER="+stacktest.Env(t, "RABBITMQ_USER"), "RABBITMQ_PASSWORD="+stacktest.Env(t, "RABBITMQ_PASSWORD"),
		"RABBITMQ_ADMIN_USER=", "RABBITMQ_ADMIN_PASSWORD=")
	for _, change := range s.apply(t) {
		if !strings.HasPrefix(change, "policy") {
			t.Errorf("applying did this: %q; want the policies alone", change)
		}
	}
	s.declare(t)
	s.settled(t)
}

// What a queue holds and who consumes from it is as it is now.
func TestQueues(t *testing.T) {
	s := load(t, stacktest.VHost(t))
	s.apply(t)
	s.declare(t)
	b := broker.New(s.Broker, "test", databases, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { _ = b.Run(ctx) })
	running.Go(func() {
		_ = b.Consume(ctx, ingest.MySQL, 1, func(_ context.Context, d *broker.Delivery) { _ = d.Ack() })
	})
	mysql := broker.CommandQueue(ingest.MySQL)
	var queues []management.Queue
	stacktest.Eventually(t, "the consumer is listed", func() bool {
		var err error
		if queues, err = s.client().Queues(t.Context()); err != nil {
			t.Fatalf("listing the queues: %v", err)
		}
		return slices.ContainsFunc(queues, func(q management.Queue) bool { return q.Name == mysql && q.Consumers == 1 })
	})
	if want := len(broker.Topology(s.Broker, databases).Queues); len(queues) != want {
		t.Errorf("%d queues are listed, want %d", len(queues), want)
	}
	for _, q := range queues {
		if q.Name != mysql && q.Consumers != 0 || q.Messages != 0 {
			t.Errorf("queue %+v is said to have messages or consumers, and has none", q)
		}
	}
}

// What was changed by hand is noticed, and put right.
func TestDriftIsCorrected(t *testing.T) {
	s := load(t, stacktest.VHost(t))
	s.apply(t)
	s.declare(t)
	s.settled(t)
	at := "/api/policies/" + s.Broker.VHost + "/"
	stacktest.Management(t, http.MethodPut, at+"ingesta-dead", map[string]any{
		"pattern": `^ingesta\.dead$`, "apply-to": "queues", "priority": 10, "definition": map[string]any{"max-length": 5},
	}, nil)
	stacktest.Management(t, http.MethodDelete, at+"ingesta-delays", nil, nil)
	want := []string{`policy "ingesta-delays" does not exist`, `policy "ingesta-dead" is another than this version needs`}
	if found := s.verify(t); !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	if changes, want := s.apply(t), []string{`policy "ingesta-delays" set`, `policy "ingesta-dead" set`}; !slices.Equal(changes, want) {
		t.Errorf("applying changed %q, want %q", changes, want)
	}
	s.settled(t)
}

// A policy of an operator's that takes a queue away from ours is for the operator to change.
func TestStrongerPolicyIsReported(t *testing.T) {
	s := load(t, stacktest.VHost(t))
	s.apply(t)
	s.declare(t)
	stacktest.Management(t, http.MethodPut, "/api/policies/"+s.Broker.VHost+"/everything", map[string]any{
		"pattern": "dead", "apply-to": "queues", "priority": 99, "definition": map[string]any{"max-length": 5},
	}, nil)
	want := []string{`queue "ingesta.dead" is not under policy "ingesta-dead" but under "everything": narrow the pattern of "everything", or give it a priority below 10`}
	var found []string
	stacktest.Eventually(t, "the stronger policy applies", func() bool {
		found = s.verify(t)
		return slices.Equal(found, want)
	})
	if changes := s.apply(t); len(changes) != 0 {
		t.Errorf("applying changed %q, want nothing: an operator's policy is the operator's", changes)
	}
}

// A quorum queue of newer brokers drops what came back twenty times, unless its policy says
// otherwise.
func TestNoQueueForgets(t *testing.T) {
	d := definitions(t)
	topology := broker.Topology(broker.Config{Queue: "batch_processed", Delays: []time.Duration{time.Minute}}, databases)
	for _, q := range topology.Queues {
		if q.Args["x-queue-type"] != "quorum" {
			continue
		}
		i := slices.IndexFunc(d.Policies, func(p management.Policy) bool {
			matched, err := regexp.MatchString(p.Pattern, q.Name)
			return err == nil && matched
		})
		if i < 0 || d.Policies[i].Definition["delivery-limit"] != 1e6 {
			t.Errorf("queue %s has no policy with a delivery limit of a million", q.Name)
		}
	}
}

// Where two policies match a queue, the one of the higher priority is the right one.
func TestOverlappingPolicies(t *testing.T) {
	s := load(t, stacktest.VHost(t))
	s.apply(t)
	s.declare(t)
	d := definitions(t)
	weaker := d.Policies[0]
	weaker.Name, weaker.Pattern, weaker.Priority = "weaker", ".*", 1
	for _, policies := range [][]management.Policy{append([]management.Policy{weaker}, d.Policies...), append(slices.Clone(d.Policies), weaker)} {
		overlapping := management.Definitions{Policies: policies}
		if _, err := s.client().Apply(t.Context(), overlapping); err != nil {
			t.Fatalf("applying: %v", err)
		}
		if found, err := s.client().Verify(t.Context(), overlapping, databases); err != nil || len(found) != 0 {
			t.Errorf("found %v, %v; want nothing: every queue is under its own policy", found, err)
		}
	}
}

// Parts of the topology that are missing or different are named.
func TestVerifyTopology(t *testing.T) {
	s := load(t, stacktest.VHost(t))
	s.apply(t)
	s.declare(t)
	s.settled(t)
	v := s.Broker.VHost
	remove := func(path string) { stacktest.Management(t, http.MethodDelete, path, nil, nil) }
	remove("/api/queues/" + v + "/ingesta.dead")
	stacktest.Management(t, http.MethodPut, "/api/queues/"+v+"/ingesta.dead", map[string]any{"durable": true}, nil)
	remove("/api/queues/" + v + "/ingesta.commands.mysql")
	remove("/api/bindings/" + v + "/e/ingesta.events/q/batch_processed/job.%2A.success")
	remove("/api/exchanges/" + v + "/ingesta.delay.10s")
	remove("/api/exchanges/" + v + "/ingesta.events")
	stacktest.Management(t, http.MethodPut, "/api/exchanges/"+v+"/ingesta.events", map[string]any{"type": "fanout", "durable": true}, nil)
	want := []string{
		`exchange "ingesta.delay.10s" does not exist`,
		`exchange "ingesta.events" is not a durable one of type topic: delete it, or use another virtual host`,
		`queue "batch_processed" does not get what exchange "ingesta.events" has for "job.*.success"`,
		`queue "ingesta.commands.mysql" does not exist`,
		`queue "ingesta.dead" does not get what exchange "ingesta.dead" has for ""`,
		`queue "ingesta.dead" has other properties than this version declares (x-queue-type): empty and delete it, or use another virtual host`,
	}
	found := s.verify(t)
	for _, line := range want {
		if !slices.Contains(found, line) {
			t.Errorf("not found: %s", line)
		}
	}
	if others := len(found) - len(want); others != 3 { // the three other bindings of the exchange that was replaced
		t.Errorf("%d more were found, want the 3 other bindings of ingesta.events: %q", others, found)
	}
}

// The application's queue may have another name; its policy follows.
func TestPolicyOfAnotherQueue(t *testing.T) {
	s := load(t, stacktest.VHost(t), "RABBITMQ_QUEUE=mine.and+only")
	s.apply(t)
	s.declare(t)
	s.settled(t)
	queues, err := s.client().Queues(t.Context())
	i := slices.IndexFunc(queues, func(q management.Queue) bool { return q.Name == "mine.and+only" })
	if err != nil || i < 0 {
		t.Fatalf("the queues are %+v, %v; want mine.and+only among them", queues, err)
	}
	if q := queues[i]; q.Policy != "batch-processed" || q.Type != "classic" || !q.Durable {
		t.Errorf("the queue is %+v, want a durable classic one under the policy batch-processed", q)
	}
	stacktest.Management(t, http.MethodPut, "/api/queues/"+s.Broker.VHost+"/mineXand+only", map[string]any{"durable": true}, nil)
	stacktest.Eventually(t, "a queue of a similar name is listed without a policy", func() bool {
		queues, err := s.client().Queues(t.Context())
		return err == nil && slices.ContainsFunc(queues, func(q management.Queue) bool { return q.Name == "mineXand+only" && q.Policy == "" })
	})
}

// A user who exists keeps the password, the tags and the permissions that an operator gave: others
// may log in as it.
func TestUserWhoExists(t *testing.T) {
	s := load(t, stacktest.VHost(t))
	name := s.Broker.User
	stacktest.Management(t, http.MethodPut, "/api/users/"+name, map[string]string{"password": "another-one", "tags": "policymaker"}, nil)
	narrow := map[string]string{"configure": `^ingesta\.|^batch_processed$`, "write": `^ingesta\.|^batch_processed$|^amq\.default$`, "read": `^ingesta\.|^batch_processed$`}
	stacktest.Management(t, http.MethodPut, "/api/permissions/"+s.Broker.VHost+"/"+name, narrow, nil)
	s.apply(t)
	var user struct{ Tags []string }
	stacktest.Management(t, http.MethodGet, "/api/users/"+name, nil, &user)
	if want := []string{"policymaker"}; !slices.Equal(user.Tags, want) {
		t.Errorf("the user has the tags %q, want %q", user.Tags, want)
	}
	var permissions map[string]string
	stacktest.Management(t, http.MethodGet, "/api/permissions/"+s.Broker.VHost+"/"+name, nil, &permissions)
	for what, pattern := range narrow {
		if permissions[what] != pattern {
			t.Errorf("the permission to %s is %q, want %q as the operator left it", what, permissions[what], pattern)
		}
	}
	if err := broker.Declare(t.Context(), s.Broker, databases); !errors.Is(err, broker.ErrCredentials) {
		t.Errorf("with another password than the user's: %v, want %v", err, broker.ErrCredentials)
	}
	s.Broker.Password = "another-one"
	s.declare(t)
	if _, err := broker.Probe(t.Context(), s.Broker); err != nil {
		t.Errorf("probing with narrow permissions: %v", err)
	}
}

// Looking takes no administrator.
func TestApplicationMayLook(t *testing.T) {
	s := load(t, stacktest.VHost(t))
	s.apply(t)
	s.declare(t)
	s.settled(t)
	application := s.application()
	if found, err := application.Verify(t.Context(), definitions(t), databases); err != nil || len(found) != 0 {
		t.Errorf("verifying as the application: %v, %v; want nothing", found, err)
	}
	overview, err := application.Overview(t.Context())
	if err != nil || overview.Product != "RabbitMQ" || overview.Version == "" || overview.Node == "" || overview.Cluster == "" {
		t.Errorf("the broker says that it is %+v, %v", overview, err)
	}
	nodes, err := application.Nodes(t.Context())
	if err != nil || len(nodes) != 1 || nodes[0].Name != overview.Node || !nodes[0].Running || len(nodes[0].Alarms) != 0 {
		t.Errorf("the nodes are %+v, %v; want %s without alarms", nodes, err, overview.Node)
	}
	_, err = application.Apply(t.Context(), definitions(t))
	wantKind(t, "applying without the tag administrator", err, management.Forbidden, s)
}

func TestErrors(t *testing.T) {
	s := load(t, stacktest.VHost(t))
	s.apply(t)
	stranger := s
	stranger.Management.Password = "not-the-password"
	closed := s
	closed.Management.Port = stacktest.FreePort(t)
	amqp := s
	amqp.Management.Port = s.Broker.Port
	elsewhere := s
	elsewhere.Broker.VHost = "no-such-virtual-host"
	for name, test := range map[string]struct {
		s    settings
		want management.Kind
	}{
		"wrong password":       {stranger, management.Unauthorized},
		"closed port":          {closed, management.Unreachable},
		"the AMQP port":        {amqp, management.Unreachable},
		"missing virtual host": {elsewhere, management.NotFound},
	} {
		_, err := test.s.client().Queues(t.Context())
		wantKind(t, name, err, test.want, test.s)
	}
	tagless := load(t, s.Broker.VHost)
	stacktest.Management(t, http.MethodPut, "/api/users/"+tagless.Broker.User, map[string]string{"password": tagless.Broker.Password.Reveal(), "tags": ""}, nil)
	_, err := tagless.application().Overview(t.Context())
	wantKind(t, "a user without tags", err, management.Unauthorized, tagless)
	stacktest.Management(t, http.MethodPut, "/api/users/"+tagless.Broker.User, map[string]string{"password": tagless.Broker.Password.Reveal(), "tags": "monitoring"}, nil)
	_, err = tagless.application().Queues(t.Context())
	if e, ok := errors.AsType[*management.Error](err); !ok || e.Kind != management.Forbidden && e.Kind != management.NotFound {
		t.Errorf("a user without permissions on the virtual host: error is %v, want one of kind forbidden, or not_found as brokers of 4.x have it", err)
	}
	bad := definitions(t)
	bad.Policies[0].Definition = map[string]any{"no-such-key": 1}
	_, err = s.client().Apply(t.Context(), bad)
	wantKind(t, "a policy with a key that the broker does not know", err, management.Refused, s)
}

// Nobody waits for a broker that does not answer longer than they want to.
func TestSilence(t *testing.T) {
	var listen net.ListenConfig
	silent, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0") // takes connections and never reads
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s := settings{Management: management.Config{Port: silent.Addr().(*net.TCPAddr).Port}, Broker: broker.Config{Host: "127.0.0.1", User: "u", Password: "secret-of-u", VHost: "/"}}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("the check's time is over"))
	defer cancel()
	_, err = s.client().Overview(ctx)
	wantKind(t, "a server that is silent", err, management.Unreachable, s)
	if err == nil || !strings.Contains(err.Error(), "the check's time is over") {
		t.Errorf("the error is %v, want the cause of the deadline", err)
	}
	ctx, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err = s.client().Overview(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want that the caller gave up", err)
	} else if _, ok := errors.AsType[*management.Error](err); ok {
		t.Errorf("the error is %v, which blames the broker for a caller who gave up", err)
	}
}

// replay serves answers that a broker gave, by path.
func replay(t testing.TB, answers map[string]string, status map[string]int) settings {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "/elsewhere")
		if code, ok := status[r.URL.Path]; ok {
			w.WriteHeader(code)
		}
		_, _ = w.Write([]byte(answers[r.URL.Path]))
	}))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	return settings{Management: management.Config{Port: port}, Broker: broker.Config{Host: at.Hostname(), VHost: "/"}}
}

// The stack's broker is shared, so the alarm is one that a broker had elsewhere.
func TestAlarms(t *testing.T) {
	s := replay(t, map[string]string{
		"/api/nodes":                `[{"mem_alarm":false,"disk_free_alarm":true,"name":"rabbit@one","running":true},{"name":"rabbit@two","running":false}]`,
		"/api/health/checks/alarms": `{"status":"failed","reason":"There are alarms in effect in the cluster","alarms":[{"node":"rabbit@one","resource":"disk space"},{"node":"rabbit@one","resource":"memory"}]}`,
	}, map[string]int{"/api/health/checks/alarms": http.StatusServiceUnavailable})
	nodes, err := s.client().Nodes(t.Context())
	if err != nil || len(nodes) != 2 {
		t.Fatalf("the nodes are %+v, %v; want two", nodes, err)
	}
	if one := nodes[0]; !one.Running || !slices.Equal(one.Alarms, []string{"disk", "memory"}) {
		t.Errorf("the first node is %+v, want it running, short of disk and memory", one)
	}
	if two := nodes[1]; two.Running || len(two.Alarms) != 0 {
		t.Errorf("the second node is %+v, want it stopped", two)
	}
}

// Another program at the port is told apart from a broker.
func TestAnotherProgramAtThePort(t *testing.T) {
	s := replay(t, map[string]string{"/api/overview": "<html>"}, nil)
	_, err := s.client().Overview(t.Context())
	wantKind(t, "an answer that is no JSON", err, management.Failed, s)
	s = replay(t, map[string]string{"/elsewhere": "{}"}, map[string]int{"/api/overview": http.StatusMovedPermanently})
	_, err = s.client().Overview(t.Context())
	wantKind(t, "a redirection", err, management.Failed, s)
}

func TestConfig(t *testing.T) {
	for name, test := range map[string]struct {
		environ []string
		want    string // part of the error; empty for none
	}{
		"defaults":                 {nil, ""},
		"administrator":            {[]string{"RABBITMQ_ADMIN_USER=root", "RABBITMQ_ADMIN_PASSWORD=k9"}, ""},
		"port":                     {[]string{"RABBITMQ_MANAGEMENT_PORT=0"}, "RABBITMQ_MANAGEMENT_PORT"},
		"no password":              {[]string{"RABBITMQ_ADMIN_USER=root"}, "RABBITMQ_ADMIN_PASSWORD"},
		"no user":                  {[]string{"RABBITMQ_ADMIN_PASSWORD=k9"}, "RABBITMQ_ADMIN_USER"},
		"the sample in production": {[]string{"INGESTA_ENV=production", "RABBITMQ_ADMIN_USER=root", "RABBITMQ_ADMIN_PASSWORD=admin"}, "RABBITMQ_ADMIN_PASSWORD is a sample password"},
	} {
		var cfg management.Config
		_, err := config.Load(&cfg, test.environ)
		if test.want == "" && err != nil {
			t.Errorf("%s: refused with %v", name, err)
		} else if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: the error is %v, want it to name %s", name, err, test.want)
		}
	}
}

func TestParseDefinitions(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":   `policies`,
		"no policy": `{"vhosts": [{"name": "/"}]}`,
		"a pattern": `{"policies": [{"name": "x", "pattern": "("}]}`,
	} {
		if _, err := management.ParseDefinitions([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
