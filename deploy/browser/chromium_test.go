package browser

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
)

// program is Debian's; `make browser-tools` installs it.
const program = "/usr/bin/chromium"

// chromium is a browser that runs for a test.
type chromium struct{ ctx context.Context }

// startChromium starts the browser, without a window and without a past. It ends with the test.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v: run `make browser-tools`, or `go test -short` to leave these tests out", err)
	}
	// What is left out of the defaults is what would talk to anyone else, and the sandbox, which root
	// cannot have.
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
	)
	allocator, end := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, _ := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	t.Cleanup(func() {
		defer end() // kills what has not ended by then
		bounded, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the browser does not end"))
		defer cancel()
		if err := chromedp.Cancel(bounded); err != nil {
			t.Logf("ending the browser: %v", err)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", program, err)
	}
	return &chromium{ctx: ctx}
}
