package catalog

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// checkSQL refuses text whose end a server could see elsewhere than we do, so that it cannot break
// out of the parentheses that sources put around it. It is stricter than any server, because the
// same text may go to servers that read comments, backslashes and quotes differently; whatever it
// refuses can be written in another way. The read-only session is the second fence.
func checkSQL(text string) error {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\'' || c == '"' || c == '`':
			end := strings.IndexByte(text[i+1:], c)
			if end < 0 {
				return fmt.Errorf("a %c is not closed", c)
			}
			quoted := text[i+1 : i+1+end]
			if strings.Contains(quoted, `\`) {
				return errBackslash
			}
			if c == '`' && unquoted.MatchString(quoted) {
				return errors.New("a name in ` holds no quotes, parentheses, comments, semicolons or $: ` quotes on some servers and not on others")
			}
			i += 1 + end // a doubled quote opens again at once
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth < 0 {
				return errors.New("a ) closes more than was opened")
			}
		case c == ';':
			return errors.New("want one statement without a semicolon")
		case c == '\\':
			return errBackslash
		case c == '#':
			return errors.New("want no #, which begins a comment on some servers: PostgreSQL's operators of that sign have functions that do the same")
		case strings.HasPrefix(text[i:], "--"), strings.HasPrefix(text[i:], "/*"), strings.HasPrefix(text[i:], "*/"):
			return errors.New("want no SQL comments: put them into the file's own, behind # at the end of a line of YAML")
		case c == '$' && !inName(text[:i]):
			return errors.New("want no $ at the beginning of a word: quote strings with '")
		case c < ' ' && c != '\n' && c != '\t' && c != '\r':
			return fmt.Errorf("the control character %#02x does not belong here", c)
		}
	}
	if depth > 0 {
		return errors.New("a ( is not closed")
	}
	return nil
}

var errBackslash = errors.New("want no backslash, which quotes on some servers and not on others: write CHR(92) or CHAR(92)")

// unquoted matches what means something to a server that does not take ` for a quote.
var unquoted = regexp.MustCompile("['\"();#$]|--|/\\*|\\*/")

// inName reports whether text ends in an unquoted name, which goes on with a $. Behind a number a $
// may open a quote.
func inName(text string) bool {
	start := len(text)
	for start > 0 && isWord(text[start-1]) {
		start--
	}
	return start < len(text) && (text[start] < '0' || text[start] > '9')
}

// isWord reports whether c may be part of an unquoted name.
func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
