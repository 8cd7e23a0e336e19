package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds every wait for what a page is to show. It only matters when something is broken.
const patience = 30 * time.Second

// tab is a tab of a person's own: nobody else has its cookies. Whatever its console says fails the
// test, unless it is expected.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string // of the gateway

	mu         sync.Mutex
	complaints []string
	expected   []*regexp.Regexp
	received   int64 // bytes, as they came over the wire
}

// The two widths that pages are looked at in.
const (
	narrow = 360
	wide   = 1280
)

// open opens a tab, as wide as a desk's screen. It is closed when the test ends.
func (c *chromium) open(t *testing.T, url string) *tab {
	t.Helper()
	b := &tab{t: t, url: url}
	var cancel context.CancelFunc
	b.ctx, cancel = chromedp.NewContext(c.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.heed))
	t.Cleanup(func() {
		if t.Failed() {
			b.keep(filepath.Join("failed", strings.ReplaceAll(t.Name(), "/", "-")))
		}
		cancel()
		for _, complaint := range b.unexpected() {
			t.Errorf("the console says: %s", complaint)
		}
	})
	if err := chromedp.Do(b.ctx); err != nil { // without a limit: the tab would end with it
		t.Fatalf("opening a tab: %v", err)
	}
	call(b, "listening to the log", log.Enable, cdp.Empty{})
	call(b, "listening to the console", runtime.Enable, cdp.Empty{})
	call(b, "listening to the network", network.Enable, network.EnableParams{})
	call(b, "listening to findings", audits.Enable, cdp.Empty{})
	b.ask("en")
	b.look(wide, "light")
	return b
}

// heed notes what the browser has to say of the page.
func (b *tab) heed(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.complaints = append(b.complaints, fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(e.ExceptionDetails) // what cannot be written is a complaint all the same
		b.complaints = append(b.complaints, "exception: "+string(text))
	case *runtime.EventConsoleAPICalled:
		if slices.Contains([]runtime.ConsoleAPICalledType{runtime.ConsoleAPICalledTypeError, runtime.ConsoleAPICalledTypeWarning, runtime.ConsoleAPICalledTypeAssert}, e.Type) {
			text, _ := json.Marshal(e.Args) // what cannot be written is a complaint all the same
			b.complaints = append(b.complaints, "console: "+string(text))
		}
	case *audits.EventIssueAdded:
		if e.Issue.Details.ContentSecurityPolicyIssueDetails != nil {
			text, _ := json.Marshal(e.Issue.Details.ContentSecurityPolicyIssueDetails)
			b.complaints = append(b.complaints, "violated policy: "+string(text))
		}
	case *network.EventLoadingFinished:
		b.received += int64(e.EncodedDataLength)
	}
}

// expect lets the console say what matches the pattern.
func (b *tab) expect(pattern string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, regexp.MustCompile(pattern))
}

func (b *tab) unexpected() (complaints []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, complaint := range b.complaints {
		if !slices.ContainsFunc(b.expected, func(r *regexp.Regexp) bool { return r.MatchString(complaint) }) {
			complaints = append(complaints, complaint)
		}
	}
	return complaints
}

// do carries out steps and fails the test when one of them cannot be.
func (b *tab) do(doing string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := b.bounded()
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", doing, err)
	}
}

// call sends a command of the debugging protocol.
func call[P, R any](b *tab, doing string, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := b.bounded()
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", doing, err)
	}
	return result
}

// evaluate evaluates an expression in the page, and waits for a promise.
func evaluate[T any](b *tab, expression string) (T, error) {
	ctx, cancel := b.bounded()
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

func (b *tab) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(b.ctx, patience, errors.New("the browser does not answer"))
}

// visit goes to a page of the gateway.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.do("visiting "+path, chromedp.Navigate(b.url+path))
}

// find returns what an expression is in the page.
func find[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := evaluate[T](b, expression)
	if err != nil {
		b.t.Fatalf("evaluating %.200s: %v", expression, err)
	}
	return value
}

// until waits until the expression holds in the page, whatever page that is by then.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		if holds, err := evaluate[bool](b, "!!("+expression+")"); err == nil && holds { // a page that is being left cannot be asked
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			b.t.Fatalf("waited %v in vain until %s; the page is %s", patience, what, b.describe())
		}
	}
}

// sees waits until there is an element that the selector selects.
func (b *tab) sees(selector string) {
	b.t.Helper()
	b.until("the page has "+selector, "document.querySelector("+quote(selector)+")")
}

// text returns what stands in an element.
func (b *tab) text(selector string) string {
	b.t.Helper()
	b.sees(selector)
	return find[string](b, "document.querySelector("+quote(selector)+").innerText")
}

// attribute returns an attribute of an element, "" when it has none.
func (b *tab) attribute(selector, name string) string {
	b.t.Helper()
	b.sees(selector)
	return find[string](b, "document.querySelector("+quote(selector)+").getAttribute("+quote(name)+") ?? ''")
}

// has reports whether there is such an element now.
func (b *tab) has(selector string) bool {
	b.t.Helper()
	return find[bool](b, "!!document.querySelector("+quote(selector)+")")
}

// press clicks on an element as a hand does: the button of the mouse is down for a while, in which a
// live page may change.
func (b *tab) press(selector string, held time.Duration) {
	b.t.Helper()
	b.sees(selector)
	at := find[struct{ X, Y float64 }](b, `(() => {
		const e = document.querySelector(`+quote(selector)+`);
		e.scrollIntoView({ block: 'center', behavior: 'instant' });
		const r = e.getBoundingClientRect();
		return { X: r.x + r.width / 2, Y: r.y + r.height / 2 };
	})()`)
	mouse := func(what input.DispatchMouseEventType) {
		call(b, "pressing "+selector, input.DispatchMouseEvent, input.DispatchMouseEventParams{
			Type: what, X: at.X, Y: at.Y, Button: input.MouseButtonLeft, ClickCount: 1,
		})
	}
	mouse(input.DispatchMouseEventTypeMousePressed)
	<-time.After(held)
	mouse(input.DispatchMouseEventTypeMouseReleased)
}

// click clicks on an element.
func (b *tab) click(selector string) { b.t.Helper(); b.press(selector, 0) }

// fill types a text into a field.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.sees(selector)
	find[bool](b, "(document.querySelector("+quote(selector)+").focus(), true)")
	call(b, "filling "+selector, input.InsertText, input.InsertTextParams{Text: text})
}

// look sets how wide the screen is, and which colours its owner likes.
func (b *tab) look(width int64, scheme string) {
	b.t.Helper()
	call(b, "changing the screen", emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: 800, ScreenWidth: width, ScreenHeight: 800, DeviceScaleFactor: 1, Mobile: width == narrow,
	})
	call(b, "changing the colours", emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// ask makes the browser ask for pages in a language.
func (b *tab) ask(language string) {
	b.t.Helper()
	call(b, "choosing a language", network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": language}})
}

// withoutScripts keeps the page from running any.
func (b *tab) withoutScripts() {
	b.t.Helper()
	call(b, "switching scripts off", emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// keep writes a picture of the whole page to .local/screenshots.
func (b *tab) keep(name string) {
	ctx, cancel := b.bounded()
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Logf("no picture of %s: %v", name, err)
		return
	}
	path := filepath.Join("..", "..", ".local", "screenshots", name+".png")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, picture, 0o600)); err != nil {
		b.t.Errorf("keeping a picture: %v", err)
	}
}

// describe says what the page shows, for a failure.
func (b *tab) describe() string {
	shown, err := evaluate[string](b, "location.href + ' «' + document.title + '»: ' + document.body.innerText.slice(0, 600)")
	if err != nil {
		return err.Error()
	}
	return shown
}

// quote writes a text as JavaScript does.
func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // every string can be written
	}
	return string(quoted)
}
