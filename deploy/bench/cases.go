package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
)

// benchCase holds a quantity of one subject against that of another, or against a number alone.
type benchCase struct {
	Name     string
	About    string
	Quantity quantity
	Ours     string  // subject
	Ref      string  // subject; empty: the bar is for the quantity itself
	Bar      float64 // for the ratio ours/reference, or the quantity; 0: none, told for information
	AtLeast  bool    // the figure must not be below the bar; else not above
}

// figure returns what the bar is for: the median over the rounds.
func (c benchCase) figure(ours, ref []measurement) float64 {
	return median(c.figures(ours, ref))
}

// figures returns the figure of each round.
func (c benchCase) figures(ours, ref []measurement) []float64 {
	values := c.Quantity.each(ours)
	if c.Ref == "" {
		return values
	}
	for i, value := range c.Quantity.each(ref) {
		values[i] /= value
	}
	return values
}

// met reports whether the figure reaches the bar.
func (c benchCase) met(figure float64) bool {
	if c.AtLeast {
		return figure >= c.Bar
	}
	return figure <= c.Bar
}

// Subjects of the system that cases name.
const (
	exportProductos = "export productos"
	exportUsers     = "export users"
	exportRecetas   = "export recetas"
	exportGrowth    = "export growth" // and the factor
	pythonProductos = "python productos"
	pythonUsers     = "python users"
	mongoexportNull = "mongoexport > /dev/null"
	tinyJob         = "tiny jobs"
	gatewayPOST     = "gateway POST"
	bareAcceptance  = "bare loop"
)

// maxRSS is how much memory a worker may take, in MiB, whatever it exports.
const maxRSS = 96

// cases are all that the benchmark holds against a bar.
func cases() []benchCase {
	return []benchCase{
		{"postgresql/psql", "PostgreSQL to S3, against psql's \\copy to /dev/null", seconds, exportProductos, "psql > /dev/null", 1.10, false},
		{"postgresql/pipe", "PostgreSQL to S3, against psql's \\copy piped into aws s3 cp", seconds, exportProductos, "psql | aws s3 cp", 0.85, false},
		{"postgresql/python", "PostgreSQL to S3, against the original's method", seconds, exportProductos, pythonProductos, 1.0 / 12, false},
		{"postgresql/python-memory", "memory of that", memory, exportProductos, pythonProductos, 0.1, false},
		{"postgresql/memory", "memory of the worker", memory, exportProductos, "", maxRSS, false},
		{"mysql/mariadb", "MySQL to S3, against mariadb --quick -B to /dev/null", seconds, exportUsers, "mariadb > /dev/null", 1.20, false},
		{"mysql/python", "MySQL to S3, against the original's method", seconds, exportUsers, pythonUsers, 0.1, false},
		{"mysql/python-memory", "memory of that", memory, exportUsers, pythonUsers, 0.1, false},
		{"mysql/memory", "memory of the worker", memory, exportUsers, "", maxRSS, false},
		{"mongodb/driver", "MongoDB to S3, against the driver's bson.D and encoding/csv to /dev/null", seconds, exportRecetas, "driver > /dev/null", 0.25, false},
		{"mongodb/mongoexport", "MongoDB to S3, against mongoexport to /dev/null", seconds, exportRecetas, mongoexportNull, 0, false},
		{"mongodb/memory", "memory of the worker", memory, exportRecetas, "", maxRSS, false},
		{"growth/time-10", "PostgreSQL to S3, ten times the rows", seconds, exportGrowth + " 10", exportGrowth + " 1", 10.5, false},
		{"growth/time-100", "ten times those", seconds, exportGrowth + " 100", exportGrowth + " 10", 10.5, false},
		{"growth/memory-ratio", "memory of the worker for ten times the rows", memory, exportGrowth + " 100", exportGrowth + " 10", 1.1, false},
		{"growth/memory", "memory of the worker for the most rows", memory, exportGrowth + " 100", "", maxRSS, false},
		{"tiny/p50", "a tiny job, from the request to its end, as a client sees it", p50, tinyJob, "", 50, false},
		{"tiny/p99", "the slowest of a hundred of those", p99, tinyJob, "", 0, false},
		{"acceptance/rate", "POSTs of 32 clients, against one Redis write and one confirmed publish", rate, gatewayPOST, bareAcceptance, 0.5, true},
		{"acceptance/p99", "the slowest of a hundred of those POSTs", p99, gatewayPOST, "", 25, false},
	}
}

// subjects are all that can be measured, in the order in which a round measures them. mongoexport is
// one of them only where it is installed: Debian does not have it.
func subjects(d datasets) []subject {
	all := []subject{
		export(exportProductos, d.productos),
		psqlNull(d.productos),
		psqlPipe(d.productos),
		python(pythonProductos, d.productos),
		export(exportUsers, d.users),
		mariadbNull(d.users),
		python(pythonUsers, d.users),
		export(exportRecetas, d.recetas),
		driver(d.recetas),
		export(exportGrowth+" 1", d.growth[0]),
		export(exportGrowth+" 10", d.growth[1]),
		export(exportGrowth+" 100", d.growth[2]),
		tinyExport(tinyJob, d.tiny),
		gatewayPosts(gatewayPOST, d.tiny),
		bareLoop(bareAcceptance),
	}
	if path, err := exec.LookPath("mongoexport"); err == nil {
		all = append(all, mongoexport(path, d.recetas))
	}
	return all
}

// choose returns the cases whose names match and that can be measured, and the subjects that they need.
func choose(pattern string, all []subject) ([]benchCase, []subject, error) {
	matches, err := regexp.Compile(pattern)
	if err != nil {
		return nil, nil, fmt.Errorf("reading CASES: %w", err)
	}
	measured := func(name string) bool {
		return name == "" || slices.ContainsFunc(all, func(s subject) bool { return s.name == name })
	}
	chosen := slices.DeleteFunc(cases(), func(c benchCase) bool { return !matches.MatchString(c.Name) || !measured(c.Ref) })
	if len(chosen) == 0 {
		return nil, nil, fmt.Errorf("no case matches CASES=%s", pattern)
	}
	needed := slices.DeleteFunc(all, func(s subject) bool {
		return !slices.ContainsFunc(chosen, func(c benchCase) bool { return c.Ours == s.name || c.Ref == s.name })
	})
	return chosen, needed, nil
}
