package web

import (
	"net/http"
	"strings"
)

// flashCookie carries what has just been done to the page that follows.
const (
	flashCookie = "ingesta_flash"
	flashKept   = 30 // seconds: more than a redirect takes
)

// flash says what has just been done. Text and subject come from lists of ours: a cookie is anyone's
// to write.
type flash struct {
	Key string // of its text
}

// flashes are what can be said.
var flashes = []string{"started", "started_all", "joined", "cancelled", "cancelling", "retried", "replayed", "replayed_before", "left"}

// say has the next page say what has been done.
func (v *visit) say(key string) {
	v.c.SetCookie(&http.Cookie{
		Name: flashCookie, Value: key, Path: "/", MaxAge: flashKept, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// takeFlash returns what the request before has done, once.
func (v *visit) takeFlash() *flash {
	cookie, err := v.c.Cookie(flashCookie)
	if err != nil {
		return nil
	}
	v.c.SetCookie(&http.Cookie{Name: flashCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	for _, known := range flashes {
		if strings.EqualFold(cookie.Value, known) {
			return &flash{Key: "flash." + known}
		}
	}
	return nil
}
