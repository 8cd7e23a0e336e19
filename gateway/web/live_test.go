package web

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// patience bounds every wait of the tests. It only matters when something is broken.
const patience = 20 * time.Second

// sent is one event as a browser reads it.
type sent struct{ name, data string }

// listen opens the stream of a page. It ends with the test.
func listen(t *testing.T, s *site, path string) <-chan sent {
	t.Helper()
	server := httptest.NewServer(s.handler)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = response.Body.Close()
		server.Close()
	})
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s answers %d, %v", path, response.StatusCode, response.Header)
	}
	events := make(chan sent)
	go func() {
		defer close(events)
		var event sent
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case field == "event":
				event.name = value
			case field == "data":
				event.data += value + "\n"
			case field == "" && event.name != "":
				select {
				case events <- event:
				case <-ctx.Done():
					return
				}
				event = sent{}
			}
		}
	}()
	return events
}

// upTo returns the events up to the one of the name, by their names.
func upTo(t *testing.T, events <-chan sent, name string) map[string]string {
	t.Helper()
	seen := map[string]string{}
	for event := range events {
		seen[event.name] = event.data
		if event.name == name {
			return seen
		}
	}
	t.Fatalf("the stream ended after %v, without %q", seen, name)
	return nil
}

// change changes the job and has watchers told.
func (f *fakeService) change(id string, how func(*ingest.Job)) {
	f.mu.Lock()
	for i := range f.jobs {
		if f.jobs[i].ID == id {
			how(&f.jobs[i])
		}
	}
	f.mu.Unlock()
	f.changes <- struct{}{}
}

func TestLiveParts(t *testing.T) {
	s := newSite(t, everything(), auth.Config{})
	for path, last := range map[string]string{"/": "recent", "/jobs": "jobs", "/jobs/" + id("2"): "attempts", "/system": "system"} {
		page := s.get(path).Body.String()
		_, rest, _ := strings.Cut(page, `data-live="`)
		feed, _, _ := strings.Cut(strings.ReplaceAll(rest, "&amp;", "&"), `"`)
		for name, data := range upTo(t, listen(t, s, feed), last) {
			element := byID(t, page, name)
			if element == nil || !has(element, "data-part") {
				t.Errorf("%s: the stream sends %q, which the page does not listen for", path, name)
				continue
			}
			if fresh := byID(t, data, name); fresh == nil || textOf(fresh) != textOf(element) {
				t.Errorf("%s: %q is another than that of the page: %s", path, name, data)
			}
		}
	}
}

func TestLiveOverview(t *testing.T) {
	service := everything()
	service.changes = make(chan struct{})
	s := newSite(t, service, auth.Config{})
	events := listen(t, s, "/live?page=overview")
	upTo(t, events, "recent")
	service.change(id("2"), func(j *ingest.Job) { j.Progress.Rows = 6000 })
	seen := upTo(t, events, "announce")
	if len(seen) != 3 || !strings.Contains(seen["database-mysql"], "60\u00a0%") || !strings.Contains(seen["row-"+id("2")], `value="6000"`) || seen["announce"] != "mysql: Running 50\u00a0%\n" {
		t.Errorf("progress sends %v, want the card, the row and an announcement", seen)
	}
	service.change(id("2"), func(j *ingest.Job) { j.Status, j.FinishedAt = ingest.Success, noon })
	if seen = upTo(t, events, "announce"); seen["announce"] != "mysql: Success\n" {
		t.Errorf("the end sends %v", seen)
	}
	service.mu.Lock()
	service.jobs = append([]ingest.Job{{ID: id("7"), Database: ingest.MySQL, Status: ingest.Queued, CreatedAt: noon}}, service.jobs...)
	service.mu.Unlock()
	service.changes <- struct{}{}
	if seen = upTo(t, events, "announce"); !strings.Contains(seen["recent"], id("7")) || seen["announce"] != "mysql: Queued\n" {
		t.Errorf("a new job sends %v, want the whole table", seen)
	}
}

func TestLiveJob(t *testing.T) {
	service := everything()
	service.changes = make(chan struct{})
	s := newSite(t, service, auth.Config{})
	events := listen(t, s, "/live?page=job&id="+id("2"))
	upTo(t, events, "attempts")
	service.change(id("2"), func(j *ingest.Job) {
		j.Results = append(ingest.Results{}, j.Results...)
		j.Results[0].Rows = 5000
		j.SumProgress()
	})
	seen := upTo(t, events, "announce")
	if len(seen) != 3 || !strings.Contains(seen["job"], "50\u00a0%") || !strings.Contains(seen["dataset-users"], "5,000") {
		t.Errorf("progress sends %v, want the job, the dataset that moved and an announcement", seen)
	}
	service.change(id("2"), func(j *ingest.Job) { j.Status, j.FinishedAt = ingest.Failed, noon })
	seen = upTo(t, events, "over")
	if !strings.Contains(seen["job"], "Failed") || seen["announce"] != "mysql: Failed\n" {
		t.Errorf("the end sends %v", seen)
	}
	if event, open := <-events; open {
		t.Errorf("after the end comes %v", event)
	}
}

func TestLiveRefusals(t *testing.T) {
	service := everything()
	s := newSite(t, service, auth.Config{})
	for path, want := range map[string]int{"/live": 404, "/live?page=letters": 404, "/live?page=job&id=" + id("8"): 404} {
		if w := s.get(path); w.Code != want || w.Header().Get("Content-Type") == "text/event-stream" {
			t.Errorf("%s answers %d, want %d", path, w.Code, want)
		}
	}
}

// A gateway that is about to stop gives up its first look, which is no reason for a browser not to come again.
func TestLiveThatIsStoppedBeforeItBegins(t *testing.T) {
	service := everything()
	service.err = context.Canceled
	s := newSite(t, service, auth.Config{})
	stopped, stop := context.WithCancel(t.Context())
	stop()
	w := s.send(httptest.NewRequestWithContext(stopped, http.MethodGet, "/live?page=jobs", nil))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/event-stream" || strings.Contains(w.Body.String(), "data:") {
		t.Errorf("%d, %v: %s", w.Code, w.Header(), w.Body)
	}
}
