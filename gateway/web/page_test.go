package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/pharmavida/ingesta/gateway/auth"
)

// pages are the addresses of every page, with all that they can show.
func pages() []string {
	paths := []string{"/", "/jobs", "/jobs?database=mysql&status=error&cursor=x", "/dead-letters", "/datasets", "/system", "/jobs/" + id("8"), "/jobs/none"}
	for n := range 6 {
		paths = append(paths, "/jobs/"+id(fmt.Sprint(n+1)))
	}
	return paths
}

func TestPages(t *testing.T) {
	for kind, service := range map[string]*fakeService{"full": everything(), "empty": {}} {
		s := newSite(t, service, auth.Config{})
		for _, language := range []string{"en", "es"} {
			for _, path := range pages() {
				t.Run(kind+" "+language+" "+path, func(t *testing.T) {
					w := s.get(path, "Accept-Language: "+language)
					missing := strings.HasPrefix(path, "/jobs/") && (kind == "empty" || strings.HasSuffix(path, "8") || strings.HasSuffix(path, "none"))
					if want := map[bool]int{false: 200, true: 404}[missing]; w.Code != want {
						t.Fatalf("status %d, want %d: %s", w.Code, want, w.Body)
					}
					checkPage(t, w, language)
				})
			}
		}
	}
}

// checkPage holds an answer to what every page promises.
func checkPage(t *testing.T, w *httptest.ResponseRecorder, language string) {
	t.Helper()
	if got := w.Header().Get("Content-Security-Policy"); got != policy {
		t.Errorf("the policy is %q", got)
	}
	if got := w.Header().Get("Content-Type"); got != "text/html; charset=UTF-8" {
		t.Errorf("the media type is %q", got)
	}
	vary := strings.Join(w.Header().Values("Vary"), ", ")
	if !strings.Contains(vary, "Accept-Language") || !strings.Contains(vary, "Cookie") || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("Vary is %q, Cache-Control %q", vary, w.Header().Get("Cache-Control"))
	}
	checkDocument(t, w.Body.String(), language)
}

// checkDocument holds a document to the rules that machines can check: of HTML, of the policy and of
// those who listen to pages.
func checkDocument(t *testing.T, document, language string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(document, "<!doctype html>") {
		t.Error("the document does not begin with its doctype")
	}
	elements := map[string][]*html.Node{}
	ids := map[string]bool{}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		elements[n.Data] = append(elements[n.Data], n)
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("the id %q is given twice", id)
			}
			ids[id] = true
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("<%s> has the attribute %s, which the policy forbids", n.Data, a.Key)
			}
		}
	}
	for name, want := range map[string]int{"html": 1, "title": 1, "main": 1, "h1": 1, "style": 0} {
		if got := len(elements[name]); got != want {
			t.Errorf("there are %d elements <%s>, want %d", got, name, want)
		}
	}
	if lang := attribute(elements["html"][0], "lang"); lang != language {
		t.Errorf("the document is in %q, want %q", lang, language)
	}
	for _, script := range elements["script"] {
		if attribute(script, "src") == "" || script.FirstChild != nil {
			t.Error("a script stands in the page itself")
		}
	}
	for _, image := range elements["img"] {
		if !has(image, "alt") {
			t.Error("an image has no alt text")
		}
	}
	for _, drawing := range elements["svg"] {
		if attribute(drawing, "aria-hidden") != "true" {
			t.Error("a drawing is not hidden from those who listen, and has no text")
		}
	}
	for _, moment := range elements["time"] {
		if attribute(moment, "datetime") == "" {
			t.Errorf("the time %q has no datetime", textOf(moment))
		}
	}
	for _, table := range elements["table"] {
		if first := table.FirstChild; first == nil || find(table, "caption") == nil {
			t.Error("a table has no caption")
		}
	}
	for _, cell := range elements["th"] {
		if attribute(cell, "scope") == "" {
			t.Errorf("the heading %q of a table has no scope", textOf(cell))
		}
	}
	for _, name := range []string{"input", "select", "textarea"} {
		for _, field := range elements[name] {
			labelled := slices.ContainsFunc(elements["label"], func(l *html.Node) bool { return attribute(l, "for") == attribute(field, "id") })
			if attribute(field, "type") != "hidden" && (!labelled || attribute(field, "id") == "") {
				t.Errorf("a field %q has no label", attribute(field, "name"))
			}
		}
	}
	for _, bar := range elements["progress"] {
		if attribute(bar, "aria-label") == "" {
			t.Error("a progress bar has no label")
		}
	}
	for _, name := range []string{"a", "button", "h1", "h2", "h3", "summary", "th", "option"} {
		for _, n := range elements[name] {
			if strings.TrimSpace(textOf(n)) == "" {
				t.Errorf("<%s> (id %q) has no text", name, attribute(n, "id"))
			}
		}
	}
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			if a.Key == "aria-labelledby" || a.Key == "aria-describedby" || a.Key == "for" {
				for _, id := range strings.Fields(a.Val) {
					if !ids[id] {
						t.Errorf("%s names %q, which does not exist", a.Key, id)
					}
				}
			}
		}
	}
	checkHeadings(t, root)
	for _, form := range elements["form"] {
		if action := attribute(form, "action"); !strings.HasPrefix(action, "/") || strings.HasPrefix(action, "//") {
			t.Errorf("a form is sent to %q", action)
		}
	}
}

// checkHeadings holds that no level of headings is left out on the way down.
func checkHeadings(t *testing.T, root *html.Node) {
	t.Helper()
	last := 0
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && len(n.Data) == 2 && n.Data[0] == 'h' && n.Data[1] >= '1' && n.Data[1] <= '6' {
			level := int(n.Data[1] - '0')
			if level > last+1 {
				t.Errorf("after a heading of level %d comes %q of level %d", last, textOf(n), level)
			}
			last = level
		}
	}
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, key string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
}

func find(n *html.Node, name string) *html.Node {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == name {
			return d
		}
	}
	return nil
}

// byID returns the element of the id, or nil.
func byID(t *testing.T, document, id string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if attribute(n, "id") == id {
			return n
		}
	}
	return nil
}

func textOf(n *html.Node) string {
	var text strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			text.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

// shows fails the test unless the element of the id says each of the texts.
func shows(t *testing.T, w *httptest.ResponseRecorder, id string, texts ...string) {
	t.Helper()
	n := byID(t, w.Body.String(), id)
	if n == nil {
		t.Errorf("the page (%d) has no element %q", w.Code, id)
		return
	}
	for _, text := range texts {
		if got := textOf(n); !strings.Contains(got, text) {
			t.Errorf("%q says %q, which lacks %q", id, got, text)
		}
	}
}

func TestOverviewTellsHowThingsStand(t *testing.T) {
	s := newSite(t, everything(), auth.Config{})
	w := s.get("/")
	shows(t, w, "summary", "Not working: mongodb, rabbitmq")
	shows(t, w, "database-mysql", "Running", "25 % 2,500 of about 10,000 rows", "500 rows/s", "about 15 s left", "Success", "1,234,567", "98.8 MB", "1 command waiting", "2 workers")
	shows(t, w, "database-mongodb", "Queued", "Next attempt: 9 Mar 2025, 12:01:00 UTC", "no worker has reported lately")
	shows(t, w, "database-postgresql", "Failed", "It failed as often as it may")
	shows(t, w, "recent", "Running", "Partial", "Cancelled")
	if bar := byID(t, w.Body.String(), "progress-mysql"); bar == nil || attribute(bar, "value") != "2500" || attribute(bar, "max") != "10000" {
		t.Errorf("the bar is %+v", bar)
	}
	w = s.get("/", "Accept-Language: es-PE,es;q=0.9")
	shows(t, w, "database-mysql", "En curso", "2,500 de unas 10,000 filas", "faltan unos 15 s")
	w = s.get("/", "Accept-Language: es-CO")
	shows(t, w, "database-mysql", "2.500 de unas 10.000 filas", "98,8 MB")
}

func TestJobPageTellsEverything(t *testing.T) {
	s := newSite(t, everything(), auth.Config{})
	w := s.get("/jobs/" + id("4"))
	shows(t, w, "job", "mysql", "Partial", id("4"), "ana <admin>", "25 s", "Retry 1 dataset")
	shows(t, w, "dataset-users", "Done", "1,234,567", "98.8 MB", "10 s", "s3://lake/mysql/users_1.csv", strings.Repeat("ab", 32), "Download", "3 zero dates",
		"one state of the whole database", "4 columns · 2 left out", "its name looks like a password", "by hash", "called dni")
	shows(t, w, "dataset-compras", "Failed", "The table or collection does not exist", "Check its name in the catalog", "table_not_found", "<does not> exist")
	if link := byID(t, w.Body.String(), "download-users"); link == nil || attribute(link, "href") != "/api/ingesta/jobs/"+id("4")+"/datasets/users/download" {
		t.Errorf("the download is %+v", link)
	}
	w = s.get("/jobs/" + id("2"))
	shows(t, w, "attempts", "Attempt 1 Worker lost", "Attempt 2 Handed back", "The worker stopped and handed the job back", "Attempt 3 Running")
	if byID(t, w.Body.String(), "cancel") == nil || byID(t, w.Body.String(), "retry") != nil {
		t.Error("a running job can be cancelled, and not retried")
	}
	w = s.get("/jobs/" + id("6"))
	shows(t, w, "dataset-users", "its file was removed")
	if byID(t, w.Body.String(), "download-users") != nil {
		t.Error("a cancelled job offers a download of what was removed")
	}
	w = s.get("/jobs/"+id("5"), "Accept-Language: es")
	shows(t, w, "job-error", "Falló tantas veces como se permite", "Corrija la causa", "failed 5 times")
	if w = s.get("/jobs/" + id("3")); byID(t, w.Body.String(), "cancel") != nil || byID(t, w.Body.String(), "retry") != nil {
		t.Error("a job that has succeeded can be cancelled or retried")
	}
}

func TestPathsThatLeadNowhere(t *testing.T) {
	s := newSite(t, everything(), auth.Config{})
	for path, code := range map[string]string{"/nowhere": "not_found", "/jobs/a/b/c": "not_found", "/run/mysql": "method_not_allowed"} {
		w := s.get(path, "Accept: text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language: es")
		checkPage(t, w, "es")
		shows(t, w, "problem-code", code)
	}
}

func TestAssets(t *testing.T) {
	s := newSite(t, everything(), closed)
	w := s.get("/login")
	for _, name := range []string{"style", "icon"} {
		_, rest, _ := strings.Cut(w.Body.String(), "/assets/"+name+".")
		path := "/assets/" + name + "." + rest[:strings.IndexByte(rest, '"')]
		a := s.get(path)
		if a.Code != http.StatusOK || !strings.Contains(a.Header().Get("Cache-Control"), "immutable") || a.Body.Len() == 0 {
			t.Errorf("%s: status %d, %v", path, a.Code, a.Header())
		}
	}
	if a := s.get("/assets/style.css"); a.Code != http.StatusNotFound {
		t.Errorf("an asset without its hash answers %d, want 404", a.Code)
	}
}
