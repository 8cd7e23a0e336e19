package main

import (
	"slices"
	"testing"
)

func TestEveryCaseNamesSubjects(t *testing.T) {
	all := subjects(newDatasets(1))
	known := func(name string) bool {
		return name == mongoexportNull || slices.ContainsFunc(all, func(s subject) bool { return s.name == name })
	}
	seen := map[string]bool{}
	for _, c := range cases() {
		if !known(c.Ours) || c.Ref != "" && !known(c.Ref) {
			t.Errorf("%s names %q and %q; one of them is not measured", c.Name, c.Ours, c.Ref)
		}
		if seen[c.Name] {
			t.Errorf("%s stands there twice", c.Name)
		}
		seen[c.Name] = true
	}
}

func TestChooseTakesWhatTheCasesNeed(t *testing.T) {
	chosen, needed, err := choose("^mysql/(mariadb|memory)$", subjects(newDatasets(1)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range needed {
		names = append(names, s.name)
	}
	if want := []string{exportUsers, "mariadb > /dev/null"}; len(chosen) != 2 || !slices.Equal(names, want) {
		t.Errorf("%d cases that need %q; want 2 that need %q", len(chosen), names, want)
	}
	if _, _, err := choose("^oracle", nil); err == nil {
		t.Error("a pattern that no case matches is taken")
	}
}
