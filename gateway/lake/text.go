package lake

import (
	"fmt"
	"strings"
	"unicode"
)

// quoted returns a name as an identifier of standard SQL.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal returns a text as a string of standard SQL.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// printable returns a name for where no control character may stand: a comment would end before its line does.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, name)
}

// distinct returns the names. One that is taken, or that the engine would take for another before it, gets
// a number: case does not count.
func distinct(names []string, taken ...string) []string {
	seen, all := map[string]bool{}, map[string]bool{}
	for _, name := range taken {
		seen[fold(name)] = true
	}
	for _, name := range names {
		all[fold(name)] = true
	}
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = name
		for n := 2; seen[fold(out[i])] || out[i] != name && all[fold(out[i])]; n++ {
			out[i] = fmt.Sprintf("%s_%d", name, n)
		}
		seen[fold(out[i])] = true
	}
	return out
}

// fold makes names equal that differ by case only.
func fold(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// comment writes lines of a comment.
func comment(b *strings.Builder, lines ...string) {
	for _, line := range lines {
		b.WriteString(strings.TrimRight("-- "+line, " ") + "\n")
	}
}

// notes writes what a dialect does to single columns, if anything.
func notes(b *strings.Builder, all []string) {
	if len(all) == 0 {
		return
	}
	comment(b, "", "Of the columns:")
	for _, note := range all {
		comment(b, "  "+note)
	}
}
