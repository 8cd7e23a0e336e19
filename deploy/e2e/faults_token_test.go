//go:build faults

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/deploy/e2e/testbed"
	"github.com/pharmavida/ingesta/gateway/auth/authtest"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// Forged tokens get a 401 wherever something can be changed, and change nothing: no job, no message,
// no event. A good one does its work, also when the issuer's clock and ours differ within the leeway.
func tokensForged(t *testing.T, servers *testbed.Servers) string {
	issuer := authtest.New(t)
	forgeries := issuer.Forgeries()
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	claims := func(changes authtest.Claims) string {
		good := issuer.Claims("ana", "ingesta:run", "ingesta:read")
		for name, value := range changes {
			good[name] = value
		}
		return issuer.RS256(good)
	}
	const leeway, within, beyond = time.Minute, 20 * time.Second, 2 * time.Minute
	forgeries = append(forgeries,
		authtest.Forgery{Name: "expired by more than the leeway", Token: claims(authtest.Claims{"exp": ago(beyond)})},
		authtest.Forgery{Name: "early by more than the leeway", Token: claims(authtest.Claims{"nbf": ago(-beyond)})},
	)

	sys := servers.NewSystem(t, append(issuer.Environ(), "AUTH_LEEWAY="+leeway.String())...)
	ask := func(path, token string) (status int, answer string) {
		t.Helper()
		status, body, err := sys.Post(path, "", http.Header{"Authorization": {"Bearer " + token}})
		if err != nil {
			t.Fatal(err)
		}
		return status, string(body)
	}
	for _, f := range forgeries {
		for _, path := range []string{"/api/ingesta", "/api/ingesta/postgresql"} {
			if status, answer := ask(path, f.Token); status != http.StatusUnauthorized || !strings.Contains(answer, f.Says) {
				t.Errorf("%s: POST %s was answered with %d %s; want 401 that says %q", f.Name, path, status, answer, f.Says)
			}
		}
	}
	if jobs := sys.Redis().Keys(t.Context(), "{"+sys.Prefix+"}:job:*").Val(); len(jobs) > 0 {
		t.Errorf("forged tokens made the jobs %v", jobs)
	}
	depths, err := sys.Depths()
	if err != nil {
		t.Fatal(err)
	}
	for queue, depth := range depths {
		if depth.Messages > 0 {
			t.Errorf("forged tokens sent %d messages to %s", depth.Messages, queue)
		}
	}
	if events := sys.Events(); len(events) > 0 {
		t.Errorf("forged tokens caused the events %v", events)
	}

	for name, token := range map[string]string{
		"good":                          claims(nil),
		"expired within the leeway":     claims(authtest.Claims{"exp": ago(within)}),
		"early by less than the leeway": claims(authtest.Claims{"nbf": ago(-within)}),
	} {
		if status, answer := ask("/api/ingesta/postgresql", token); status != http.StatusAccepted {
			t.Errorf("%s: a POST was answered with %d %s; want 202", name, status, answer)
		}
	}
	running := sys.Accepted()
	if len(running) == 0 {
		t.Fatal("no good token was accepted")
	}
	for _, f := range forgeries {
		if status, answer := ask("/api/ingesta/jobs/"+running[0]+"/cancel", f.Token); status != http.StatusUnauthorized {
			t.Errorf("%s: cancelling was answered with %d %s; want 401", f.Name, status, answer)
		}
	}
	sys.Work(ingest.PostgreSQL)
	for _, id := range running {
		job := sys.Ended(id)
		succeeded(t, job, 1)
		if job.RequestedBy != "ana" {
			t.Errorf("job %s was requested by %q; want the subject of the token", id, job.RequestedBy)
		}
	}
	sys.RequireSound()
	return fmt.Sprintf("%d forged tokens were refused on three routes without a trace; %d good ones were not.", len(forgeries), len(running))
}
