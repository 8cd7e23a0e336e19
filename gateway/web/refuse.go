package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
)

// refusal is the page of a request that was not met.
type refusal struct {
	*api.Problem
	Title string
	Next  string // what to do about it
	Scope auth.Scope
	Back  string // where to go on
	Login bool   // another token would help
}

// refuse answers a request that failed. Who is not known is sent to the login, and comes back after it.
func (v *visit) refuse(p *api.Problem, need auth.Scope) error {
	if p.Status == http.StatusUnauthorized {
		cleared := v.Guard.ClearCookie()
		if _, err := v.c.Cookie(cleared.Name); err == nil { // a link on another site's page brings none, and must not end the login
			v.c.SetCookie(cleared)
		}
		return v.redirect("/login?" + url.Values{"next": {local(v.pageOf())}}.Encode())
	}
	r := refusal{Problem: p, Back: local(v.pageOf())}
	if v.looks() {
		r.Back = "/" // here it would fail again
	}
	if p.Status == http.StatusForbidden {
		r.Scope, r.Login = need, v.Guard.Asks()
	}
	r.Title, r.Next = v.explain(p)
	return v.show(p.Status, page{title: "problem.title", template: "problem", data: r})
}

// explain says what has happened and what to do about it, in words for somebody in front of a browser
// or else in those for all callers.
func (v *visit) explain(p *api.Problem) (title, next string) {
	key := "problem." + string(p.Code)
	if v.view.texts.has(key) {
		return v.view.texts[key], v.view.texts[key+"_next"]
	}
	for _, kind := range api.Kinds(api.Language(v.view.language)) {
		if kind.Code == p.Code {
			return kind.Title, kind.Do
		}
	}
	return p.Title, ""
}

// pageOf returns the address of the page that the request is for, or that its form stands on.
func (v *visit) pageOf() string {
	u := v.c.Request().URL
	if v.looks() {
		return u.RequestURI()
	}
	switch parts := strings.Split(strings.Trim(u.Path, "/"), "/"); parts[0] {
	case "jobs":
		return jobPage(parts[min(1, len(parts)-1)])
	case "dead-letters":
		return "/dead-letters"
	default:
		return "/"
	}
}
