package api

import "testing"

// Whoever meets a problem finds a page about it, in each language.
func TestEveryProblemIsExplained(t *testing.T) {
	for _, language := range []Language{English, Spanish} {
		for _, kind := range Kinds(language) {
			if kind.Title == "" || kind.Means == "" || kind.Why == "" || kind.Do == "" || kind.Status == 0 {
				t.Errorf("problem %s has an empty text in %s: %+v", kind.Code, language, kind)
			}
			if told := ProblemOf(fault(kind.Code, "")); told.Type != kind.Type {
				t.Errorf("the type of problem %s is %s, its page is %s", kind.Code, told.Type, kind.Type)
			}
		}
	}
	if got, want := len(Kinds(English)), len(classes); got != want {
		t.Errorf("there are %d kinds of problems, want %d", got, want)
	}
}
