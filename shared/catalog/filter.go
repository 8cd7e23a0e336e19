package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// scripted are the operators of MongoDB that run JavaScript on the server.
var scripted = []string{"$where", "$function", "$accumulator"}

// checkFilter refuses what is not one JSON object, and what would run code on the server.
func checkFilter(text string) error {
	const want = `want MongoDB's filter in Extended JSON, such as {"estado": "VALIDADA"}`
	if !strings.HasPrefix(text, "{") {
		return errors.New(want)
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", want, err)
		}
		if name, ok := token.(string); ok && slices.Contains(scripted, name) {
			return fmt.Errorf("%s runs code on the server: write the condition with operators that compare", name)
		}
	}
	if !json.Valid([]byte(text)) { // a second value, or an object that is not closed
		return errors.New(want)
	}
	return nil
}
