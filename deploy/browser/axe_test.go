package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// axe is the text of axe-core, which `make browser-tools` fetches.
func axe(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("%v: run `make browser-tools`", err)
	}
	return string(text)
}

// barrier is something that keeps people from using a page.
type barrier struct {
	ID, Impact, Help string
	Nodes            []struct {
		Target         []any
		FailureSummary string
	}
}

func (v barrier) String() string {
	var at []string
	for _, node := range v.Nodes {
		at = append(at, fmt.Sprintf("%v: %s", node.Target, strings.ReplaceAll(node.FailureSummary, "\n", " ")))
	}
	return fmt.Sprintf("%s (%s): %s\n\t%s", v.ID, v.Impact, v.Help, strings.Join(at, "\n\t"))
}

// barriers holds the page against the rules of axe-core: those of WCAG 2.2 AA and what is good
// practice. Those that are serious or critical fail; others are worth a line.
func (b *tab) barriers(rules string) (serious, others []barrier) {
	b.t.Helper()
	const run = `axe.run(document, { preload: false, resultTypes: ['violations'] }).then((r) => JSON.stringify(r.violations))`
	if !find[bool](b, "typeof axe === 'object'") {
		find[bool](b, rules+"; true")
	}
	report := find[string](b, run)
	var all []barrier
	if err := json.Unmarshal([]byte(report), &all); err != nil {
		b.t.Fatalf("the report of axe-core: %v in %s", err, report)
	}
	for _, v := range all {
		if v.Impact == "serious" || v.Impact == "critical" {
			serious = append(serious, v)
		} else {
			others = append(others, v)
		}
	}
	return serious, others
}
