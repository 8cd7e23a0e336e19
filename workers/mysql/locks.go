package mysql

import "regexp"

var (
	quoted  = regexp.MustCompile("'[^']*'|\"[^\"]*\"|`[^`]*`")
	locking = regexp.MustCompile(`(?i)\b(for\s+(update|share)|lock\s+in\s+share\s+mode)\b`)
)

// locks reports whether SQL of the catalog, which has neither comments nor backslashes, asks for
// locks on the rows that it reads. A read-only transaction gets those that rows are shared by: no
// writer could change them until the export ends.
func locks(text string) bool { return locking.MatchString(quoted.ReplaceAllString(text, "''")) }
