package web

import (
	"net/http"

	"golang.org/x/text/language"
)

// locales are the ways in which pages are written. The first is for those who want none of them.
var locales = []locale{
	{tag: "en", texts: "en"},
	{tag: "es", texts: "es"},
	{tag: "es-419", texts: "es"}, // as in Peru and Mexico, where numbers have a decimal point
}

type locale struct {
	tag   string
	texts string // the table of texts, and the language of the page
}

// regional leads the regions of America that write a decimal comma, as Spain does, to its locale.
// Without it they would count as the others there.
var regional = []string{"es-AR", "es-BO", "es-CL", "es-CO", "es-EC", "es-PY", "es-UY", "es-VE"}

// chooser finds the locale that a reader likes best.
type chooser struct {
	matcher language.Matcher
	tags    []string // of the locales, by the matcher's index
}

func newChooser() chooser {
	var c chooser
	var supported []language.Tag
	add := func(tag, leadsTo string) {
		supported, c.tags = append(supported, language.MustParse(tag)), append(c.tags, leadsTo)
	}
	for _, l := range locales {
		add(l.tag, l.tag)
	}
	for _, tag := range regional {
		add(tag, "es")
	}
	c.matcher = language.NewMatcher(supported)
	return c
}

// The choice of a language by hand, which wins over what the browser says.
const (
	languageParameter = "lang"
	languageCookie    = "ingesta_lang"
	languageKept      = 365 * 24 * 60 * 60 // seconds
)

// choose returns the tag of the locale for the request: that of the parameter, else of the cookie,
// else of Accept-Language. A language chosen by hand keeps the region that the browser tells.
func (c chooser) choose(r *http.Request) string {
	wishes := []string{r.URL.Query().Get(languageParameter)}
	if cookie, err := r.Cookie(languageCookie); err == nil {
		wishes = append(wishes, cookie.Value)
	}
	accepted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		accepted = nil
	}
	for _, wish := range wishes {
		chosen, ok := textsOf(wish)
		if !ok {
			continue
		}
		for _, tag := range accepted {
			if base, _ := tag.Base(); base.String() == chosen {
				return c.match(tag)
			}
		}
		return chosen
	}
	return c.match(accepted...)
}

func (c chooser) match(tags ...language.Tag) string {
	_, index, _ := c.matcher.Match(tags...)
	return c.tags[index]
}

// textsOf returns the language, if there are texts in it.
func textsOf(wish string) (string, bool) {
	for _, l := range locales {
		if l.texts == wish {
			return wish, true
		}
	}
	return "", false
}
