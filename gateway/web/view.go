package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"strings"
	"time"
)

//go:embed templates
var templateFiles embed.FS

// view makes pages for the readers of one locale.
type view struct {
	language  string
	texts     texts
	format    format
	templates *template.Template
}

// newViews returns a view of each locale.
func newViews(a assets) (map[string]*view, error) {
	views := map[string]*view{}
	for _, l := range locales {
		table, err := readTexts(l.texts)
		if err != nil {
			return nil, err
		}
		v := &view{language: l.texts, texts: table, format: newFormat(l.tag, table)}
		v.templates, err = template.New("").Option("missingkey=error").Funcs(v.functions(a)).ParseFS(templateFiles, "templates/*.html")
		if err != nil {
			return nil, err
		}
		views[l.tag] = v
	}
	return views, nil
}

// functions are what templates may call.
func (v *view) functions(a assets) template.FuncMap {
	return template.FuncMap{
		"t":        v.texts.say,
		"has":      v.texts.has,
		"word":     v.texts.word,
		"count":    v.count,
		"lang":     func() string { return v.language },
		"asset":    a.path,
		"number":   v.format.whole,
		"bytes":    v.format.bytes,
		"duration": v.format.duration,
		"latency":  v.format.latency,
		"stamp":    v.format.stamp,
		"minute":   v.format.minute,
		"percent":  v.format.percent,
		"machine":  machine,
		"short":    short,
		"join":     strings.Join,
		"took":     took,
		"pair":     func(first, second any) struct{ First, Second any } { return struct{ First, Second any }{first, second} },
		"millis":   func(ms int64) string { return v.format.duration(time.Duration(ms) * time.Millisecond) },
		"bytes64":  func(n int) string { return v.format.bytes(int64(n)) },
	}
}

// count returns the text of the key that fits the number, which it holds.
func (v *view) count(key string, n any) (string, error) {
	form := "_other"
	if fmt.Sprint(n) == "1" {
		form = "_one"
	}
	return v.texts.say(key+form, v.format.whole(n))
}

// short returns the end of an id, which tells jobs apart: ids that sort by time begin alike.
func short(id string) string {
	const tail = 8
	if len(id) <= tail {
		return id
	}
	return id[len(id)-tail:]
}

// render returns what the named template makes of the data.
func (v *view) render(name string, data any) (template.HTML, error) {
	var out bytes.Buffer
	if err := v.templates.ExecuteTemplate(&out, name, data); err != nil {
		return "", fmt.Errorf("making %s: %w", name, err)
	}
	return template.HTML(out.String()), nil //nolint:gosec // a template made it, which escapes what it is given
}
