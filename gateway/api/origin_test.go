package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
)

const trusted = "https://panel.example.com"

func TestPagesOfOtherOrigins(t *testing.T) {
	tests := []struct {
		name    string
		headers []string
		refused bool
	}{
		{"curl", nil, false},
		{"curl with a token", []string{"Authorization: Bearer x"}, false},
		{"a page of the gateway", []string{"Sec-Fetch-Site: same-origin", "Origin: http://example.com"}, false},
		{"the user alone", []string{"Sec-Fetch-Site: none"}, false},
		{"a page of another site", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, true},
		{"a page of another site, by a form", []string{"Sec-Fetch-Site: cross-site", "Content-Type: application/x-www-form-urlencoded"}, true},
		{"a page of the same site", []string{"Sec-Fetch-Site: same-site", "Origin: https://other.example.com"}, true},
		{"a page without an origin", []string{"Sec-Fetch-Site: cross-site", "Origin: null"}, true},
		{"a trusted page", []string{"Sec-Fetch-Site: cross-site", "Origin: " + trusted}, false},
		{"what begins like a trusted page", []string{"Sec-Fetch-Site: cross-site", "Origin: " + trusted + ".evil.example"}, true},
		{"a trusted page over http", []string{"Sec-Fetch-Site: cross-site", "Origin: http://panel.example.com"}, true},
		{"an old browser, a page of the gateway", []string{"Origin: http://example.com"}, false},
		{"an old browser, a page of another site", []string{"Origin: https://evil.example"}, true},
		{"an old browser, a trusted page", []string{"Origin: " + trusted}, false},
		{"another site, with a token", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example", "Authorization: Bearer x"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, target := range []string{"/api/ingesta/mysql", "/api/ingesta", "/api/ingesta/jobs/" + someID + "/cancel", "/api/ingesta/dead-letters/" + someLetter + "/replay"} {
				fake := &fakeJobs{job: jobOf(someOrder, someID)}
				a, _ := newAPI(t, fake, api.Config{Origins: api.Origins{trusted}})
				w := call(a, http.MethodPost, target, "", tt.headers...)
				if !tt.refused {
					if w.Code != http.StatusAccepted {
						t.Errorf("%s: %d: %s", target, w.Code, w.Body)
					}
					continue
				}
				wantProblem(t, w, http.StatusForbidden, "cross_origin")
				if len(fake.submitted())+len(fake.cancels) > 0 {
					t.Errorf("%s: what was refused had an effect", target)
				}
			}
			a, _ := newAPI(t, &fakeJobs{}, api.Config{Origins: api.Origins{trusted}})
			if w := call(a, http.MethodGet, "/api/ingesta/jobs", "", tt.headers...); w.Code != http.StatusOK {
				t.Errorf("looking changes nothing, and got %d", w.Code)
			}
		})
	}
}

func TestSharingWithOrigins(t *testing.T) {
	preflight := func(a http.Handler, target, origin string) *httptest.ResponseRecorder {
		return call(a, http.MethodOptions, target, "", "Origin: "+origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,idempotency-key")
	}
	door := auth.Config{Mode: auth.JWT, Secret: secret, Issuer: "us", Audience: "ingesta"}
	a, _ := newGuardedAPI(t, &fakeJobs{}, api.Config{Origins: api.Origins{trusted}}, door)
	for _, target := range []string{"/api/ingesta/mysql", "/api/ingesta/jobs/" + someID + "/events", "/health"} {
		w := preflight(a, target, trusted)
		if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != trusted || w.Header().Get("Access-Control-Max-Age") == "" {
			t.Errorf("%s: the preflight of a trusted page got %d, %v", target, w.Code, w.Header())
		}
		for name, want := range map[string]string{"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "Idempotency-Key"} {
			if !strings.Contains(w.Header().Get(name), want) {
				t.Errorf("%s: %s is %q, which lacks %s", target, name, w.Header().Get(name), want)
			}
		}
		for _, origin := range []string{"https://evil.example", "null", trusted + ":444", strings.ToUpper(trusted)} {
			if w := preflight(a, target, origin); w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %s may read the answers", target, origin)
			}
		}
	}
	// A refusal must be readable to a trusted page, or nobody learns why.
	w := call(a, http.MethodGet, "/api/ingesta/jobs", "", "Origin: "+trusted)
	if w.Code != http.StatusUnauthorized || w.Header().Get("Access-Control-Allow-Origin") != trusted || w.Header().Get("Vary") != "Origin" {
		t.Errorf("a trusted stranger got %d, %v", w.Code, w.Header())
	}
	for _, name := range []string{"Location", "ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id", "Link", "Preference-Applied", "Idempotency-Replayed"} {
		if !strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), name) {
			t.Errorf("a page cannot read %s", name)
		}
	}
	if got := w.Header().Get("Access-Control-Allow-Credentials"); got != "" {
		t.Errorf("pages of other origins may use the dashboard's cookie: %q", got)
	}
	plain, _ := newAPI(t, &fakeJobs{}, api.Config{})
	w = call(plain, http.MethodGet, "/api/ingesta/jobs", "", "Origin: "+trusted)
	if w.Header().Get("Access-Control-Allow-Origin") != "" || strings.Contains(w.Header().Get("Vary"), "Origin") {
		t.Errorf("nobody is trusted, and the headers are %v", w.Header())
	}
}

func TestEveryAnswerIsShielded(t *testing.T) {
	a, _ := newAPI(t, &fakeJobs{job: jobOf(someOrder, someID)}, api.Config{})
	for _, target := range []string{"/", "/health", "/api/ingesta/jobs", "/nothing", "/api/ingesta/jobs/" + someID} {
		w := call(a, http.MethodGet, target, "")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Referrer-Policy": "no-referrer",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
	}
}
