package contract

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// excused are the parts of the contract that this test does not bring about.
var excused = map[string]string{
	"500": "a defect of the gateway, which there should be none of",
	"408": "the gateway waits 30 seconds for a body; its own tests send one slowly",
}

// oneDatabase is a catalog whose jobs the test's one worker can all do.
const oneDatabase = `version: 1
databases:
  - name: mysql
    datasets:
      - name: users
        table: users
        columns: [id, dni, nombre]
      - name: gone
        object: gone
        table: no_such_table
        columns: [id]
`

// Whatever the gateway answers, on any route, is as the contract says, and all that the contract says
// can happen does.
func TestHTTP(t *testing.T) {
	check := newChecker(t, &http.Transport{})
	client := &http.Client{Transport: check, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	catalog := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(catalog, []byte(oneDatabase), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSystem(t, client, "CATALOG_FILE="+catalog)
	g := s.gateway(t)
	admin := g.as("ingesta:admin")
	stacktest.Eventually(t, "the gateway is ready", func() bool { return g.ask("GET", "/ready", "").status == http.StatusOK })

	t.Run("documents", func(t *testing.T) { documents(with(t, g)) })
	t.Run("home", func(t *testing.T) { home(with(t, g)) })
	t.Run("tokens", func(t *testing.T) { tokens(with(t, g)) })
	t.Run("bodies", func(t *testing.T) { bodies(with(t, admin)) })
	t.Run("queued", func(t *testing.T) { queued(with(t, admin)) })
	t.Run("letters", func(t *testing.T) { letters(with(t, admin), s) })
	s.worker(t)
	t.Run("worked", func(t *testing.T) { worked(with(t, admin), s) })
	t.Run("limited", func(t *testing.T) { limited(t, s) })
	t.Run("away", func(t *testing.T) { away(t, s) })
	check.report(t, excused)
}

// with returns the caller, for a test below its own.
func with(t *testing.T, c *caller) *caller {
	other := *c
	other.t = t
	return &other
}

const (
	nobody   = "/api/ingesta/jobs/01a22bb8-0000-7000-8000-000000000000"
	noLetter = "/api/ingesta/dead-letters/00000000000000000000000000000000"
)

// documents asks for what is open to all.
func documents(g *caller) {
	const id = "X-Request-Id: contract-1"
	for _, path := range []string{"/health", "/ready", "/metrics"} {
		g.wants(200, "GET", path, "", id)
	}
	g.wants(200, "GET", "/", "", "Accept: application/json", id)
	for _, path := range []string{"/openapi.yaml", "/openapi.json", "/asyncapi.yaml", "/docs", "/redoc", "/docs/assets/swagger-ui.css"} {
		tag := g.wants(200, "GET", path, "", id).header.Get("ETag")
		g.wants(304, "GET", path, "", id, "If-None-Match: "+tag)
	}
	for _, asset := range []string{"swagger-ui-bundle.js", "redoc.standalone.js", "page.css", "redoc.LICENSE.txt"} {
		g.wants(200, "GET", "/docs/assets/"+asset, "")
	}
	g.wants(404, "GET", "/docs/assets/none.js", "")
	for _, accept := range []string{"Accept: application/json", "Accept: text/html"} {
		g.wants(200, "GET", "/problems", "", id, accept, "Accept-Language: es")
		g.wants(200, "GET", "/problems/job_over", "", id, accept, "Accept-Language: es")
	}
	g.wants(404, "GET", "/problems/none", "")
}

// operations are those that need a token, with paths of nothing.
func operations() map[string]string {
	return map[string]string{
		"POST /api/ingesta/mysql": "run", "POST /api/ingesta": "run", "POST " + nobody + "/cancel": "run", "POST " + nobody + "/retry": "run",
		"POST " + noLetter + "/replay": "run",

		"GET /api/ingesta/jobs": "read", "GET " + nobody: "read", "GET /api/ingesta/health": "read", "GET /api/ingesta/datasets": "read",
		"GET /api/ingesta/dead-letters": "read",
		"GET " + nobody + "/events":     "read", "GET /api/ingesta/events": "read",
		"GET " + nobody + "/datasets/users/download": "read", "GET /api/ingesta/datasets/mysql/users/ddl": "read",
	}
}

// tokens asks without one, and with one of the other scope.
func tokens(g *caller) {
	other := map[string]string{"run": "ingesta:read", "read": "ingesta:run"}
	for operation, scope := range operations() {
		method, path, _ := strings.Cut(operation, " ")
		g.wants(401, method, path, "")
		g.as(other[scope]).wants(403, method, path, "")
		if method == "POST" {
			g.as("ingesta:run").wants(403, method, path, "", "Sec-Fetch-Site: cross-site")
		}
	}
}

// bodies sends those that cannot be read.
func bodies(g *caller) {
	large := strings.Repeat(" ", 1<<20+1)
	for operation := range operations() {
		method, path, _ := strings.Cut(operation, " ")
		if method != "POST" {
			continue
		}
		g.wants(400, method, path, `{"tables":[]}`)
		g.wants(400, method, path, `{`)
		g.wants(413, method, path, large)
		g.wants(415, method, path, "a=b", "Content-Type: application/x-www-form-urlencoded")
	}
	g.wants(400, "POST", "/api/ingesta/mysql", `{"datasets":"users"}`)
	g.wants(400, "POST", "/api/ingesta/mysql", "", "Idempotency-Key: with a space")
	g.wants(422, "POST", "/api/ingesta/mysql", `{"datasets":["none"]}`)
	g.wants(422, "POST", "/api/ingesta/mysql", `{"datasets":[]}`)
	g.wants(422, "POST", "/api/ingesta/mysql", `{"datasets":["users","users"]}`)
	g.wants(404, "POST", "/api/ingesta/oracle", "")
	g.wants(405, "POST", "/api/ingesta/jobs", "")
	g.wants(404, "GET", "/api/ingesta/none/of/these", "")
}

const (
	inTrace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	named   = "X-Request-Id: contract-2"
)

// queued deals with jobs that nobody takes up.
func queued(g *caller) {
	const users = `{"datasets":["users"]}`
	first := g.wants(202, "POST", "/api/ingesta/mysql", users, "Idempotency-Key: one", inTrace, named, "Prefer: respond-async")
	job := first.header.Get("Location")
	again := g.wants(202, "POST", "/api/ingesta/mysql", users, "Idempotency-Key: one", "Prefer: wait=0")
	if again.header.Get("Location") != job || again.header.Get("Idempotency-Replayed") != "true" {
		g.t.Errorf("the same key leads to %s, %v; want %s", again.header.Get("Location"), again.header, job)
	}
	g.wants(422, "POST", "/api/ingesta/mysql", `{}`, "Idempotency-Key: one")
	g.wants(422, "POST", "/api/ingesta", `{}`, "Idempotency-Key: one")
	g.wants(422, "POST", job+"/retry", `{}`, "Idempotency-Key: one")

	g.wants(200, "GET", job, "", named)
	tag := g.wants(200, "GET", job, "").header.Get("ETag")
	g.wants(304, "GET", job, "", "If-None-Match: "+tag)
	g.wants(409, "POST", job+"/retry", "")
	g.wants(202, "POST", "/api/ingesta", `{}`, "Idempotency-Key: all", inTrace, named, "Prefer: wait=0")
	g.wants(202, "POST", job+"/cancel", `{}`, inTrace, named)
	g.wants(409, "POST", job+"/cancel", "")
	g.wants(202, "POST", job+"/retry", `{}`, "Idempotency-Key: again", inTrace, named, "Prefer: respond-async")

	for _, none := range []string{"", "/cancel", "/retry"} {
		method := "POST"
		if none == "" {
			method = "GET"
		}
		g.wants(404, method, nobody+none, "")
	}
	page := g.wants(200, "GET", "/api/ingesta/jobs?database=mysql&status=queued&limit=1", "", named)
	_, next, _ := strings.Cut(page.header.Get("Link"), "<")
	next, _, _ = strings.Cut(next, ">")
	g.wants(200, "GET", next, "")
	g.wants(400, "GET", "/api/ingesta/jobs?limit=0", "")
	g.wants(400, "GET", "/api/ingesta/jobs?cursor=none", "")

	follow(g, job)
	g.wants(409, "GET", "/api/ingesta/datasets/mysql/users/ddl", "")
	conflicts(g)
	g.wants(200, "GET", "/api/ingesta/datasets", "", named)
	g.wants(503, "GET", "/api/ingesta/health", "", named) // there is no worker yet
}

// follow listens to the events of a job that is cancelled, and of all jobs.
func follow(g *caller, job string) {
	g.wants(404, "GET", nobody+"/events", "")
	g.wants(400, "GET", "/api/ingesta/events?database=oracle", "")
	said := g.stream(job+"/events", "event: end", named)
	_, last, _ := strings.Cut(said, "\nid: ")
	last, _, _ = strings.Cut(last, "\n")
	g.wants(204, "GET", job+"/events", "", "Last-Event-ID: "+last)

	said = g.stream("/api/ingesta/events?database=mysql", "event: ready", named)
	_, position, _ := strings.Cut(said, "\nid: ")
	position, _, _ = strings.Cut(position, "\n")
	g.wants(202, "POST", "/api/ingesta/mysql", "")
	g.stream("/api/ingesta/events", "event: job", "Last-Event-ID: "+position)
}

// conflicts asks for what is queued already.
func conflicts(g *caller) {
	const reject, join = `{"datasets":["gone"],"on_conflict":"reject"}`, `{"datasets":["gone"],"on_conflict":"join"}`
	first := g.wants(202, "POST", "/api/ingesta/mysql", reject)
	second := g.wants(202, "POST", "/api/ingesta/mysql", join)
	var joined struct{ Deduplicated bool }
	if decode(g.t, second, &joined); !joined.Deduplicated || first.job(g.t).ID != second.job(g.t).ID {
		g.t.Errorf("to join is answered with %s, want the job %s", second.body, first.job(g.t).ID)
	}
	g.wants(409, "POST", "/api/ingesta/mysql", reject)
	g.wants(202, "POST", "/api/ingesta", `{"on_conflict":"queue"}`)
	g.wants(202, "POST", "/api/ingesta", `{"on_conflict":"join"}`)
	g.wants(409, "POST", "/api/ingesta", `{"on_conflict":"reject"}`)
}

// home asks for the page that people see first.
func home(g *caller) {
	g.wants(303, "GET", "/", "", "Accept: text/html")
	g.as("ingesta:run").wants(403, "GET", "/", "", "Accept: text/html")
	g.as("ingesta:read").wants(200, "GET", "/", "", "Accept: text/html", named)
}

// letters deals with dead letters.
func letters(g *caller, s *system) {
	const command = `{"version":1,"job_id":"01a22bb8-0000-7000-8000-000000000001","database":"mysql","datasets":[{"name":"users","key":"mysql/users_a.csv"}],` +
		`"requested_by":"ana","accepted_at":"2026-11-30T09:10:40.311Z","catalog_digest":"sha256:0"}`
	s.bury(g.t, "mysql", command, map[string]any{
		"x-ingesta-code": "attempts_exhausted", "x-ingesta-reason": "failed 5 times", "x-ingesta-buried-at": "2026-11-30T10:02:11Z", "x-ingesta-routing-key": "mysql",
	})
	s.bury(g.t, "mysql", "not a command", map[string]any{})
	var list struct {
		DeadLetters []struct {
			ID         string
			Replayable bool
		} `json:"dead_letters"`
	}
	stacktest.Eventually(g.t, "the letters are there", func() bool {
		decode(g.t, g.wants(200, "GET", "/api/ingesta/dead-letters?limit=20", "", named), &list)
		return len(list.DeadLetters) == 2
	})
	for _, letter := range list.DeadLetters {
		if letter.Replayable {
			g.wants(202, "POST", "/api/ingesta/dead-letters/"+letter.ID+"/replay", `{}`, "Prefer: respond-async", inTrace, named)
		} else {
			g.wants(409, "POST", "/api/ingesta/dead-letters/"+letter.ID+"/replay", "")
		}
	}
	g.wants(404, "POST", noLetter+"/replay", "")
	g.wants(400, "GET", "/api/ingesta/dead-letters?limit=0", "")
}

// worked deals with jobs that a worker does.
func worked(g *caller, s *system) {
	const wait = "Prefer: wait=60"
	stacktest.Eventually(g.t, "all is up", func() bool { return g.ask("GET", "/api/ingesta/health", "", named).status == http.StatusOK })
	done := g.wants(200, "POST", "/api/ingesta/mysql", `{"datasets":["users"]}`, wait)
	if job := done.job(g.t); job.Status != ingest.Success {
		g.t.Errorf("the job ends as %s, want success: %s", job.Status, done.body)
	}
	g.wants(409, "POST", done.header.Get("Location")+"/retry", "")
	partial := g.wants(200, "POST", "/api/ingesta/mysql", "", wait)
	if job := partial.job(g.t); job.Status != ingest.Partial {
		g.t.Errorf("the job ends as %s, want partial: %s", job.Status, partial.body)
	}
	g.wants(200, "GET", partial.header.Get("Location"), "")
	files(g, done.header.Get("Location"), partial.header.Get("Location"))
	g.wants(200, "POST", partial.header.Get("Location")+"/retry", "", wait)
	g.wants(200, "POST", "/api/ingesta", "", wait)
	g.wants(200, "GET", "/api/ingesta/jobs", "")
	s.bury(g.t, "mysql", `{"version":1,"job_id":"01a22bb8-0000-7000-8000-000000000002","database":"mysql","datasets":[{"name":"users","key":"mysql/users_b.csv"}],`+
		`"requested_by":"ana","accepted_at":"2026-11-30T09:10:40.311Z","catalog_digest":"sha256:0"}`, map[string]any{})
	var list struct {
		DeadLetters []struct {
			ID         string
			Replayable bool
		} `json:"dead_letters"`
	}
	stacktest.Eventually(g.t, "the letter is replayed", func() bool {
		decode(g.t, g.wants(200, "GET", "/api/ingesta/dead-letters", ""), &list)
		for _, letter := range list.DeadLetters {
			if letter.Replayable {
				g.wants(200, "POST", "/api/ingesta/dead-letters/"+letter.ID+"/replay", "", wait)
				return true
			}
		}
		return false
	})
}

// files asks for those of jobs that are over, and how to read them.
func files(g *caller, done, partial string) {
	g.wants(307, "GET", done+"/datasets/users/download", "", named)
	g.wants(409, "GET", partial+"/datasets/gone/download", "")
	g.wants(404, "GET", done+"/datasets/gone/download", "")
	g.wants(404, "GET", nobody+"/datasets/users/download", "")
	for _, dialect := range []string{"athena", "duckdb"} {
		g.wants(200, "GET", "/api/ingesta/datasets/mysql/users/ddl?dialect="+dialect, "", named)
	}
	g.wants(400, "GET", "/api/ingesta/datasets/mysql/users/ddl?dialect=oracle", "")
	g.wants(404, "GET", "/api/ingesta/datasets/mysql/none/ddl", "")
	g.wants(404, "GET", "/api/ingesta/datasets/oracle/users/ddl", "")
}

// limited asks a gateway that allows little.
func limited(t *testing.T, s *system) {
	g := s.gateway(t, "INGESTA_RATE_RUN=1/h,burst=1", "INGESTA_RATE_READ=1/h,burst=1").as("ingesta:admin")
	for _, only := range []string{"POST " + nobody + "/cancel", "GET " + nobody} {
		method, path, _ := strings.Cut(only, " ")
		stacktest.Eventually(t, "what the caller asked of another gateway does not count any more", func() bool {
			return g.ask(method, path, "").status == http.StatusNotFound
		})
	}
	for operation := range operations() {
		method, path, _ := strings.Cut(operation, " ")
		g.wants(429, method, path, "")
	}
	g.wants(429, "GET", "/", "", "Accept: text/html")
}

// away asks gateways whose servers are not there.
func away(t *testing.T, s *system) {
	nowhere := strconv.Itoa(stacktest.FreePort(t))
	for _, missing := range []string{"REDIS_PORT=", "RABBITMQ_PORT=", "AUTH_JWKS_URL=http://127.0.0.1:"} {
		g := s.gateway(t, missing+nowhere).as("ingesta:admin")
		for operation := range operations() {
			method, path, _ := strings.Cut(operation, " ")
			a := g.ask(method, path, "")
			if strings.HasPrefix(missing, "AUTH") || strings.HasPrefix(missing, "REDIS") && mustRefuse(path) {
				if a.status != http.StatusServiceUnavailable {
					t.Errorf("without %s, %s is answered with %d, want 503: %s", missing, operation, a.status, a.body)
				}
			}
		}
		g.wants(503, "GET", "/ready", "")
		if strings.HasPrefix(missing, "AUTH") {
			g.wants(503, "GET", "/", "", "Accept: text/html")
		}
	}
}

// mustRefuse reports whether the path is of no use without Redis.
func mustRefuse(path string) bool {
	return path != "/api/ingesta/datasets" && path != "/api/ingesta/dead-letters"
}

// stream asks for events and returns what comes until the text, or until it ends.
func (c *caller) stream(path, until string, headers ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	response := c.open(ctx, "GET", path, "", headers...)
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		c.t.Fatalf("GET %s: status %d, want 200", path, response.StatusCode)
	}
	var got strings.Builder
	for part := make([]byte, 4096); !strings.Contains(got.String(), until); {
		n, err := response.Body.Read(part)
		got.Write(part[:n])
		if err != nil {
			break
		}
	}
	if !strings.Contains(got.String(), until) {
		c.t.Errorf("GET %s: the stream ends without %q:\n%s", path, until, &got)
	}
	return got.String()
}
