package check

import (
	"encoding/json"
	"flag"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// recording holds what a real engine (Docker 20.10) answered to the requests of the check when its
// containers were in the states below: TestContainersOfAnEngine wrote it, with -record.
const recording = "testdata/engine.json"

var record = flag.Bool("record", false, "write what the engine answers to "+recording)

// states are the containers of a project, each in the state that it is brought into on a real engine.
var states = []struct {
	service string
	name    string
	command []string // of the program idle; none: it sleeps
	health  []string // the command that examines it
	every   time.Duration
	restart bool
	oneOff  bool
	action  string // done to it instead of start, or after it
	becomes string // status, and health

	status   Status
	text     string
	nextStep string
}{
	{service: "mysql", name: "flowlite-mysql", health: []string{"0"}, every: 50 * time.Millisecond, becomes: "running healthy",
		status: StatusOK, text: "flowlite-mysql is running and healthy"},
	{service: "rabbitmq", name: "flowlite-rabbitmq", becomes: "running",
		status: StatusOK, text: "flowlite-rabbitmq is running"},
	{service: "redis", name: "flowlite-redis", health: []string{"1"}, every: 50 * time.Millisecond, becomes: "running unhealthy",
		status: StatusFailed, text: "flowlite-redis is running and not healthy", nextStep: "docker compose logs redis"},
	{service: "worker-mongodb", name: "worker-mongodb", health: []string{"0"}, every: time.Hour, becomes: "running starting",
		status: StatusSkipped, text: "worker-mongodb is running; whether it is healthy is not known yet"},
	{service: "gateway", name: "gateway", command: []string{"3"}, becomes: "exited",
		status: StatusFailed, text: "gateway has ended with exit code 3", nextStep: "docker compose logs gateway"},
	{service: "mongodb", name: "mongodb", command: []string{"0"}, becomes: "exited",
		status: StatusFailed, text: "mongodb has ended with exit code 0", nextStep: "docker compose up -d mongodb"},
	{service: "worker-mysql", name: "worker-mysql", command: []string{"4"}, restart: true, becomes: "restarting",
		status: StatusFailed, text: "worker-mysql ends and is restarted, again and again, the last time with exit code 4", nextStep: "docker compose logs worker-mysql"},
	{service: "worker-postgresql", name: "worker-postgresql", action: "pause", becomes: "paused",
		status: StatusFailed, text: "worker-postgresql is paused", nextStep: "docker compose unpause worker-postgresql"},
	{service: "s3", name: "s3", action: "none", becomes: "created",
		status: StatusFailed, text: "s3 was made and never started", nextStep: "docker compose up -d s3"},
	{service: "db-init", name: "flowlite-db-init", command: []string{"0"}, becomes: "exited",
		status: StatusOK, text: "flowlite-db-init has done its work"},
	{service: "demo-data", name: "demo-data", becomes: "running",
		status: StatusOK, text: "demo-data is running"},
	{service: "migrate", name: "migrate-run", command: []string{"5"}, oneOff: true, becomes: "exited"}, // not reported
}

// The states of all containers are told from the answers of a real engine, recorded.
func TestContainers(t *testing.T) {
	host := listen(t, replay(t))
	checkStates(t, Run(t.Context(), []Check{Containers(host)}, time.Minute), "")
}

// checkStates compares the report with what the states are to be called. prefix stands before the
// containers' names.
func checkStates(t *testing.T, report Report, prefix string) {
	t.Helper()
	got := map[string]Finding{}
	var order []string
	for _, x := range report.Results {
		if x.Service != Docker {
			t.Errorf("a finding of service %q, want %q", x.Service, Docker)
		}
		got[x.Title] = x.Finding
		order = append(order, x.Title)
	}
	if !slices.IsSorted(order) {
		t.Errorf("the findings are in the order %q, want that of the services' names", order)
	}
	for _, s := range states {
		f, reported := got[s.service]
		delete(got, s.service)
		if s.oneOff {
			if reported {
				t.Errorf("%s: %+v, want no word of a container of `docker compose run`", s.service, f)
			}
			continue
		}
		text := strings.Replace(f.Detail+f.Cause, prefix, "", 1)
		if !reported || f.Status != s.status || text != s.text || f.NextStep != s.nextStep {
			t.Errorf("%s, %s: got %v, %q, %q; want %v, %q, %q", s.service, s.becomes, f.Status, text, f.NextStep, s.status, s.text, s.nextStep)
		}
	}
	for service := range got {
		t.Errorf("a finding about %s, which is no service of the project", service)
	}
}

// Several containers of one service are one finding, the worst of them.
func TestContainersOfOneService(t *testing.T) {
	answers := recorded(t)
	var list []listedContainer
	decode(t, answers["/containers/json"], &list)
	workers := []string{"rabbitmq", "redis", "worker-mongodb"}
	list = slices.DeleteFunc(list, func(c listedContainer) bool { return !slices.Contains(workers, c.service()) })
	for _, c := range list {
		c.Labels["com.docker.compose.service"] = "worker"
	}
	answers["/containers/json"] = encode(t, list)
	report := Run(t.Context(), []Check{Containers(listen(t, serve(t, answers)))}, time.Minute)
	if len(report.Results) != 1 {
		t.Fatalf("got %+v, want one finding", report.Results)
	}
	got := report.Results[0]
	if got.Title != "worker" || got.Status != StatusFailed || got.Cause != "flowlite-redis is running and not healthy" || got.NextStep != "docker compose logs worker" {
		t.Errorf("got %+v, want the failure of redis, the worst", got)
	}
	for _, text := range []string{"worker-mongodb is running; whether it is healthy is not known yet", "flowlite-rabbitmq is running"} {
		if !slices.Contains(got.Lines, text) {
			t.Errorf("the lines %q do not say %q", got.Lines, text)
		}
	}
}

// A container that goes between list and look is no failure, one that was ended or could not be
// started says why, and what has a single task must have done it.
func TestContainersThatSayMore(t *testing.T) {
	answers := recorded(t)
	var list []listedContainer
	decode(t, answers["/containers/json"], &list)
	changes := map[string]map[string]any{
		"s3": {"Error": "port is already allocated"}, "gateway": {"OOMKilled": true}, "db-init": {"ExitCode": 1},
	}
	for _, c := range list {
		path := "/containers/" + c.ID + "/json"
		var details map[string]any
		decode(t, answers[path], &details)
		maps.Copy(details["State"].(map[string]any), changes[c.service()])
		answers[path] = encode(t, details)
		if c.service() == "mysql" {
			delete(answers, path)
		}
	}
	report := Run(t.Context(), []Check{Containers(listen(t, serve(t, answers)))}, time.Minute)
	want := map[string]Outcome{
		"mysql":   Skip("a container was removed while it was looked at"),
		"s3":      {Status: StatusFailed, Cause: "s3 was made and never started: port is already allocated"},
		"gateway": {Status: StatusFailed, Cause: "gateway has ended with exit code 3, out of memory"},
		"db-init": {Status: StatusFailed, Cause: "flowlite-db-init has ended with exit code 1"},
	}
	for _, x := range report.Results {
		w, ok := want[x.Title]
		delete(want, x.Title)
		if ok && (x.Status != w.Status || x.Detail != w.Detail || x.Cause != w.Cause) {
			t.Errorf("%s: got %+v, want %+v", x.Title, x.Outcome, w)
		}
	}
	if len(want) > 0 {
		t.Errorf("no word of %v", want)
	}
}

// Nobody needs Docker, but what is set must work.
func TestContainersWithoutAny(t *testing.T) {
	silent := make(chan struct{})
	mute := listen(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-silent }))
	t.Cleanup(func() { close(silent) }) // before the server of listen is closed, which waits for its handlers
	closed := httptest.NewServer(nil)
	closed.Close()
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	tls := httptest.NewUnstartedServer(nil)
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	t.Cleanup(tls.Close)
	page := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	empty := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[]")) }))

	for _, c := range []struct {
		name, host string
		status     Status
		text       string // part of it
	}{
		{"no socket", "unix://" + filepath.Join(t.TempDir(), "docker.sock"), StatusSkipped, "no engine answers: dial unix"},
		{"a closed port", "tcp://" + closed.Listener.Addr().String(), StatusSkipped, "no engine answers: dial tcp"},
		{"ssh", "ssh://user:geheim@example.com", StatusSkipped, "unix and tcp only"},
		{"a login", "tcp://user:geheim@127.0.0.1:1", StatusSkipped, "no address"},
		{"no address", "docker.sock", StatusSkipped, "no address"},
		{"no container", empty, StatusSkipped, "no container of the project pharmavida-ingesta"},
		{"a page", page, StatusFailed, "is no Docker engine"},
		{"another server", "tcp://" + other.Listener.Addr().String(), StatusFailed, "is no Docker engine"},
		{"TLS", "tcp://" + tls.Listener.Addr().String(), StatusFailed, "HTTPS server"},
		{"an engine that hangs", mute, StatusFailed, "no answer within 300ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			report := Run(t.Context(), []Check{Containers(c.host)}, 300*time.Millisecond)
			if len(report.Results) != 1 {
				t.Fatalf("got %+v, want one finding", report.Results)
			}
			got := report.Results[0]
			if got.Title != "containers" || got.Status != c.status || !strings.Contains(got.Detail+got.Cause, c.text) {
				t.Errorf("got %q %v %q %q, want %v and a word of %q", got.Title, got.Status, got.Detail, got.Cause, c.status, c.text)
			}
			if strings.Contains(got.Detail+got.Cause, "geheim") {
				t.Errorf("%q holds the password", got.Detail+got.Cause)
			}
			if (got.NextStep != "") != (c.status == StatusFailed) {
				t.Errorf("next step %q, want one for a failure alone", got.NextStep)
			}
		})
	}
}

// recorded reads the recording: the answer to each path.
func recorded(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	content, err := os.ReadFile(recording)
	if err != nil {
		t.Fatalf("reading the recording: %v", err)
	}
	var answers map[string]json.RawMessage
	decode(t, content, &answers)
	return answers
}

func replay(t *testing.T) http.Handler { return serve(t, recorded(t)) }

// serve answers as recorded. The list is given only to who asks for all containers of our project.
func serve(t *testing.T, answers map[string]json.RawMessage) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, known := answers[r.URL.Path]
		var filters map[string][]string
		if r.URL.Path == "/containers/json" {
			_ = json.Unmarshal([]byte(r.FormValue("filters")), &filters)
			if r.FormValue("all") != "1" || !slices.Contains(filters["label"], "com.docker.compose.project=pharmavida-ingesta") {
				t.Errorf("asked for %s, want all containers of our project", r.URL)
			}
		}
		if !known || r.Method != http.MethodGet {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(answer)
	})
}

// listen serves on a Unix socket and returns its address for DOCKER_HOST.
func listen(t *testing.T, handler http.Handler) string {
	t.Helper()
	// A path of its own: that of t.TempDir may be longer than a socket's can be.
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatalf("listening on a socket: %v", err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	server.Start()
	t.Cleanup(server.Close)
	return "unix://" + socket
}

func decode(t *testing.T, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatalf("decoding %.100s: %v", content, err)
	}
}

func encode(t *testing.T, value any) json.RawMessage {
	t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		t.Fatalf("encoding: %v", err)
	}
	return content
}

// pick returns what of a decoded object is recorded.
func pick(object map[string]any, names ...string) map[string]any {
	picked := maps.Clone(object)
	maps.DeleteFunc(picked, func(name string, _ any) bool { return !slices.Contains(names, name) })
	return picked
}
