package seeds

import (
	"slices"
	"testing"
	"time"
)

// The data is what the services' developers were promised: each kind of everything, and consistent.
func TestData(t *testing.T) {
	if len(roles) != 3 || len(people) != 4 || len(banks) != 5 || len(categories) != 11 || len(insightCategories) != 6 {
		t.Errorf("%d roles, %d users, %d banks, %d and %d categories; want 3, 4, 5, 11 and 6",
			len(roles), len(people), len(banks), len(categories), len(insightCategories))
	}
	seen := map[string]bool{}
	var days []int
	for _, s := range statements {
		seen[s.status] = true
		seen[s.bank] = true
		if !slices.ContainsFunc(people, func(p person) bool { return p.email == s.user }) || !slices.Contains(banks, s.bank) {
			t.Errorf("statement %s of %s at %s: want a listed user and bank", s.name, s.user, s.bank)
		}
		if s.status == completed && s.size != len(s.transactions) {
			t.Errorf("statement %s of %s is completed with %d of %d transactions", s.name, s.user, len(s.transactions), s.size)
		}
		if ended := s.status == completed || s.status == failed; ended != (s.end != "") {
			t.Errorf("statement %s of %s is %s and ends at %q: want an end for what has ended alone", s.name, s.user, s.status, s.end)
		}
		for _, x := range s.transactions {
			seen[x.category] = true
			seen[x.kind()] = true
			days = append(days, x.days)
			if !slices.Contains(categories, x.category) {
				t.Errorf("transaction %s has the category %s, which is not listed", x.name, x.category)
			}
			if x.days <= s.days {
				t.Errorf("transaction %s was made %d days ago, and its statement uploaded %d days ago", x.name, x.days, s.days)
			}
		}
	}
	for _, i := range insights {
		seen[i.category] = true
		if i.relevance < 1 || i.relevance > 10 || !slices.Contains(insightCategories, i.category) {
			t.Errorf("insight %q has relevance %d and category %s; want 1 to 10 and a listed category", i.title, i.relevance, i.category)
		}
	}
	for _, kind := range slices.Concat(banks, categories, insightCategories, []string{pending, processing, completed, failed, "income", "expense"}) {
		if !seen[kind] {
			t.Errorf("nothing is of %s: want one of each kind", kind)
		}
	}
	if slices.Max(days) < 90 || slices.Min(days) < 0 {
		t.Errorf("the transactions were made %d to %d days before the reference, want some months", slices.Min(days), slices.Max(days))
	}
	if got := ago(0, "09:40"); got != "2026-10-31 09:40:00" {
		t.Errorf("on the day of the reference at 09:40 is %s", got)
	}
	if _, err := time.Parse(time.DateTime, ago(31, "23:59")); err != nil {
		t.Errorf("a date is not as the database writes it: %v", err)
	}
}

// Ids never change: another id would be another row in every database that is filled already.
func TestIDs(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{id("User", juan), "18fb1ca5-7197-521c-97b2-9ab3c294cea8"},
		{id("Bank", bancolombia), "82b8ce47-4bf0-5b8e-a266-e760bbc9faf4"},
		{id("TransactionBatch", juan, bancolombia, "agosto"), "1dfdf132-9919-5847-b23c-78035d65d2c6"},
	} {
		if c.got != c.want {
			t.Errorf("got id %s, want %s as ever", c.got, c.want)
		}
	}
}
