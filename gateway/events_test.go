package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// listener reads one stream of events.
type listener struct {
	t      *testing.T
	body   io.ReadCloser
	lines  *bufio.Scanner
	lastID string
}

// told is one event.
type told struct{ name, id, data string }

func (e told) job(t *testing.T) ingest.Job {
	t.Helper()
	var job ingest.Job
	if err := json.Unmarshal([]byte(e.data), &job); err != nil || job.ID == "" {
		t.Fatalf("%v: the event holds no job: %+v", err, e)
	}
	return job
}

// listen connects to a stream, after the event that a client has seen last.
func (g *running) listen(path, lastID string) *listener {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	g.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(response.Body) // what can be had of it
		_ = response.Body.Close()
		g.t.Fatalf("%s answers %d: %s", path, response.StatusCode, said)
	}
	return &listener{t: g.t, body: response.Body, lines: bufio.NewScanner(response.Body), lastID: lastID}
}

func (l *listener) close() { _ = l.body.Close() } // it is read no more

// next returns the next event, or reports the end of the stream.
func (l *listener) next() (e told, ok bool) {
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch name {
		case "event":
			e.name = value
		case "id":
			e.id, l.lastID = value, value
		case "data":
			e.data = value
		case "":
			if e.data != "" {
				return e, true
			}
		}
	}
	return e, false
}

// until returns the first event for which wanted holds.
func (l *listener) until(what string, wanted func(told) bool) told {
	l.t.Helper()
	for {
		e, ok := l.next()
		if !ok {
			l.t.Fatalf("the stream ended before %s: %v", what, l.lines.Err())
		}
		if wanted(e) {
			return e
		}
	}
}

func TestEventsOfJob(t *testing.T) {
	g := start(t)
	job := g.call("POST", "/api/ingesta/mysql", "").job(t)
	path := "/api/ingesta/jobs/" + job.ID
	l := g.listen(path+"/events", "")
	defer l.close()
	first, ok := l.next()
	if etag := g.call("GET", path, "").header.Get("ETag"); !ok || first.name != "job" || `"`+first.id+`"` != etag || first.job(t).Status != ingest.Queued {
		t.Errorf("the first event is %+v, the job's tag %s", first, etag)
	}
	g.finish(job)
	last := l.until("the end of the job", func(e told) bool { return e.name == "job" && e.job(t).Status.Terminal() })
	if e, ok := l.next(); !ok || e.name != "end" || e.data != job.ID {
		t.Errorf("after the end comes %+v", e)
	}
	if e, ok := l.next(); ok || l.lines.Err() != nil {
		t.Errorf("the stream goes on with %+v, or was cut: %v", e, l.lines.Err())
	}
	if a := g.call("GET", path+"/events", "", "Last-Event-ID: "+last.id); a.status != http.StatusNoContent {
		t.Errorf("who has seen the end is told %d: %s", a.status, a.body)
	}
}

// Streams end at once when the gateway stops, and who comes back to another gateway misses no end.
func TestEventsAcrossRestart(t *testing.T) {
	g := start(t)
	all := g.listen("/api/ingesta/events", "")
	defer all.close()
	if e, ok := all.next(); !ok || e.name != "ready" || e.id == "" {
		t.Fatalf("the first event is %+v", e)
	}
	seen := g.call("POST", "/api/ingesta/mysql", "").job(t)
	all.until("a new job", func(e told) bool { return e.job(t).ID == seen.ID && e.id != "" })
	one := g.listen("/api/ingesta/jobs/"+seen.ID+"/events", "")
	defer one.close()
	if _, ok := one.next(); !ok {
		t.Fatal("the job is not shown")
	}

	begun := time.Now()
	if err := g.stop(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("with streams under way, stopping took %s", took)
	}
	for name, l := range map[string]*listener{"of all": all, "of one": one} {
		if e, ok := l.next(); ok || l.lines.Err() != nil {
			t.Errorf("the stream %s goes on with %+v, or was cut: %v", name, e, l.lines.Err())
		}
	}

	g.finish(seen) // while no gateway runs
	again := start(t, "RABBITMQ_VHOST="+g.vhost, "INGESTA_REDIS_PREFIX="+g.vhost)
	fresh := again.call("POST", "/api/ingesta/postgresql", "").job(t)
	all = again.listen("/api/ingesta/events?database=mysql", all.lastID)
	defer all.close()
	if e := all.until("what was missed", func(told) bool { return true }); e.name != "job" || e.job(t).ID != seen.ID || e.job(t).Status != ingest.Success || e.id == "" {
		t.Errorf("the first event after coming back is %+v, want the end of %s", e, seen.ID)
	}
	one = again.listen("/api/ingesta/jobs/"+seen.ID+"/events", one.lastID)
	defer one.close()
	if e, ok := one.next(); !ok || e.name != "job" || e.job(t).Status != ingest.Success {
		t.Errorf("the job's own stream goes on with %+v", e)
	}
	lost := again.listen("/api/ingesta/events", "1-1")
	defer lost.close()
	for _, want := range []string{"reset", "ready"} {
		if e, ok := lost.next(); !ok || e.name != want {
			t.Errorf("after a position that nobody knows comes %+v, want %s", e, want)
		}
	}
	again.finish(fresh)
	lost.until("the end of a job", func(e told) bool { return e.job(t).ID == fresh.ID && e.job(t).Status == ingest.Success })
}

// What a thousand idle listeners cost one gateway, a process of its own as in production.
func TestThousandListeners(t *testing.T) {
	const listeners, allowed = 1000, 64 << 20
	if runtime.GOOS != "linux" {
		t.Skip("the memory of a process is read from /proc")
	}
	binary := filepath.Join(t.TempDir(), "gateway")
	if said, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/gateway").CombinedOutput(); err != nil {
		t.Fatalf("building the gateway: %v: %s", err, said)
	}
	var cfg Config
	port := stacktest.FreePort(t)
	environ := append(stacktest.Isolate(t), "INGESTA_ENV=development", "AUTH_MODE=none", "GATEWAY_HOST=127.0.0.1",
		fmt.Sprintf("GATEWAY_PORT=%d", port), "INGESTA_RATE_READ=off", "LOG_LEVEL=warn")
	stacktest.Load(t, &cfg, environ...)
	conns := make([]net.Conn, listeners)
	defer func() { // after the gateway has stopped
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close()
			}
		}
	}()
	process := exec.CommandContext(t.Context(), binary)
	process.Env = stacktest.Environ(t, environ...)
	process.Stderr = os.Stderr
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		begun := time.Now()
		if err := process.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := process.Wait(); err != nil {
			t.Errorf("the gateway ended with %v", err)
		}
		t.Logf("with all of them listening, it stopped in %s", time.Since(begun).Round(time.Millisecond))
	}()
	g := &running{t: t, url: "http://" + cfg.Address()}
	stacktest.Eventually(t, "the gateway is ready", func() bool { return g.call("GET", "/ready", "").status == 200 })
	defer http.DefaultClient.CloseIdleConnections()
	job := g.call("POST", "/api/ingesta/mysql", "").job(t)
	for range 200 { // so that what any traffic takes is not counted as the listeners'
		g.call("GET", "/api/ingesta/jobs", "")
	}
	before := resident(t, process.Process.Pid)

	var connecting sync.WaitGroup
	for worker := range 20 {
		connecting.Go(func() {
			for i := worker; i < listeners; i += 20 {
				path := []string{"/api/ingesta/events", "/api/ingesta/jobs/" + job.ID + "/events"}[i%2]
				conn, err := attend(cfg.Address(), path)
				if err != nil {
					t.Errorf("listener %d: %v", i, err)
					return
				}
				conns[i] = conn
			}
		})
	}
	connecting.Wait()
	if t.Failed() {
		return
	}
	if a := g.call("GET", "/metrics", ""); !strings.Contains(string(a.body), fmt.Sprintf("ingesta_http_streams %d", listeners)) {
		t.Error("the metrics do not count the streams")
	}
	grown := resident(t, process.Process.Pid) - before
	t.Logf("%d idle listeners: %.1f MiB more, %.1f KiB each (%.1f MiB before)", listeners, float64(grown)/(1<<20), float64(grown)/listeners/(1<<10), float64(before)/(1<<20))
	if grown > allowed {
		t.Errorf("%d listeners take %d MiB, want at most %d", listeners, grown>>20, allowed>>20)
	}
}

// attend connects to a stream and reads until its first event.
func attend(address, path string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n", path); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data:") {
			return conn, nil
		}
	}
	return nil, fmt.Errorf("the stream ended: %w", lines.Err())
}

// resident returns the memory of a process that is in use, in bytes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(status), "\n")
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "VmRSS:") })
	if at < 0 {
		t.Fatalf("the process tells nothing of its memory: %s", status)
	}
	kilobytes, err := strconv.Atoi(strings.Fields(lines[at])[1])
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}
