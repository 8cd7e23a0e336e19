package web

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/jobs"
)

// visit is one request of somebody in front of a browser.
type visit struct {
	*Web
	c      echo.Context
	view   *view
	caller auth.Caller
}

// receive finds out who visits and how they read, and says what their browser may do with the answer.
func (w *Web) receive(c echo.Context) *visit {
	v := &visit{Web: w, c: c, view: w.views[w.chooser.choose(c.Request())], caller: api.Caller(c)}
	header := c.Response().Header()
	header.Set(echo.HeaderContentSecurityPolicy, policy)
	header.Set(echo.HeaderReferrerPolicy, "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Add(echo.HeaderVary, "Accept-Language")
	header.Add(echo.HeaderVary, "Cookie")
	if chosen, ok := textsOf(c.QueryParam(languageParameter)); ok {
		c.SetCookie(&http.Cookie{Name: languageCookie, Value: chosen, Path: "/", MaxAge: languageKept, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	return v
}

// policy allows pages their own style, script, images and stream, and forms that lead back here.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func (v *visit) ctx() context.Context { return v.c.Request().Context() }

// looks reports whether the visitor asks for a page, or what it would be, and changes nothing.
func (v *visit) looks() bool { return v.c.Request().Method != http.MethodPost }

// mayRun reports whether the caller may make jobs and end them.
func (v *visit) mayRun() bool { return v.caller.Has(auth.Run) }

// page is what a visitor gets to see.
type page struct {
	title    string // key of its text
	subject  string // what the title is about, or empty
	nav      string // the entry of the navigation that it belongs to
	template string
	data     any
	live     url.Values // what the script asks for to keep it fresh; nil: nothing of it changes
}

// frame is what surrounds every page.
type frame struct {
	Title     string
	Nav       []navEntry
	Main      template.HTML
	Live      string
	Subject   string // who is logged in; empty without a login
	Flash     string // key of the text that says what has just been done; empty: nothing
	Languages []languageLink
	Version   string
}

type navEntry struct {
	Key     string
	Path    string
	Current bool
}

type languageLink struct {
	Language string
	URL      string
	Current  bool
}

// show answers with the page.
func (v *visit) show(status int, p page) error {
	main, err := v.view.render(p.template, p.data)
	if err != nil {
		return err
	}
	title, err := v.view.texts.say(p.title)
	if err != nil {
		return err
	}
	if p.subject != "" {
		title = p.subject + " · " + title
	}
	f := frame{Title: title, Main: main, Nav: v.navigation(p.nav), Flash: v.takeFlash(), Languages: v.languages(), Version: v.Version}
	if v.Guard.Asks() {
		f.Subject = v.caller.Subject
	}
	if p.live != nil {
		f.Live = "/live?" + p.live.Encode()
	}
	html, err := v.view.render("layout", f)
	if err != nil {
		return err
	}
	return v.c.HTML(status, "<!doctype html>\n"+string(html))
}

func (v *visit) navigation(current string) []navEntry {
	if v.caller.Subject == "" {
		return nil // there is nowhere to go for a stranger
	}
	entries := []navEntry{
		{Key: "overview", Path: "/"}, {Key: "jobs", Path: "/jobs"}, {Key: "datasets", Path: "/datasets"},
		{Key: "letters", Path: "/dead-letters"}, {Key: "system", Path: "/system"},
	}
	for i := range entries {
		entries[i].Current = entries[i].Key == current
	}
	return entries
}

// languages are the links that show the same page in another language. Of a form's answer, which has
// no address of its own, they lead to the overview.
func (v *visit) languages() []languageLink {
	here := url.URL{Path: "/"}
	query := url.Values{}
	if v.looks() {
		here.Path, query = v.c.Request().URL.Path, v.c.QueryParams()
	}
	var links []languageLink
	for _, l := range locales {
		if len(links) > 0 && links[len(links)-1].Language == l.texts {
			continue
		}
		query.Set(languageParameter, l.texts)
		here.RawQuery = query.Encode()
		links = append(links, languageLink{Language: l.texts, URL: here.String(), Current: l.texts == v.view.language})
	}
	return links
}

// redirect sends the visitor on to a path of ours, to look at it.
func (v *visit) redirect(path string) error { return v.c.Redirect(http.StatusSeeOther, path) }

// request is a request for jobs in the caller's name.
func (v *visit) request(orders ...jobs.Order) jobs.Request {
	return jobs.Request{
		Orders: orders, RequestedBy: v.caller.Subject, RequestID: api.RequestID(v.c), Traceparent: api.Traceparent(v.c),
	}
}

// jobPage returns the path of a job's page.
func jobPage(id string) string { return fmt.Sprintf("/jobs/%s", id) }
