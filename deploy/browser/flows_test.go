package browser

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// What people do with the dashboard, in a browser, on a system that works.
func TestDashboard(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the local stack's servers and a browser: left out by -short")
	}
	s, c := newSystem(t), startChromium(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *system, *chromium)
	}{
		{"an empty system says what to do", emptySystem},
		{"an ingestion by the button moves its bar", moveBar},
		{"a running job is cancelled", cancelJob},
		{"a press that lasts counts on a live page", pressLong},
		{"the bar goes on after the gateway was away", goOn},
		{"a failure is explained", explainFailure},
		{"a dead letter is replayed", replayLetter},
		{"a file is fetched", fetchFile},
		{"the keyboard is enough", useKeyboard},
		{"scripts are not needed", doWithoutScripts},
		{"who has a token is let in", logIn},
		{"who has none, or a bad one, is not", beRefused},
		{"who may only read cannot run", onlyRead},
		{"the language is switched", switchLanguage},
		{"pages are small", staySmall},
		{"the contract can be read", readDocuments},
		{"every page can be used by everyone", lookEverywhere},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s, c) })
		s.wire.Slow(0)
	}
}

const (
	statusIs = "document.querySelector('#job-status')?.dataset.status === "
	barValue = "(document.querySelector('progress')?.value ?? -1)"
)

func emptySystem(t *testing.T, s *system, c *chromium) {
	b := c.open(t, s.URL)
	b.visit("/")
	for _, db := range []string{"mongodb", "mysql", "postgresql"} {
		b.sees("article#database-" + db + " form#run-" + db + " button")
	}
	if b.attribute("html", "lang") != "en" || b.text("h1") == "" {
		t.Errorf("the page is in %q and its title is %q", b.attribute("html", "lang"), b.text("h1"))
	}
	b.keep("overview-empty-1280-light")
	b.visit("/jobs")
	b.sees("#jobs .empty")
	b.visit("/dead-letters")
	b.sees("#letters-empty")
}

// order presses the button of PostgreSQL on the overview and returns the id of the job, whose page
// is open then.
func order(b *tab) (id string) {
	b.t.Helper()
	b.visit("/")
	b.click("form#run-postgresql button")
	b.sees("#job-status")
	if b.text("#flash") == "" {
		b.t.Error("the page does not say that the job was accepted")
	}
	return filepath.Base(find[string](b, "location.pathname"))
}

func moveBar(t *testing.T, s *system, c *chromium) {
	s.wire.Slow(rate)
	b := c.open(t, s.URL)
	order(b)
	b.until("the stream is open", "document.documentElement.dataset.stream === 'open'")
	b.until("the bar has begun to move", barValue+" > 0")
	first := find[float64](b, barValue)
	b.until("the bar has moved on", barValue+" > "+fmt.Sprint(first))
	b.keep("job-running-1280-light")
	overview := c.open(t, s.URL)
	overview.visit("/")
	overview.sees("progress#progress-postgresql")
	before := find[float64](overview, barValue)
	overview.until("the overview's bar moves, too", barValue+" > "+fmt.Sprint(before))
	s.wire.Slow(0)
	b.until("the job has ended well", statusIs+"'success'")
	b.until("the page says so to those who do not see it", "document.querySelector('#announce').textContent.length > 0")
	overview.until("the overview has no bar any more", "!document.querySelector('progress#progress-postgresql')")
	if b.has("progress") || b.has("#cancel") {
		t.Error("a job that is over has a bar, or can be cancelled")
	}
	if text := b.text("#dataset-grande"); !strings.Contains(text, "20,000") {
		t.Errorf("the dataset says %q, and nothing of its 20,000 rows", text)
	}
}

func cancelJob(t *testing.T, s *system, c *chromium) {
	s.wire.Slow(rate / 10)
	b := c.open(t, s.URL)
	id := order(b)
	b.until("the job runs", statusIs+"'running'")
	b.click("#cancel-button")
	b.until("the job is cancelled", statusIs+"'cancelled'")
	if job, ok := s.Job(id); !ok || job.Status != ingest.Cancelled {
		t.Errorf("the page says that the job was cancelled, and it is %s", job.Status)
	}
	b.sees("#retry-button")
}

// A hand needs a tenth of a second to click, and some need longer: what is pressed must not be
// replaced under it.
func pressLong(t *testing.T, s *system, c *chromium) {
	const held = 1500 * time.Millisecond // several changes of the page
	for _, by := range []string{"mouse", "keyboard"} {
		t.Run(by, func(t *testing.T) {
			s.wire.Slow(rate / 3)
			b := c.open(t, s.URL)
			order(b)
			b.until("the bar has begun to move", barValue+" > 0")
			if by == "mouse" {
				b.press("#cancel-button", held)
			} else {
				find[bool](b, "(document.querySelector('#cancel-button').focus(), true)")
				space := func(what input.DispatchKeyEventType) {
					call(b, "pressing the space bar", input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: what, Key: " ", Code: "Space", Text: " ", WindowsVirtualKeyCode: 32})
				}
				space(input.DispatchKeyEventTypeKeyDown)
				<-time.After(held)
				space(input.DispatchKeyEventTypeKeyUp)
			}
			b.sees("#flash")
			s.wire.Slow(0) // what the server has sent already has to come through
			b.until("the job is cancelled", statusIs+"'cancelled'")
		})
	}
	t.Run("elsewhere", func(t *testing.T) { // and the page goes on when it is over
		s.wire.Slow(rate / 3)
		b := c.open(t, s.URL)
		order(b)
		b.until("the bar has begun to move", barValue+" > 0")
		before := find[float64](b, barValue)
		b.press("h1", held)
		b.until("the bar has moved on", barValue+" > "+fmt.Sprint(before))
		b.click("#cancel-button")
		b.sees("#flash")
		s.wire.Slow(0)
		b.until("the job is cancelled", statusIs+"'cancelled'")
	})
}

func goOn(t *testing.T, s *system, c *chromium) {
	s.wire.Slow(rate / 4)
	b := c.open(t, s.URL)
	b.expect(`network: .*(ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE)`)
	order(b)
	b.until("the bar has begun to move", barValue+" > 0")
	s.Gateway.Terminate()
	if _, err := s.Gateway.Wait(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	b.until("the page says that it hears nothing", "document.documentElement.dataset.stream === 'lost'")
	before := find[float64](b, barValue)
	s.StartGateway()
	b.until("the stream is open again", "document.documentElement.dataset.stream === 'open'")
	b.until("the bar has moved on", barValue+" > "+fmt.Sprint(before))
	s.wire.Slow(0)
	b.until("the job has ended well", statusIs+"'success'")
}

func explainFailure(t *testing.T, s *system, c *chromium) {
	b := c.open(t, s.URL)
	b.visit("/datasets")
	b.click("form#run-mysql-recargas button")
	b.until("the job has failed", statusIs+"'error'")
	fault := b.text("#job-error .fault")
	for _, want := range []string{"table_not_found", "recargas_que_no_existen"} {
		if !strings.Contains(fault, want) {
			t.Errorf("the failure is explained as %q, without %s", fault, want)
		}
	}
	if b.text("#job-error .fault .step") == "" {
		t.Error("the page does not say what to do next")
	}
	b.sees("#retry-button")
	b.visit("/jobs?status=error")
	b.sees("#jobs .status[data-status=error]")
	for _, path := range []string{"/jobs/ninguno", "/en-ninguna-parte"} {
		b.visit(path)
		b.sees("h1#problem")
	}
	b.expect(`network: .* 404 .*`)
}

func replayLetter(t *testing.T, s *system, c *chromium) {
	s.letter(t)
	b := c.open(t, s.URL)
	b.visit("/")
	b.click("a#dead")
	b.sees("article[id^=letter-]")
	b.keep("dead-letters-one-1280-light")
	if text := b.text("article[id^=letter-]"); !strings.Contains(text, "source_unavailable") {
		t.Errorf("the dead letter says %q, and nothing of its cause", text)
	}
	b.click("form[id^=replay-] button")
	b.until("the job of the letter has ended well", statusIs+"'success'")
	b.visit("/dead-letters")
	b.sees("#letters-empty")
}

func fetchFile(t *testing.T, s *system, c *chromium) {
	id := s.run(t, ingest.MySQL, ingest.Success, "users")
	job, _ := s.Job(id)
	result := job.Results.Of("users")
	b := c.open(t, s.URL)
	b.visit("/jobs/" + id)
	folder, done := t.TempDir(), make(chan string, 1)
	if err := chromedp.ListenBrowser(b.ctx, func(event any) {
		if e, ok := event.(*browser.EventDownloadProgress); ok && e.State == browser.DownloadProgressStateCompleted {
			done <- e.GUID
		}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllowAndName, DownloadPath: folder, EventsEnabled: new(true),
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	}); err != nil {
		t.Fatalf("allowing downloads: %v", err)
	}
	b.click("#download-users")
	var file string
	select {
	case file = <-done:
	case <-time.After(patience):
		t.Fatalf("nothing was downloaded; the page is %s", b.describe())
	}
	content, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	if got := hex.EncodeToString(sum[:]); got != result.SHA256 || int64(len(content)) != result.Bytes {
		t.Errorf("the file has %d bytes and SHA-256 %s; the record says %d and %s", len(content), got, result.Bytes, result.SHA256)
	}
	if shown := b.text("#dataset-users"); !strings.Contains(shown, result.SHA256) {
		t.Error("the page does not show the SHA-256 to compare with")
	}
}

func useKeyboard(t *testing.T, s *system, c *chromium) {
	b := c.open(t, s.URL)
	b.visit("/")
	tab := func(holds string) {
		t.Helper()
		const most = 60
		for range most {
			b.do("pressing the tabulator", chromedp.KeyEvent(kb.Tab))
			if find[bool](b, "document.activeElement.matches("+quote(holds)+")") {
				return
			}
		}
		t.Fatalf("%d tabulators do not lead to %s", most, holds)
	}
	b.do("pressing the tabulator", chromedp.KeyEvent(kb.Tab))
	if !find[bool](b, "document.activeElement.id === 'skip' && document.activeElement.getBoundingClientRect().top >= 0") {
		t.Error("the first tabulator does not show the way past the navigation")
	}
	b.do("skipping the navigation", chromedp.KeyEvent(kb.Enter))
	b.until("the navigation is skipped", "location.hash === '#main'")
	tab("form#run-mongodb button")
	if !find[bool](b, "(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1 })()") {
		t.Error("it is not seen where the keyboard is")
	}
	b.do("pressing the space bar", chromedp.KeyEvent(" "))
	b.until("the job has ended well", statusIs+"'success'")
	tab("details > summary")
	b.do("opening the columns", chromedp.KeyEvent(kb.Enter))
	b.sees("details[open]")
}

func doWithoutScripts(t *testing.T, s *system, c *chromium) {
	s.wire.Slow(rate / 10)
	b := c.open(t, s.URL)
	b.withoutScripts()
	order(b)
	if b.attribute("html", "data-stream") != "" {
		t.Fatal("the page's script has run")
	}
	reload := func(what, holds string) {
		t.Helper()
		stacktest.Eventually(t, what, func() bool {
			b.do("reloading", chromedp.Reload())
			return find[bool](b, holds)
		})
	}
	reload("the bar stands somewhere", barValue+" > 0")
	b.click("#cancel-button")
	b.sees("#flash")
	s.wire.Slow(0) // what the server has sent already has to come through
	reload("the job is cancelled", statusIs+"'cancelled'")
	b.click("#retry-button")
	b.sees("#flash")
	reload("the rest of it is done", statusIs+"'success'")
	b.sees("a#download-grande")
	b.visit("/jobs")
	find[string](b, "document.querySelector('#filter-status').value = 'cancelled'")
	b.click("form#filter button")
	b.until("the cancelled jobs alone are listed", "document.querySelectorAll('#jobs tbody tr').length === document.querySelectorAll('#jobs tbody .status[data-status=cancelled]').length && location.search.includes('status=cancelled')")
}

func logIn(t *testing.T, s *system, c *chromium) {
	b := c.open(t, s.guarded)
	b.expect(`network: .* 401 .*`)
	b.visit("/jobs?status=error")
	b.sees("form#login")
	b.fill("#token", s.token(t, time.Hour, auth.Run, auth.Read))
	b.click("form#login button")
	b.until("the page that was asked for is there", "location.pathname === '/jobs' && location.search === '?status=error'")
	if name := b.text("form#logout"); !strings.Contains(name, "ana.perez") {
		t.Errorf("the page names %q, not who has logged in", name)
	}
	if cookies := find[string](b, "document.cookie"); strings.Contains(cookies, "ey") {
		t.Error("scripts can read the token")
	}
	b.visit("/")
	b.click("form#run-mongodb button")
	b.until("the job has ended well", statusIs+"'success'")
	if !strings.Contains(b.text("#job"), "ana.perez") {
		t.Error("the job does not say who has ordered it")
	}
	b.click("form#logout button")
	b.sees("form#login")
	b.visit("/jobs")
	b.sees("form#login")
}

func beRefused(t *testing.T, s *system, c *chromium) {
	good := s.token(t, time.Hour, auth.Admin)
	for name, token := range map[string]string{
		"expired": s.token(t, -time.Minute, auth.Admin), "forged": good[:len(good)-8] + "AAAAAAAA", "no token": "contraseña",
	} {
		t.Run(name, func(t *testing.T) {
			b := c.open(t, s.guarded)
			b.expect(`network: .* 401 .*`)
			b.visit("/login")
			b.fill("#token", token)
			b.click("form#login button")
			if b.text("#login-error") == "" {
				t.Error("the page does not say why")
			}
			b.visit("/")
			b.sees("form#login")
		})
	}
	t.Run("a token that ends", func(t *testing.T) {
		b := c.open(t, s.guarded)
		b.expect(`network: .* 401 .*`)
		b.visit("/login")
		b.fill("#token", s.token(t, 3*time.Second, auth.Admin))
		b.click("form#login button")
		b.sees("form#run-mysql")
		stacktest.Eventually(t, "the token is over", func() bool {
			b.visit("/jobs")
			return b.has("form#login")
		})
	})
}

func onlyRead(t *testing.T, s *system, c *chromium) {
	b := c.open(t, s.guarded)
	b.visit("/login")
	b.fill("#token", s.token(t, time.Hour, auth.Read))
	b.click("form#login button")
	b.sees("#may-not-run")
	for _, path := range []string{"/", "/datasets", "/dead-letters"} {
		b.visit(path)
		if b.has("main form button") {
			t.Errorf("%s has a button for one who may only read", path)
		}
	}
	// A form of another page, such as one that was open before, is refused all the same.
	b.expect(`network: .* 403 .*`)
	find[bool](b, `(() => {
		const f = document.createElement('form');
		f.method = 'post'; f.action = '/run/mysql';
		document.body.append(f);
		f.submit();
		return true;
	})()`)
	b.sees("h1#problem")
	if code := b.text("#problem-code"); code != "insufficient_scope" {
		t.Errorf("the refusal is %q, want insufficient_scope", code)
	}
}

func switchLanguage(t *testing.T, s *system, c *chromium) {
	b := c.open(t, s.URL)
	b.ask("es-PE,es;q=0.9,en;q=0.5")
	b.visit("/")
	if got := b.attribute("html", "lang"); got != "es" {
		t.Errorf("who asks for Spanish gets %q", got)
	}
	spanish := b.text("h1")
	b.click("footer a[hreflang=en]")
	b.until("the page is in English", "document.documentElement.lang === 'en'")
	if english := b.text("h1"); english == spanish {
		t.Errorf("the title is %q in both languages", english)
	}
	b.visit("/jobs")
	if got := b.attribute("html", "lang"); got != "en" {
		t.Errorf("the next page is in %q: the choice is forgotten", got)
	}
}
