// Package browser holds the dashboard in a real browser: Debian's chromium, driven by tests over its
// debugging protocol, against a gateway and workers that are processes of their own on the servers of
// the local stack.
//
// One test has one system, on which people do what people do (see TestDashboard): order an ingestion and
// watch it, cancel one, read why one failed, fetch a file, log in. Each of them has a tab with cookies of
// its own, and every tab complains of whatever the console says, a violated Content-Security-Policy above
// all. At the end every page is looked at in all its looks: wide and narrow, light and dark, in both
// languages, by the rules of axe-core (see package.json) and for anything wider than the screen. The
// screenshots are left in .local/screenshots.
package browser
