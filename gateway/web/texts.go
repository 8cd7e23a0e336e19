package web

import (
	"embed"
	"fmt"

	"go.yaml.in/yaml/v3"
)

//go:embed texts
var textFiles embed.FS

// texts is everything that pages say in one language, by "section.key". A text that counts has two
// forms: "key_one" and "key_other".
type texts map[string]string

func readTexts(language string) (texts, error) {
	content, err := textFiles.ReadFile("texts/" + language + ".yaml")
	if err != nil {
		return nil, err
	}
	var sections map[string]map[string]string
	if err := yaml.Unmarshal(content, &sections); err != nil {
		return nil, fmt.Errorf("reading the texts of %s: %w", language, err)
	}
	table := texts{}
	for section, entries := range sections {
		for key, text := range entries {
			table[section+"."+key] = text
		}
	}
	return table, nil
}

// say returns the text of the key with its arguments in place.
func (t texts) say(key string, args ...any) (string, error) {
	text, ok := t[key]
	if !ok {
		return "", fmt.Errorf("there is no text %q", key)
	}
	if len(args) == 0 {
		return text, nil
	}
	return fmt.Sprintf(text, args...), nil
}

// word returns what the section calls the name, and without a text the name itself: a worker of another
// version may have written what these texts do not know, and its jobs are to be seen all the same.
func (t texts) word(section string, name any) string {
	if text, ok := t[fmt.Sprintf("%s.%v", section, name)]; ok {
		return text
	}
	return fmt.Sprint(name)
}

// has reports whether there is a text of the key.
func (t texts) has(key string) bool {
	_, ok := t[key]
	return ok
}
