package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/gateway/auth"
)

func TestLanguageIsTheReaders(t *testing.T) {
	c := newChooser()
	for _, test := range []struct{ accept, parameter, cookie, want string }{
		{"", "", "", "en"},
		{"es", "", "", "es"},
		{"es-PE,es;q=0.9,en;q=0.8", "", "", "es-419"},
		{"es-CO", "", "", "es"},
		{"es-ES", "", "", "es"},
		{"es-MX", "", "", "es-419"},
		{"en-GB,en;q=0.9,es;q=0.8", "", "", "en"},
		{"de,fr;q=0.5", "", "", "en"},
		{"de,es;q=0.5", "", "", "es"},
		{";;;nonsense", "", "", "en"},
		{"en", "es", "", "es"},
		{"en,es-PE;q=0.1", "es", "", "es-419"}, // the language by hand, its numbers as at home
		{"es-PE", "en", "", "en"},
		{"en", "", "es", "es"},
		{"en", "en", "es", "en"},
		{"es", "xx", "yy", "es"},
	} {
		r, err := http.NewRequest(http.MethodGet, "/?lang="+test.parameter, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Language", test.accept)
		if test.cookie != "" {
			r.AddCookie(&http.Cookie{Name: languageCookie, Value: test.cookie})
		}
		if got := c.choose(r); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestLanguageSwitch(t *testing.T) {
	s := newSite(t, everything(), auth.Config{})
	w := s.get("/jobs?status=error")
	if !strings.Contains(w.Body.String(), `href="/jobs?lang=es&amp;status=error" lang="es"`) {
		t.Errorf("the page offers no Spanish: %s", w.Body)
	}
	w = s.get("/jobs?lang=es&status=error")
	checkPage(t, w, "es")
	s.keep(w)
	checkPage(t, s.get("/"), "es")
	w = s.get("/?lang=nonsense")
	if len(w.Result().Cookies()) > 0 {
		t.Errorf("an unknown language is remembered: %v", w.Result().Cookies())
	}
}
