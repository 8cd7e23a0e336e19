package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/gateway/auth/authtest"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// untouched fails the test unless Redis knows no job and no queue holds a message.
func (g *running) untouched() {
	g.t.Helper()
	if ids := g.existing(); len(ids) > 0 {
		g.t.Errorf("Redis has the jobs %v, want none", ids)
	}
	var queues []struct{ Name string }
	stacktest.Management(g.t, "GET", "/api/queues/"+g.vhost, nil, &queues)
	if len(queues) < 4 {
		g.t.Errorf("the broker knows %v: where are the command queues?", queues)
	}
	for _, queue := range queues {
		if messages := g.take(queue.Name); len(messages) > 0 {
			g.t.Errorf("%s held %s, want nothing", queue.Name, messages)
		}
	}
}

// Whoever forges a token gets 401, on every way to make or end a job, and leaves no trace.
func TestForgedTokens(t *testing.T) {
	issuer := authtest.New(t)
	forgeries := issuer.Forgeries()
	g := start(t, issuer.Environ()...)
	const job = "/api/ingesta/jobs/0196f0a1-0000-7000-8000-000000000001"
	paths := []string{"/api/ingesta/mysql", "/api/ingesta", job + "/cancel", job + "/retry", "/api/ingesta/dead-letters/a/replay"}
	for _, forgery := range forgeries {
		t.Run(forgery.Name, func(t *testing.T) {
			for _, path := range paths {
				a := g.call("POST", path, "", "Authorization: Bearer "+forgery.Token, "Idempotency-Key: forged")
				if a.status != 401 || a.code() != "unauthenticated" || !strings.Contains(string(a.body), forgery.Says) {
					t.Errorf("%s: status %d, %v: %s; want 401 and %q", path, a.status, a.err, a.body, forgery.Says)
				}
				if challenge := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, `Bearer realm="ingesta", error="invalid_token", error_description="`) {
					t.Errorf("%s: the challenge is %q", path, challenge)
				}
			}
		})
	}
	g.untouched()

	// The same requests with good tokens work: it was the tokens.
	for kind, token := range map[string]string{
		"RS256": issuer.RS256(issuer.Claims("ana", "ingesta:run")), "ES256": issuer.ES256(issuer.Claims("eva", "ingesta:run")),
	} {
		if a := g.call("POST", "/api/ingesta/mysql", "", "Authorization: Bearer "+token); a.status != 202 {
			t.Errorf("%s: status %d: %s", kind, a.status, a.body)
		}
	}
	var asked []string
	for _, command := range g.commands(ingest.MySQL) {
		asked = append(asked, command.RequestedBy)
	}
	slices.Sort(asked)
	if !slices.Equal(asked, []string{"ana", "eva"}) {
		t.Errorf("the commands are of %v, want one of ana and one of eva", asked)
	}
	if err := g.stop(); err != nil {
		t.Error(err)
	}
	for _, forgery := range forgeries {
		for part := range strings.SplitSeq(forgery.Token, ".") {
			if len(part) > 8 && strings.Contains(g.logs.String(), part) {
				t.Fatalf("the log shows a part of the token %q", forgery.Name)
			}
		}
	}
}

// Ways around the header, and rights that are not there.
func TestRequestsWithoutRight(t *testing.T) {
	issuer := authtest.New(t)
	g := start(t, issuer.Environ()...)
	good := issuer.RS256(issuer.Claims("ana", "ingesta:run"))
	reader := "Authorization: Bearer " + issuer.RS256(issuer.Claims("rita", "ingesta:read"))
	for name, a := range map[string]answered{
		"no token":        g.call("POST", "/api/ingesta/mysql", ""),
		"in the query":    g.call("POST", "/api/ingesta/mysql?access_token="+good, ""),
		"in the body":     g.call("POST", "/api/ingesta/mysql", "access_token="+good, "Content-Type: application/x-www-form-urlencoded"),
		"in a cookie":     g.call("POST", "/api/ingesta/mysql", "", "Cookie: Authorization="+good),
		"as another's":    g.call("POST", "/api/ingesta/mysql", "", "X-Forwarded-User: ana", "X-Forwarded-Access-Token: "+good),
		"basic":           g.call("POST", "/api/ingesta/mysql", "", "Authorization: Basic YW5hOmFuYQ=="),
		"token twice":     g.call("POST", "/api/ingesta/mysql", "", "Authorization: Bearer "+good, "Authorization: Bearer "+good),
		"method override": g.call("GET", "/health", "", "X-HTTP-Method-Override: POST", "X-Original-URL: /api/ingesta/mysql"),
	} {
		if want := map[bool]int{true: 200, false: 401}[name == "method override"]; a.status != want {
			t.Errorf("%s: status %d: %s; want %d", name, a.status, a.body, want)
		}
	}
	if a := g.call("POST", "/api/ingesta/mysql", "", reader); a.status != 403 || a.code() != "insufficient_scope" {
		t.Errorf("with another scope: status %d: %s", a.status, a.body)
	}
	if a := g.call("GET", "/api/ingesta/jobs", "", reader); a.status != 200 {
		t.Errorf("with the scope: status %d: %s", a.status, a.body)
	}
	g.untouched()
}

// One idempotency key of two callers is two keys.
func TestIdempotencyIsPerSubject(t *testing.T) {
	issuer := authtest.New(t)
	g := start(t, issuer.Environ()...)
	ids := map[string]bool{}
	for _, subject := range []string{"ana", "eva", "ana"} {
		a := g.call("POST", "/api/ingesta/mysql", "", "Authorization: Bearer "+issuer.ES256(issuer.Claims(subject, "ingesta:run")), "Idempotency-Key: once")
		job := a.job(t)
		if job.RequestedBy != subject {
			t.Errorf("the job of %s is of %q", subject, job.RequestedBy)
		}
		ids[job.ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("two callers made the jobs %v, want one each", ids)
	}
}

// New keys are good at once, and those they replace no longer; with the issuer away, the keys that
// are known stay good, and of others nobody can tell.
func TestKeysChange(t *testing.T) {
	issuer := authtest.New(t)
	token := func() string {
		return "Authorization: Bearer " + issuer.RS256(issuer.Claims("ana", "ingesta:run", "ingesta:read"))
	}
	g := start(t, issuer.Environ()...)
	first := token()
	issuer.Rotate()
	if a := g.call("GET", "/api/ingesta/jobs", "", token()); a.status != 200 {
		t.Errorf("a new key: status %d: %s", a.status, a.body)
	}
	if a := g.call("GET", "/api/ingesta/jobs", "", first); a.status != 401 {
		t.Errorf("a key that was replaced: status %d: %s", a.status, a.body)
	}

	g = start(t, issuer.Environ()...)
	issuer.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	known := token()
	issuer.Rotate()
	for range 2 { // the first has the issuer asked
		if a := g.call("POST", "/api/ingesta/mysql", "", token()); a.status != 503 || a.code() != "auth_unavailable" || a.header.Get("Retry-After") == "" {
			t.Errorf("with a key that is not known: status %d, %v: %s", a.status, a.header, a.body)
		}
	}
	g.untouched()
	if a := g.call("POST", "/api/ingesta/mysql", "", known); a.status != 202 {
		t.Errorf("with a known key: status %d: %s", a.status, a.body)
	}
	if a := g.call("GET", "/ready", ""); a.status != 200 {
		t.Errorf("/ready says %d: %s", a.status, a.body)
	}
	issuer.Answer(nil)
	stacktest.Eventually(t, "the new key is known", func() bool { return g.call("GET", "/api/ingesta/jobs", "", token()).status == 200 })
}

// A gateway that starts before its issuer waits for it, and takes nobody's word meanwhile.
func TestIssuerLate(t *testing.T) {
	issuer := authtest.New(t)
	late := make(chan struct{})
	issuer.Answer(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-late:
			_, _ = w.Write(issuer.Keys())
		default:
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	g := begin(t, issuer.Environ()...)
	token := "Authorization: Bearer " + issuer.RS256(issuer.Claims("ana", "ingesta:run"))
	if a := g.call("POST", "/api/ingesta/mysql", "", token); a.status != 503 || a.code() != "auth_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("status %d, %v: %s", a.status, a.header, a.body)
	}
	stacktest.Eventually(t, "nothing but the keys is lacking", func() bool {
		a := g.call("GET", "/ready", "")
		return a.status == 503 && strings.Contains(string(a.body), "keys")
	})
	g.untouched()
	close(late)
	stacktest.Eventually(t, "the gateway is ready", func() bool { return g.call("GET", "/ready", "").status == 200 })
	if a := g.call("POST", "/api/ingesta/mysql", "", token); a.status != 202 {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}
