package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"golang.org/x/text/language"

	"github.com/pharmavida/ingesta/gateway/api"
)

// problems answers for the kinds of problems: a page for people, JSON for programs.
type problems struct{ pages *template.Template }

func readProblems() (problems, error) {
	pages, err := template.ParseFS(files, "problem.html")
	if err != nil {
		return problems{}, fmt.Errorf("reading the pages of problems: %w", err)
	}
	return problems{pages}, nil
}

// page is what the templates show.
type page struct {
	Language api.Language
	Title    string
	Words    words
	Kinds    []api.Kind // of the index
	Kind     api.Kind   // of one problem
}

// words are those that every page has.
type words struct{ Title, All, Code, Status, Means, Why, Do string }

var wordsIn = map[api.Language]words{
	api.English: {"Problems", "All problems", "Code", "Status", "What it means", "Why it happens", "What to do"},
	api.Spanish: {"Problemas", "Todos los problemas", "Código", "Estado", "Qué significa", "Por qué ocurre", "Qué hacer"},
}

// index answers GET /problems.
func (p problems) index(c echo.Context) error {
	spoken := languageOf(c.Request().Header)
	kinds := api.Kinds(spoken)
	return p.answer(c, "index", page{Language: spoken, Title: wordsIn[spoken].Title, Kinds: kinds}, struct {
		Problems []api.Kind `json:"problems"`
	}{kinds})
}

// one answers GET /problems/{code}.
func (p problems) one(c echo.Context) error {
	spoken := languageOf(c.Request().Header)
	for _, kind := range api.Kinds(spoken) {
		if string(kind.Code) == c.Param("code") {
			return p.answer(c, "problem", page{Language: spoken, Title: kind.Title, Kind: kind}, kind)
		}
	}
	return echo.ErrNotFound
}

// answer writes the page or, for those who ask for it by name and for no page, the JSON.
func (p problems) answer(c echo.Context, name string, shown page, told any) error {
	header := c.Response().Header()
	header.Set(echo.HeaderCacheControl, always)
	header.Add(echo.HeaderVary, "Accept, Accept-Language")
	header.Set("Content-Language", string(shown.Language))
	if wantsJSON(c.Request().Header) {
		body, err := json.Marshal(told)
		if err != nil {
			return fmt.Errorf("writing of problems: %w", err)
		}
		return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, append(body, '\n'))
	}
	shown.Words = wordsIn[shown.Language]
	var text bytes.Buffer
	if err := p.pages.ExecuteTemplate(&text, name, shown); err != nil {
		return fmt.Errorf("writing the page of a problem: %w", err)
	}
	return c.HTMLBlob(http.StatusOK, text.Bytes())
}

// wantsJSON reports whether the client names JSON among what it accepts, and no HTML.
func wantsJSON(header http.Header) bool {
	accept := strings.ToLower(strings.Join(header.Values(echo.HeaderAccept), ","))
	return strings.Contains(accept, "json") && !strings.Contains(accept, "html")
}

// The languages that there are, and what finds the best of them. The first is for those who like none.
var (
	languages = []api.Language{api.English, api.Spanish}
	matcher   = language.NewMatcher([]language.Tag{language.English, language.Spanish})
)

// languageOf returns the language that the client likes best of those there are.
func languageOf(header http.Header) api.Language {
	wishes, _, err := language.ParseAcceptLanguage(strings.Join(header.Values("Accept-Language"), ","))
	if err != nil {
		wishes = nil
	}
	_, best, _ := matcher.Match(wishes...)
	return languages[best]
}
