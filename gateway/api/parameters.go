package api

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// The limits of a page.
const (
	defaultPage = 50
	largestPage = 200
)

// parameters are those of a request's query string. What is wrong with those that are read is
// collected, and check tells all of it at once.
type parameters struct {
	values url.Values
	faults []ProblemField
}

// parametersOf returns the parameters of the request, or a *Problem: one that was lost would be taken
// for one that was not given.
func parametersOf(c echo.Context) (*parameters, error) {
	values, err := url.ParseQuery(c.QueryString())
	if err != nil {
		return nil, fault(invalidParameter, "the query string is not well-formed: a percent sign needs two hexadecimal digits, a semicolon separates nothing")
	}
	return &parameters{values: values}, nil
}

// check returns nil, or the *Problem of all that was wrong so far.
func (p *parameters) check() error {
	if len(p.faults) > 0 {
		return faulty(invalidParameter, p.faults...)
	}
	return nil
}

func (p *parameters) blame(name, format string, args ...any) {
	p.faults = append(p.faults, ProblemField{Parameter: name, Detail: fmt.Sprintf(format, args...)})
}

// text returns a parameter, and whether it is given, which it may be once.
func (p *parameters) text(name string) (value string, given bool) {
	switch values := p.values[name]; len(values) {
	case 0:
		return "", false
	case 1:
		return values[0], true
	default:
		p.blame(name, "is given twice")
		return "", false
	}
}

// limit returns how much a page may hold.
func (p *parameters) limit(most int) int {
	value, given := p.text("limit")
	if !given {
		return defaultPage
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		p.blame("limit", "must be a number from 1 to %d", most)
	}
	return n
}

// status returns the status that jobs are to have, empty for any.
func (p *parameters) status() ingest.Status {
	value, given := p.text("status")
	if !given {
		return ""
	}
	status, err := ingest.ParseStatus(value)
	if err != nil {
		p.blame("status", "must be one of %s", listed(ingest.Statuses()))
	}
	return status
}

// databaseOf returns the database that a list or stream is to be about, empty for all.
func (a *API) databaseOf(p *parameters) ingest.Database {
	value, given := p.text("database")
	if !given {
		return ""
	}
	name := ingest.Database(value)
	if _, known := a.catalog.Database(name); !known {
		p.blame("database", "must be one of %s", listed(a.knownDatabases()))
	}
	return name
}

// listed names the values that could have been chosen.
func listed[T ~string](values []T) string {
	names := make([]string, len(values))
	for i, value := range values {
		names[i] = string(value)
	}
	return strings.Join(names, ", ")
}
