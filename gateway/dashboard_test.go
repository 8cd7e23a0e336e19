package gateway

import (
	"bufio"
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/gateway/auth/authtest"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// person sits in front of a browser without JavaScript: they follow links, send forms, and keep cookies.
type person struct {
	g      *running
	client *http.Client
}

func (g *running) person() *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	g.t.Cleanup(client.CloseIdleConnections)
	return &person{g, client}
}

func (p *person) do(r *http.Request, err error) answered {
	p.g.t.Helper()
	if err != nil {
		p.g.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	response, err := p.client.Do(r)
	if err != nil {
		p.g.t.Fatal(err)
	}
	defer response.Body.Close()
	var body strings.Builder
	if _, err := bufio.NewReader(response.Body).WriteTo(&body); err != nil {
		p.g.t.Fatal(err)
	}
	return answered{status: response.StatusCode, header: response.Header, body: []byte(body.String())}
}

// open looks at a page.
func (p *person) open(path string) answered {
	p.g.t.Helper()
	return p.do(http.NewRequest(http.MethodGet, p.g.url+path, nil))
}

// send sends the form that a page has for the action, and returns the page that follows and its path.
func (p *person) send(page, action string, fields url.Values) (followed answered, path string) {
	p.g.t.Helper()
	if a := p.open(page); a.status != 200 || !strings.Contains(string(a.body), `method="post" action="`+action+`"`) {
		p.g.t.Fatalf("%s (%d) has no form for %s: %s", page, a.status, action, a.body)
	}
	r, err := http.NewRequest(http.MethodPost, p.g.url+action, strings.NewReader(fields.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", p.g.url)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	a := p.do(r, err)
	if path = a.header.Get("Location"); a.status != http.StatusSeeOther || path == "" {
		p.g.t.Fatalf("the form for %s answers %d: %s", action, a.status, a.body)
	}
	return p.open(path), path
}

func wantsText(t *testing.T, a answered, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(string(a.body), text) {
			t.Errorf("the page (%d) lacks %q: %s", a.status, text, a.body)
		}
	}
}

// Somebody runs, follows, cancels, retries and replays with nothing but pages and forms.
func TestDashboard(t *testing.T) {
	g := start(t)
	p := g.person()
	wantsText(t, p.open("/"), "Nothing has been exported yet", "mongodb", "mysql", "postgresql")

	page, path := p.send("/", "/run/mysql", nil)
	wantsText(t, page, "The ingestion has been accepted", "Queued", path)
	again, same := p.send("/", "/run/mysql", nil)
	wantsText(t, again, "under way already")
	if same != path {
		t.Errorf("a second run of the same leads to %s, want the first one's %s", same, path)
	}
	commands := g.commands(ingest.MySQL)
	if len(commands) != 1 || path != "/jobs/"+commands[0].JobID {
		t.Fatalf("the page is %s, the commands are %+v", path, commands)
	}

	page, _ = p.send(path, path+"/cancel", nil)
	wantsText(t, page, "has been cancelled", "Cancelled", "It was ended on request")
	page, retried := p.send(path, path+"/retry", nil)
	wantsText(t, page, "this new job", "Queued", "Retry of")
	job, err := g.store.Get(t.Context(), strings.TrimPrefix(retried, "/jobs/"))
	if err != nil || job.RetryOf != strings.TrimPrefix(path, "/jobs/") {
		t.Fatalf("the retry is %+v, %v", job, err)
	}
	g.finish(job)
	wantsText(t, p.open(retried), "Success", "s3://bucket/"+job.Results[0].Key, "/api/ingesta"+retried+"/datasets/users/download")
	wantsText(t, p.open("/jobs?database=mysql&status=success"), job.ID)
	wantsText(t, p.open("/jobs?status=error"), "No job matches")
	wantsText(t, p.open("/datasets"), "Last export", "/ddl?dialect=athena")
	wantsText(t, p.open("/system"), "RabbitMQ", "no worker takes commands", "No worker has reported lately")

	page, _ = p.send("/datasets", "/run/postgresql", url.Values{"dataset": {"ofertas"}})
	wantsText(t, page, "dataset-ofertas")
	if strings.Contains(string(page.body), "dataset-productos") {
		t.Error("a run of one dataset exports another")
	}

	if a := p.open("/jobs/0196f0a1-0000-7000-8000-000000000001"); a.status != 404 {
		t.Errorf("a job that never was answers %d", a.status)
	}
}

func TestDashboardReplaysDeadLetters(t *testing.T) {
	g := start(t)
	p := g.person()
	wantsText(t, p.open("/dead-letters"), "There are no dead letters")
	lost := g.call("POST", "/api/ingesta/mysql", "").job(t)
	g.bury(1, g.fail)
	var action string
	stacktest.Eventually(t, "the letter is shown", func() bool {
		action = regexp.MustCompile(`/dead-letters/[0-9a-f]+/replay`).FindString(string(p.open("/dead-letters").body))
		return action != ""
	})
	page, path := p.send("/dead-letters", action, nil)
	wantsText(t, page, "has been replayed", "Queued", "dataset-compras")
	if path == "/jobs/"+lost.ID {
		t.Error("the replay is the lost job itself")
	}
	wantsText(t, p.open("/dead-letters"), "There are no dead letters")
}

// Without Redis there are no jobs to show; the pages say so, and show what else there is.
func TestDashboardWithoutRedis(t *testing.T) {
	g := start(t)
	p := g.person()
	g.redis.Cut()
	for _, path := range []string{"/", "/jobs", "/datasets"} {
		a := p.open(path)
		if a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("%s answers %d", path, a.status)
		}
		wantsText(t, a, "Redis, which holds the jobs, does not answer", "redis_unavailable", `href="/system"`)
	}
	a := p.open("/system")
	wantsText(t, a, "Not working", "redis does not answer")
	if a.status != 200 {
		t.Errorf("the page of the system answers %d", a.status)
	}
}

// The page of a job tells of its end by itself.
func TestDashboardIsLive(t *testing.T) {
	g := start(t)
	p := g.person()
	_, path := p.send("/", "/run/mongodb", nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/live?page=job&id="+strings.TrimPrefix(path, "/jobs/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var seen []string
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "event: ") || strings.Contains(line, `id="job-status"`) {
			seen = append(seen, line)
		}
		if line == "event: attempts" && len(seen) < 8 {
			job, err := g.store.Get(t.Context(), strings.TrimPrefix(path, "/jobs/"))
			if err != nil {
				t.Fatal(err)
			}
			if !job.Status.Terminal() {
				g.finish(job)
			}
		}
	}
	all := strings.Join(seen, "\n")
	if !strings.Contains(all, `data-status="queued"`) || !strings.Contains(all, `data-status="success"`) || !strings.HasSuffix(all, "event: over") {
		t.Errorf("the stream said %s; want the job queued, its success and that it is over", all)
	}
}

func TestDashboardLogin(t *testing.T) {
	issuer := authtest.New(t)
	g := start(t, issuer.Environ()...)
	p := g.person()
	if a := p.open("/jobs"); a.status != 303 || a.header.Get("Location") != "/login?next=%2Fjobs" {
		t.Fatalf("a stranger is answered %d, to %q", a.status, a.header.Get("Location"))
	}
	for _, forgery := range issuer.Forgeries() {
		r, err := http.NewRequest(http.MethodPost, g.url+"/login", strings.NewReader(url.Values{"token": {forgery.Token}}.Encode()))
		if err == nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if a := p.do(r, err); a.status != 401 || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: the login answers %d, %v", forgery.Name, a.status, a.header)
		}
	}
	page, path := p.send("/login?next=/jobs", "/login", url.Values{"next": {"/jobs"}, "token": {issuer.ES256(issuer.Claims("ana", "ingesta:read", "ingesta:run"))}})
	if page.status != 200 || path != "/jobs" {
		t.Errorf("the login leads to %s (%d)", path, page.status)
	}
	wantsText(t, page, "ana")
	page, path = p.send("/", "/run/mysql", nil)
	wantsText(t, page, "ana")
	if commands := g.commands(ingest.MySQL); len(commands) != 1 || commands[0].RequestedBy != "ana" {
		t.Errorf("the commands are %+v", commands)
	}
	// The API takes the cookie as well: downloads and streams of browsers carry nothing else.
	if a := p.open("/api/ingesta" + path); a.status != 200 {
		t.Errorf("the API answers %d to the cookie", a.status)
	}
	_, path = p.send("/", "/logout", nil)
	if path != "/login" || p.open("/").status != 303 {
		t.Errorf("after the logout, at %s, the overview answers %d", path, p.open("/").status)
	}
}
