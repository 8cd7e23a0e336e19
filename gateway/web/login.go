package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
)

// loginForm is the page that asks for a token.
type loginForm struct {
	Next   string
	Reason string // key of what was wrong with the token; empty: nothing yet
	Detail string // the same in the guard's words
}

// login answers GET /login.
func (v *visit) login() error {
	if !v.Guard.Asks() {
		return v.redirect("/")
	}
	return v.showLogin(http.StatusOK, loginForm{Next: local(v.c.QueryParam("next"))})
}

func (v *visit) showLogin(status int, form loginForm) error {
	return v.show(status, page{title: "login.title", template: "login", data: form})
}

// enter answers the form of the login page. A token that is good replaces the one before; of one that
// is not, nothing is kept.
func (v *visit) enter() error {
	if !v.Guard.Asks() {
		return v.redirect("/")
	}
	if err := v.readForm(); err != nil {
		return err
	}
	form := v.c.Request().PostForm
	next := local(form.Get("next"))
	token := strings.TrimSpace(form.Get("token"))
	if scheme, rest, ok := strings.Cut(token, " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(rest) // copied with its header
	}
	caller, err := v.Guard.Check(v.ctx(), token)
	if err == nil {
		err = caller.Require(auth.Read) // without it there is nothing to see
	}
	if refused, ok := errors.AsType[*auth.Error](err); ok {
		reasons := map[auth.Reason]string{auth.Missing: "missing", auth.Invalid: "invalid", auth.Forbidden: "forbidden", auth.Unavailable: "unavailable"}
		return v.showLogin(api.ProblemOf(err).Status, loginForm{Next: next, Reason: reasons[refused.Reason], Detail: refused.Message})
	}
	if err != nil {
		return err
	}
	v.c.SetCookie(v.Guard.Cookie(token))
	return v.redirect(next)
}

// leave answers the form that forgets the token. Who has none may send it too.
func (v *visit) leave() error {
	v.c.SetCookie(v.Guard.ClearCookie())
	v.say("left")
	return v.redirect("/login")
}

// local returns the path if it leads to a page of ours, and else the overview's: a login must not be
// the way to another site.
func local(next string) string {
	const home = "/"
	u, err := url.Parse(next)
	switch {
	case err != nil, u.Scheme != "", u.Host != "", u.User != nil, u.Opaque != "":
		return home
	case !strings.HasPrefix(next, "/"), strings.HasPrefix(next, "//"), strings.ContainsRune(next, '\\'):
		return home
	case strings.ContainsFunc(next, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return home
	case u.Path == "/login", u.Path == "/logout", strings.HasPrefix(u.Path, "//"):
		return home
	default:
		return u.RequestURI()
	}
}
