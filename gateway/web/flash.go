package web

import (
	"net/http"
	"slices"
)

// What has just been done is told to the page that follows by a cookie.
const (
	flashCookie = "ingesta_flash"
	flashKept   = 30 // seconds: more than a redirect takes
)

// flashes are what can be said: a cookie is anyone's to write.
var flashes = []string{"started", "started_all", "joined", "cancelled", "cancelling", "retried", "replayed", "replayed_before", "left"}

// say has the next page say what has been done.
func (v *visit) say(key string) {
	v.c.SetCookie(&http.Cookie{
		Name: flashCookie, Value: key, Path: "/", MaxAge: flashKept, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// takeFlash returns, once, the key of the text that says what the request before has done; empty when
// it was none that does anything.
func (v *visit) takeFlash() string {
	cookie, err := v.c.Cookie(flashCookie)
	if err != nil {
		return ""
	}
	v.c.SetCookie(&http.Cookie{Name: flashCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	if slices.Contains(flashes, cookie.Value) {
		return "flash." + cookie.Value
	}
	return ""
}
