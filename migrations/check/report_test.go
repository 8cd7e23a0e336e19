package check

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the reports of the tests to testdata as what is wanted")

// sample has one of everything, in an order in which no service's findings stand together.
func sample() Report {
	finding := func(service Service, title string, elapsed time.Duration, outcome Outcome) Result {
		return Result{Service: service, Finding: Finding{Title: title, Outcome: outcome, Elapsed: elapsed}}
	}
	return Report{Results: []Result{
		finding(Docker, "containers", 0, Skip("no engine answers: dial unix /var/run/docker.sock: connect: no such file or directory")),
		finding(MySQL, "connection", 12*time.Millisecond, OK("MariaDB 10.11.14", "version 10.11.14-MariaDB-0+deb12u2", "127.0.0.1:18306")),
		finding(Redis, "connection", 500*time.Microsecond, Fail(errors.New("connection refused"), "start it: docker compose up -d redis, or make up")),
		finding(Redis, "persistence", 0, Skip("not reachable")),
		finding(MySQL, "migración", 1234*time.Millisecond, Outcome{
			Status: StatusFailed, Detail: "version 1, dirty", Cause: "a migration stopped half-way", NextStep: "see `migrate force --help`",
			Lines: []string{"seen at 2026-01-02"},
		}),
		finding(MySQL, "migracio\u0301n", 3*time.Millisecond, OK("an accent of its own")),
		finding(S3, "bucket", 5*time.Second, Fail(errors.New("a server's words\n✓ forged\x1b[2J"), "")),
	}}
}

func TestWrite(t *testing.T) {
	fine := Report{Results: sample().Results[:2]}
	for _, c := range []struct {
		golden          string
		report          Report
		verbose, colour bool
	}{
		{"report.txt", sample(), false, false},
		{"report_verbose.txt", sample(), true, false},
		{"report_colour.txt", sample(), true, true},
		{"report_ok.txt", fine, false, false},
		{"report_skipped.txt", Report{Results: fine.Results[:1]}, false, false},
	} {
		t.Run(c.golden, func(t *testing.T) {
			var page strings.Builder
			if err := c.report.Write(&page, c.verbose, c.colour); err != nil {
				t.Fatalf("Write: %v", err)
			}
			golden := filepath.Join("testdata", c.golden)
			if *update {
				if err := os.WriteFile(golden, []byte(page.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if page.String() != string(want) {
				t.Errorf("the report is\n%s\nwant, as in %s (run with -update if it is right),\n%s", page.String(), golden, want)
			}
		})
	}
}

// A report that cannot be written is an error.
func TestWriteFails(t *testing.T) {
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	if err := sample().Write(closed, false, false); !errors.Is(err, os.ErrClosed) {
		t.Errorf("writing to a closed file: %v, want its error", err)
	}
}

// The names of the fields are a promise.
func TestJSON(t *testing.T) {
	got, err := json.Marshal(Report{Results: sample().Results[:3]})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"ok":false,"checks":[` +
		`{"service":"docker","title":"containers","status":"skipped","detail":"no engine answers: dial unix /var/run/docker.sock: connect: no such file or directory","cause":"","next_step":"","elapsed_ms":0,"lines":[]},` +
		`{"service":"mysql","title":"connection","status":"ok","detail":"MariaDB 10.11.14","cause":"","next_step":"","elapsed_ms":12,"lines":["version 10.11.14-MariaDB-0+deb12u2","127.0.0.1:18306"]},` +
		`{"service":"redis","title":"connection","status":"failed","detail":"","cause":"connection refused","next_step":"start it: docker compose up -d redis, or make up","elapsed_ms":0.5,"lines":[]}]}`
	if string(got) != want {
		t.Errorf("the report is\n%s\nwant\n%s", got, want)
	}
	if none, err := json.Marshal(Report{}); err != nil || string(none) != `{"ok":true,"checks":[]}` {
		t.Errorf("an empty report is %s, %v; want no check and no failure", none, err)
	}
}
