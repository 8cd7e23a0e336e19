package web

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/pharmavida/ingesta/gateway/jobs"
)

// letterList is the page of the dead letters.
type letterList struct {
	Letters []letter
	Total   int
	MayRun  bool
}

// letter is one dead letter, with its command as people read JSON.
type letter struct {
	jobs.DeadLetter
	Text string
}

const lettersPerPage = 50

// letters answers GET /dead-letters.
func (v *visit) letters() error {
	list, err := v.Letters.DeadLetters(v.ctx(), lettersPerPage)
	if err != nil {
		return err
	}
	data := letterList{Total: list.Total, MayRun: v.mayRun()}
	for _, l := range list.Letters {
		shown := letter{DeadLetter: l}
		if l.Command != nil {
			if shown.Text, err = indented(l.Command); err != nil {
				return err
			}
		}
		data.Letters = append(data.Letters, shown)
	}
	return v.show(http.StatusOK, page{title: "letters.title", nav: "letters", template: "letters", data: data})
}

func indented(value any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // the template does that
	encoder.SetIndent("", "  ")
	err := encoder.Encode(value)
	return text.String(), err
}
