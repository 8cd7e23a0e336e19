package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/jobs"
)

// follow is a browser that goes where an answer sends it, with the cookies it was given.
func (s *site) follow(w *httptest.ResponseRecorder, headers ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	if w.Code != http.StatusSeeOther {
		s.t.Fatalf("status %d, want 303: %s", w.Code, w.Body)
	}
	s.keep(w)
	return s.get(w.Header().Get("Location"), headers...)
}

// keep takes the answer's cookies as browsers do.
func (s *site) keep(w *httptest.ResponseRecorder) {
	for _, cookie := range w.Result().Cookies() {
		s.cookies = slices.DeleteFunc(s.cookies, func(c *http.Cookie) bool { return c.Name == cookie.Name })
		if cookie.MaxAge >= 0 {
			s.cookies = append(s.cookies, cookie)
		}
	}
}

func TestForms(t *testing.T) {
	for name, test := range map[string]struct {
		path  string
		form  url.Values
		wants func(*fakeService) // what package jobs answers
		leads string
		order jobs.Order
		says  string
	}{
		"run":           {"/run/mysql", nil, nil, "/jobs/" + id("9"), jobs.Order{Database: "mysql", OnConflict: jobs.Join}, "The ingestion has been accepted."},
		"run a dataset": {"/run/mysql", url.Values{"dataset": {"users"}}, nil, "/jobs/" + id("9"), jobs.Order{Database: "mysql", Datasets: []string{"users"}, OnConflict: jobs.Join}, "accepted"},
		"join":          {"/run/mysql", nil, func(f *fakeService) { f.joined = true }, "/jobs/" + id("9"), jobs.Order{Database: "mysql", OnConflict: jobs.Join}, "under way already"},
		"run all":       {"/run", nil, nil, "/", jobs.Order{Database: "mongodb", OnConflict: jobs.Join}, "every database"},
		"cancel":        {"/jobs/" + id("2") + "/cancel", nil, nil, "/jobs/" + id("2"), jobs.Order{}, "asked to stop"},
		"cancel queued": {"/jobs/" + id("6") + "/cancel", nil, nil, "/jobs/" + id("6"), jobs.Order{}, "has been cancelled"},
		"retry":         {"/jobs/" + id("5") + "/retry", nil, nil, "/jobs/" + id("9"), jobs.Order{RetryOf: id("5"), OnConflict: jobs.Join}, "new job"},
		"replay":        {"/dead-letters/" + someLetter + "/replay", nil, nil, "/jobs/" + id("9"), jobs.Order{}, "has been replayed"},
		"replay again":  {"/dead-letters/" + someLetter + "/replay", nil, func(f *fakeService) { f.replayed = true }, "/jobs/" + id("9"), jobs.Order{}, "had been replayed before"},
	} {
		t.Run(name, func(t *testing.T) {
			service := everything()
			if test.wants != nil {
				test.wants(service)
			}
			s := newSite(t, service, auth.Config{})
			w := s.post(test.path, test.form, "X-Request-Id: mine")
			if w.Header().Get("Location") != test.leads {
				t.Errorf("status %d leads to %q, want %q", w.Code, w.Header().Get("Location"), test.leads)
			}
			page := s.follow(w)
			if page.Code == http.StatusNotFound { // the new job is not among the fake's
				page = s.get("/")
			}
			s.keep(page)
			shows(t, page, "flash", test.says)
			if again := s.get("/"); strings.Contains(again.Body.String(), `id="flash"`) {
				t.Error("it is said twice")
			}
			if test.order.Database == "" && test.order.RetryOf == "" {
				return
			}
			if len(service.requests) != 1 || service.requests[0].RequestedBy != auth.Anyone || service.requests[0].RequestID != "mine" {
				t.Fatalf("the requests are %+v", service.requests)
			}
			got := service.requests[0].Orders[0]
			if got.Database != test.order.Database || got.RetryOf != test.order.RetryOf || got.OnConflict != test.order.OnConflict || !slices.Equal(got.Datasets, test.order.Datasets) {
				t.Errorf("the order is %+v, want %+v", got, test.order)
			}
		})
	}
}

// A flash is one of ours, whoever wrote the cookie.
func TestForgedFlash(t *testing.T) {
	s := newSite(t, everything(), auth.Config{})
	s.cookies = []*http.Cookie{{Name: flashCookie, Value: "call 555 to win"}}
	if w := s.get("/"); strings.Contains(w.Body.String(), "to win") || strings.Contains(w.Body.String(), `id="flash"`) {
		t.Error("the page shows what a cookie says")
	}
}

func TestRefusals(t *testing.T) {
	service := everything()
	s := newSite(t, service, auth.Config{})
	for _, code := range jobs.Codes() {
		service.err = &jobs.Error{Code: code, Message: "the <reason>", JobIDs: []string{id("7")}}
		for _, language := range []string{"en", "es"} {
			w := s.post("/run/mysql", nil, "Accept-Language: "+language)
			if w.Code < 400 {
				t.Fatalf("%s answers %d", code, w.Code)
			}
			checkPage(t, w, language)
			shows(t, w, "problem-code", string(code))
			shows(t, w, "main", "the <reason>", id("7"))
			if next := byID(t, w.Body.String(), "problem-next"); next == nil || textOf(next) == "" {
				t.Errorf("%s in %s: the page does not say what to do next", code, language)
			}
		}
	}
	service.err = &jobs.Error{Code: jobs.Over, Message: "too late"}
	w := s.post("/jobs/"+id("3")+"/cancel", nil)
	if !strings.Contains(w.Body.String(), `href="/jobs/`+id("3")+`"`) {
		t.Error("the page of a job that could not be cancelled does not lead back to it")
	}
}

func TestCrossOriginFormsAreRefused(t *testing.T) {
	service := everything()
	s := newSite(t, service, auth.Config{})
	for _, path := range []string{"/run", "/run/mysql", "/jobs/" + id("2") + "/cancel", "/jobs/" + id("5") + "/retry", "/dead-letters/" + someLetter + "/replay", "/login", "/logout"} {
		w := s.post(path, nil, "Sec-Fetch-Site: cross-site", "Origin: https://elsewhere.example")
		if w.Code != http.StatusForbidden {
			t.Errorf("%s from another site answers %d, want 403", path, w.Code)
		}
		checkPage(t, w, "en")
		shows(t, w, "problem", "another site")
	}
	if len(service.requests) > 0 {
		t.Errorf("requests were made all the same: %+v", service.requests)
	}
}
