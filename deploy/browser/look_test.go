package browser

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// What a page may weigh, over the wire and with all it needs, for one who has never been here.
const budget = 100 << 10

func staySmall(t *testing.T, s *system, c *chromium) {
	for _, path := range []string{"/", "/jobs", "/datasets"} {
		b := c.open(t, s.URL)
		call(b, "forgetting everything", network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
		b.visit(path)
		b.mu.Lock()
		received := b.received
		b.mu.Unlock()
		if received == 0 || received >= budget {
			t.Errorf("%s takes %d bytes, want some, and less than %d", path, received, budget)
		}
		t.Logf("%s: %d bytes", path, received)
	}
}

// aPage is a page in a state worth a look.
type aPage struct {
	name, url, path string
	expect          string // of the console, a pattern
}

// lookEverywhere holds every page, in all its looks, against the rules for accessibility and the width
// of the screen, and keeps pictures.
func lookEverywhere(t *testing.T, s *system, c *chromium) {
	rules := axe(t)
	pages := s.pages(t)
	for _, p := range pages {
		t.Run(p.name, func(t *testing.T) {
			b := c.open(t, p.url)
			if p.expect != "" {
				b.expect(p.expect)
			}
			languages := []string{"en"}
			if p.name == "overview" {
				languages = append(languages, "es")
			}
			for _, tag := range languages {
				b.ask(tag)
				b.visit(p.path)
				b.unfold()
				for _, width := range []int64{narrow, wide} {
					for _, scheme := range []string{"light", "dark"} {
						b.look(width, scheme)
						look := fmt.Sprintf("%s-%d-%s", p.name, width, scheme)
						if tag != "en" {
							look += "-" + tag
						}
						serious, others := b.barriers(rules)
						for _, v := range serious {
							t.Errorf("%s: %s", look, v)
						}
						for _, v := range others {
							t.Logf("%s: %s", look, v)
						}
						for _, culprit := range b.overflow() {
							t.Errorf("%s is wider than the screen: %s", look, culprit)
						}
						b.keep(look)
					}
				}
			}
		})
	}
}

// pages makes jobs of every state and returns the pages that show them.
func (s *system) pages(t *testing.T) []aPage {
	t.Helper()
	s.letter(t)
	failed := s.run(t, ingest.MySQL, ingest.Failed, "recargas")
	partial := s.run(t, ingest.MySQL, ingest.Partial)
	success := s.run(t, ingest.MongoDB, ingest.Success)
	s.wire.Slow(rate / 100)
	waiting := []string{s.Submit(ingest.PostgreSQL, "grande"), s.Submit(ingest.PostgreSQL, "grande"), s.Submit(ingest.PostgreSQL, "grande")}
	s.Running(waiting[0], 1)
	t.Cleanup(func() { // the last of them are over when the test ends
		s.wire.Slow(0)
		for _, id := range waiting {
			s.Ended(id)
		}
	})
	const refused = `network: .* 40[14] .*`
	return []aPage{
		{name: "overview", url: s.URL, path: "/"},
		{name: "jobs", url: s.URL, path: "/jobs"},
		{name: "jobs-none", url: s.URL, path: "/jobs?database=mongodb&status=error"},
		{name: "job-running", url: s.URL, path: "/jobs/" + waiting[0]},
		{name: "job-queued", url: s.URL, path: "/jobs/" + waiting[2]},
		{name: "job-success", url: s.URL, path: "/jobs/" + success},
		{name: "job-partial", url: s.URL, path: "/jobs/" + partial},
		{name: "job-error", url: s.URL, path: "/jobs/" + failed},
		{name: "datasets", url: s.URL, path: "/datasets"},
		{name: "dead-letters", url: s.URL, path: "/dead-letters"},
		{name: "system", url: s.URL, path: "/system"},
		{name: "not-found", url: s.URL, path: "/jobs/ninguno", expect: refused},
		{name: "login", url: s.guarded, path: "/login?next=/jobs"},
		{name: "problems", url: s.URL, path: "/problems"},
		{name: "problem", url: s.URL, path: "/problems/job_conflict"},
	}
}

// unfold opens everything that can be opened, so that it is looked at as well.
func (b *tab) unfold() {
	b.t.Helper()
	find[int](b, "[...document.querySelectorAll('details')].map((d) => d.open = true).length")
}

// overflow returns what makes the page wider than the screen. What scrolls within itself does not.
func (b *tab) overflow() []string {
	b.t.Helper()
	return find[[]string](b, `(() => {
		const root = document.documentElement, width = screen.width;
		if (root.scrollWidth <= width) return [];
		const name = (e) => e.tagName.toLowerCase() + (e.id && '#' + e.id) + ' to ' + Math.round(e.getBoundingClientRect().right);
		return [root.scrollWidth + ' instead of ' + width].concat([...document.body.querySelectorAll('*')]
			.filter((e) => e.getBoundingClientRect().right > width + 0.5 && !e.closest('.scroll, pre')).slice(0, 8).map(name));
	})()`)
}

// readDocuments opens the viewers of the HTTP contract, which are others' work: they show it, and the
// policy of their pages lets them.
func readDocuments(t *testing.T, s *system, c *chromium) {
	for path, shows := range map[string]string{"/docs": ".opblock", "/redoc": "[data-section-id]"} {
		t.Run(path[1:], func(t *testing.T) {
			b := c.open(t, s.URL)
			b.visit(path)
			b.sees(shows)
			b.until("it shows an ingestion", "document.body.innerText.includes('/api/ingesta')")
			b.keep(path[1:] + "-1280-light")
		})
	}
}

// Every check of a page finds what it is there for.
func TestChecks(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a browser: left out by -short")
	}
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'sha256-"+base64.StdEncoding.EncodeToString(digest(shout))+"'")
		fmt.Fprint(w, `<!DOCTYPE html><html lang="en"><meta name="viewport" content="width=device-width"><title>Bad</title><main><h1>Bad</h1><input type="text"><table id="wide" width="700"><tr><td>wide</table></main>
<script>`+shout+`</script><script>document.title = 'Run'</script>`)
	}))
	defer bad.Close()
	b := startChromium(t).open(t, bad.URL)
	b.look(narrow, "light")
	b.visit("/")
	complaints := strings.Join(b.unexpected(), "\n")
	for _, want := range []string{"shouted", "thrown", "Content Security Policy", "violated policy"} {
		if !strings.Contains(complaints, want) {
			t.Errorf("of %q nothing is heard in:\n%s", want, complaints)
		}
	}
	b.expect(".*")
	if serious, _ := b.barriers(axe(t)); !strings.Contains(fmt.Sprint(serious), "label") {
		t.Errorf("a field without a label is found as %v", serious)
	}
	if wide := fmt.Sprint(b.overflow()); !strings.Contains(wide, "table#wide to 7") {
		t.Errorf("a table that is too wide is found as %s", wide)
	}
	if b.received == 0 {
		t.Error("no byte was counted")
	}
}

// shout is what a script of a bad page does.
const shout = `console.error('shouted'); setTimeout(() => { throw new Error('thrown') }); `

func digest(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}
