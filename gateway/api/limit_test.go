package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/auth/authtest"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/telemetry"
)

// fakeLimiter allows each key its burst, and never again.
type fakeLimiter struct {
	mu   sync.Mutex
	used map[string]int
	keys []string
	err  error
}

func (f *fakeLimiter) Allow(ctx context.Context, key string, limit jobstore.Limit) (jobstore.Allowance, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = append(f.keys, key)
	if f.err != nil {
		return jobstore.Allowance{}, f.err
	}
	if f.used == nil {
		f.used = map[string]int{}
	}
	a := jobstore.Allowance{Limit: limit.Burst, Reset: 1500 * time.Millisecond}
	if f.used[key] < limit.Burst {
		f.used[key]++
		a.Allowed = true
	} else {
		a.RetryAfter = 2100 * time.Millisecond
	}
	a.Remaining = limit.Burst - f.used[key]
	return a, ctx.Err()
}

// limited returns an API that asks for tokens and limits rates.
func limited(t *testing.T, fake *fakeJobs, limiter api.Limiter, door auth.Config) (http.Handler, *logBuffer) {
	t.Helper()
	datasets, err := catalog.Load("")
	if err != nil {
		t.Fatal(err)
	}
	logs := &logBuffer{}
	log := slog.New(slog.NewJSONHandler(logs, nil))
	run, read := api.Rate{Rate: 1, Per: time.Second, Burst: 2}, api.Rate{Rate: 10, Per: time.Minute, Burst: 3}
	a, err := api.New(api.Config{RateRun: run, RateRead: read, MaxWait: time.Minute}, api.Parts{
		Guard: auth.New(door, time.Now, log), Jobs: fake, Health: fake, Limiter: limiter, Catalog: datasets, Version: "test", Registry: telemetry.NewRegistry(), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a, logs
}

func TestRatesAreLimited(t *testing.T) {
	issuer := authtest.New(t)
	bearer := func(subject string, scopes ...string) string {
		claims := issuer.Claims(subject, scopes...)
		claims["iss"] = "us"
		return "Authorization: Bearer " + issuer.HS256(claims, secret)
	}
	fake, limiter := &fakeJobs{}, &fakeLimiter{}
	a, logs := limited(t, fake, limiter, auth.Config{Mode: auth.JWT, Secret: secret, Issuer: "us", Audience: authtest.Audience})
	ana, luz := bearer("ana", "ingesta:admin"), bearer("luz", "ingesta:admin")
	for n, left := range []string{"1", "0"} {
		w := call(a, "POST", "/api/ingesta/mysql", "", ana)
		if w.Code != http.StatusAccepted || w.Header().Get("RateLimit") != `"run";r=`+left+`;t=2` || w.Header().Get("RateLimit-Policy") != `"run";q=2;w=2` {
			t.Errorf("request %d: %d, %v", n, w.Code, w.Header())
		}
	}
	w := call(a, "POST", "/api/ingesta/mysql", "", ana)
	p := wantProblem(t, w, http.StatusTooManyRequests, "rate_limited")
	if w.Header().Get("Retry-After") != "3" || w.Header().Get("RateLimit") != `"run";r=0;t=2` || !strings.Contains(p.Detail, "2 requests") {
		t.Errorf("headers %v, detail %q", w.Header(), p.Detail)
	}
	if n := len(fake.submitted()); n != 2 {
		t.Errorf("%d requests reached the handler, want 2", n)
	}
	lines := audited(t, logs)
	if last := lines[len(lines)-1]; last["code"] != "rate_limited" || last["subject"] != "ana" || last["status"] != 429.0 {
		t.Errorf("the audit says %v", last)
	}
	if w := call(a, "POST", "/api/ingesta/jobs/"+someID+"/cancel", "", ana); w.Code != http.StatusTooManyRequests {
		t.Errorf("another route of the class got %d", w.Code)
	}
	if w := call(a, "POST", "/api/ingesta/mysql", "", luz); w.Code != http.StatusAccepted {
		t.Errorf("somebody else got %d", w.Code)
	}
	if w := call(a, "GET", "/api/ingesta/jobs", "", ana); w.Code != http.StatusOK || w.Header().Get("RateLimit-Policy") != `"read";q=3;w=18` {
		t.Errorf("another class got %d, %v", w.Code, w.Header())
	}
	if n := strings.Count(logs.String(), `"subject":"ana"`); n != 4+2 {
		t.Errorf("the log names her %d times, want it in the audit of four requests and in two refusals: %s", n, logs)
	}
	asked := len(limiter.keys)
	for range 10 {
		for _, target := range []string{"/", "/health", "/ready", "/metrics", "/nothing"} {
			if w := call(a, "GET", target, "", ana); w.Code == http.StatusTooManyRequests || w.Header().Get("RateLimit") != "" {
				t.Errorf("%s is limited", target)
			}
		}
		if w := call(a, "POST", "/api/ingesta/mysql", ""); w.Code != http.StatusUnauthorized {
			t.Errorf("a stranger got %d", w.Code)
		}
	}
	if len(limiter.keys) != asked {
		t.Errorf("what is not limited was counted: %q", limiter.keys[asked:])
	}
}

// Where nobody says who they are, each address is a caller, and each network of a host that has many.
func TestAddressesAreCallers(t *testing.T) {
	limiter := &fakeLimiter{}
	a, _ := limited(t, &fakeJobs{}, limiter, auth.Config{})
	for _, address := range []string{"192.0.2.7:1", "192.0.2.7:2", "[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::1]:1", "[::ffff:192.0.2.8]:1"} {
		r := httptest.NewRequest(http.MethodGet, "/api/ingesta/jobs", nil)
		r.RemoteAddr = address
		a.ServeHTTP(httptest.NewRecorder(), r)
	}
	want := "read address 192.0.2.7,read address 192.0.2.7,read address 2001:db8::/64,read address 2001:db8::/64,read address 2001:db8:0:1::/64,read address 192.0.2.8"
	if got := strings.Join(limiter.keys, ","); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// While requests cannot be counted they are let through, Redis is left alone for a while, and the log
// says so once.
func TestLimiterAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &fakeLimiter{err: errSecret}
		a, logs := limited(t, &fakeJobs{}, limiter, auth.Config{})
		ask := func(times int) {
			for range times {
				if w := call(a, "GET", "/api/ingesta/jobs", ""); w.Code != http.StatusOK || w.Header().Get("RateLimit") != "" {
					t.Errorf("got %d, %v", w.Code, w.Header())
				}
			}
		}
		ask(10)
		if len(limiter.keys) != 1 {
			t.Errorf("it was asked %d times without a pause", len(limiter.keys))
		}
		time.Sleep(3 * time.Second)
		ask(10)
		if n := strings.Count(logs.String(), "cannot be counted"); n != 1 || len(limiter.keys) != 2 {
			t.Errorf("it was asked %d times, and the log says so %d times; want 2 and 1", len(limiter.keys), n)
		}
		limiter.err = nil
		time.Sleep(3 * time.Second)
		if w := call(a, "GET", "/api/ingesta/jobs", ""); w.Header().Get("RateLimit") == "" || !strings.Contains(logs.String(), "counted again") {
			t.Errorf("once it answers again: %v, %s", w.Header(), logs)
		}
	})
}
