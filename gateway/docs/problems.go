package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

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
	language := languageOf(c.Request().Header)
	kinds := api.Kinds(language)
	return p.answer(c, "index", page{Language: language, Title: wordsIn[language].Title, Kinds: kinds}, struct {
		Problems []api.Kind `json:"problems"`
	}{kinds})
}

// one answers GET /problems/{code}.
func (p problems) one(c echo.Context) error {
	language := languageOf(c.Request().Header)
	for _, kind := range api.Kinds(language) {
		if string(kind.Code) == c.Param("code") {
			return p.answer(c, "problem", page{Language: language, Title: kind.Title, Kind: kind}, kind)
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

// languageOf returns the language that the client likes best of those there are.
func languageOf(header http.Header) api.Language {
	best, weight := api.English, 0.0
	for _, wish := range strings.Split(strings.Join(header.Values("Accept-Language"), ","), ",") {
		tag, parameter, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(wish, " ", "")), ";")
		primary, _, _ := strings.Cut(tag, "-")
		language := api.Language(primary)
		if _, spoken := wordsIn[language]; !spoken {
			continue
		}
		q := 1.0
		if given, ok := strings.CutPrefix(parameter, "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(given, 64); err != nil {
				continue
			}
		}
		if q > weight {
			best, weight = language, q
		}
	}
	return best
}
