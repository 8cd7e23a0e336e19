package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pharmavida/ingesta/migrations/migrationstest"
	"github.com/pharmavida/ingesta/shared/program"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// system is a database, virtual host, key prefix and bucket of a test's own.
type system struct{ environ []string }

func newSystem(t *testing.T, override ...string) system {
	t.Helper()
	settings := append(migrationstest.Database(t), stacktest.Isolate(t)...)
	return system{stacktest.Environ(t, append(settings, override...)...)}
}

// with returns the same system with other settings.
func (s system) with(override ...string) system {
	return system{append(slices.Clone(s.environ), override...)}
}

// said is what a command printed, and how it ended.
type said struct {
	code           int
	stdout, stderr string
}

func (s said) all() string { return s.stdout + s.stderr }

// migrate runs one command line, and gives no answer when it asks.
func (s system) migrate(ctx context.Context, args ...string) said {
	return s.answering(ctx, "", args...)
}

// answering runs one command line, and gives the answer when it asks.
func (s system) answering(ctx context.Context, answer string, args ...string) said {
	var stdout, stderr bytes.Buffer
	code := run(ctx, program.Process{Args: args, Environ: s.environ, Stdin: strings.NewReader(answer), Stdout: &stdout, Stderr: &stderr})
	return said{code, stdout.String(), stderr.String()}
}

// must runs a command line that has to succeed, and returns what it printed.
func (s system) must(t *testing.T, args ...string) string {
	t.Helper()
	got := s.migrate(t.Context(), args...)
	if got.code != program.ExitOK {
		t.Fatalf("migrate %s: exit %d\n%s", strings.Join(args, " "), got.code, got.all())
	}
	return got.stdout
}

// admin connects to the system's database as the server's administrator.
func (s system) admin(t *testing.T) *sql.DB {
	t.Helper()
	return migrationstest.Admin(t, program.Process{Environ: s.environ}.Getenv("MYSQL_DATABASE"))
}

// count returns the number of rows of a table.
func (s system) count(t *testing.T, table string) (rows int) {
	t.Helper()
	if err := s.admin(t).QueryRowContext(t.Context(), "SELECT COUNT(*) FROM `"+table+"`").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// users returns the number of users that the database has.
func (s system) users(t *testing.T) int {
	t.Helper()
	return s.count(t, "User")
}

// want fails the test when the text lacks one of the parts.
func want(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("it does not say %q:\n%s", part, text)
		}
	}
}

func TestSchemaCommands(t *testing.T) {
	s := newSystem(t)
	want(t, s.must(t, "status"), "version   none (empty)", "2 pending")
	want(t, s.must(t, "history"), "1        initial_schema  pending", "2        lookup_indexes  pending")
	want(t, s.must(t, "up"), "up     1 initial_schema", "up     2 lookup_indexes")
	want(t, s.must(t, "up"), "nothing to do")
	want(t, s.must(t, "status"), "version   2 lookup_indexes", "up to date")
	want(t, s.must(t, "down"), "down   2 lookup_indexes")
	want(t, s.must(t, "status"), "version   1 initial_schema", "1 pending")
	want(t, s.must(t, "goto", "2"), "up     2 lookup_indexes")
	want(t, s.must(t, "down", "2"), "down   2 lookup_indexes", "down   1 initial_schema")
	want(t, s.must(t, "goto", "1"), "up     1 initial_schema")
	want(t, s.must(t, "force", "1"), "version   1 initial_schema")
	want(t, s.must(t, "history"), "1        initial_schema  applied  20", "2        lookup_indexes  pending")
}

func TestDownAllAsks(t *testing.T) {
	s := newSystem(t)
	s.must(t, "up")
	for _, answer := range []string{"", "\n", "no\n", "yess\n"} {
		got := s.answering(t.Context(), answer, "down", "--all")
		if got.code != program.ExitError {
			t.Errorf("answering %q: exit %d, want 1", answer, got.code)
		}
		want(t, got.stderr, "drops every table", "nothing was changed")
		want(t, s.must(t, "status"), "version   2")
	}
	if got := s.answering(t.Context(), "y\n", "down", "--all"); got.code != program.ExitOK {
		t.Errorf("answering y: exit %d\n%s", got.code, got.all())
	}
	want(t, s.must(t, "status"), "version   none (empty)")
	s.must(t, "up")
	s.must(t, "down", "--all", "--yes")
	want(t, s.must(t, "status"), "version   none (empty)")
}

// Rows are not lost without a question, whichever command would lose them.
func TestLosingRowsAsks(t *testing.T) {
	s := newSystem(t)
	s.must(t, "up")
	migrationstest.Exec(t, s.admin(t), "INSERT INTO Bank VALUES ('1', 'Banco')")
	for _, args := range [][]string{{"down", "2"}, {"down", "7"}, {"goto", "0"}} {
		got := s.answering(t.Context(), "n\n", args...)
		if got.code != program.ExitError || s.count(t, "Bank") != 1 {
			t.Errorf("migrate %s, answering n: exit %d, %d rows; want 1 and the row", strings.Join(args, " "), got.code, s.count(t, "Bank"))
		}
		want(t, got.stderr, "drops every table", "nothing was changed")
	}
	s.must(t, "down") // to version 1, which keeps every row
	if got := s.answering(t.Context(), "", "down"); got.code != program.ExitError {
		t.Errorf("from version 1 to none, without an answer: exit %d, want 1", got.code)
	}
	s.must(t, "goto", "0", "--yes")
	want(t, s.must(t, "status"), "version   none")
}

// The end of the program's context ends a question, with no for an answer.
func TestQuestionIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	silent, _ := io.Pipe()
	cancel(errors.New("interrupted"))
	asking := &tool{program.Process{Stdin: silent, Stderr: io.Discard}}
	if err := asking.confirm(ctx, "Everything goes."); err == nil || !strings.Contains(err.Error(), "nothing was changed: interrupted") {
		t.Errorf("%v; want that nothing was changed, and why", err)
	}
}

func TestInit(t *testing.T) {
	s := newSystem(t)
	want(t, s.must(t, "init"), "version 2 lookup_indexes, 2 migrations applied now, all tables and columns verified",
		"rows of demonstration data", "rabbitmq", "queues of 3 databases, 4 policies", "redis     ")
	if n := s.users(t); n != 4 {
		t.Errorf("%d users, want the 4 of the demonstration data", n)
	}
	// What was deleted of the demonstration data stays deleted, and real rows get no company.
	migrationstest.Exec(t, s.admin(t), "DELETE FROM Insights")
	again := s.must(t, "init")
	if n := s.count(t, "Insights"); n != 0 {
		t.Errorf("the second init brought %d insights back", n)
	}
	want(t, again, "0 migrations applied now", "left alone: the database has rows")
	if strings.Contains(again, "changed:") {
		t.Errorf("the second init found something to change on the broker:\n%s", again)
	}
	if got := s.migrate(t.Context(), "check", "--service=rabbitmq"); got.code != program.ExitOK {
		t.Errorf("after init the broker lacks something:\n%s", got.all())
	}
}

func TestManyInitsAtOnce(t *testing.T) {
	s := newSystem(t)
	const instances = 4
	var all [instances]said
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() { all[i] = s.migrate(t.Context(), "init") })
	}
	running.Wait()
	applied, seeded := 0, 0
	for _, got := range all {
		if got.code != program.ExitOK {
			t.Errorf("one of %d: exit %d\n%s", instances, got.code, got.all())
		}
		applied += strings.Count(got.stdout, "2 migrations applied now")
		seeded += strings.Count(got.stdout, "rows of demonstration data")
	}
	if applied != 1 || seeded != 1 || s.users(t) != 4 {
		t.Errorf("%d applied the migrations, %d seeded, %d users; want one, one and 4", applied, seeded, s.users(t))
	}
}

// A password of production is none of the samples, so that these go as the administrator.
func production(t *testing.T) []string {
	t.Helper()
	return []string{"INGESTA_ENV=production",
		"MYSQL_USER=" + stacktest.Env(t, "LOCAL_MYSQL_ADMIN_USER"), "MYSQL_PASSWORD=" + stacktest.Env(t, "LOCAL_MYSQL_ADMIN_PASSWORD")}
}

func TestSeed(t *testing.T) {
	s := newSystem(t)
	got := s.migrate(t.Context(), "seed")
	if got.code != program.ExitError {
		t.Errorf("without tables: exit %d, want 1", got.code)
	}
	want(t, got.stderr, "migrate up")

	s.must(t, "up")
	got = s.with(production(t)...).migrate(t.Context(), "seed")
	if got.code != program.ExitError || s.users(t) != 0 {
		t.Errorf("in production: exit %d and %d users, want 1 and none\n%s", got.code, s.users(t), got.all())
	}
	want(t, got.stderr, "production", "--force")
	s.with(production(t)...).must(t, "seed", "--force")
	if n := s.users(t); n != 4 {
		t.Errorf("in production with --force: %d users, want 4", n)
	}

	got = s.answering(t.Context(), "n\n", "seed", "--clean")
	if got.code != program.ExitError {
		t.Errorf("--clean, answering n: exit %d, want 1", got.code)
	}
	want(t, got.stderr, "deletes every row", "nothing was changed")
	cleaned := s.must(t, "seed", "--clean", "--yes")
	want(t, cleaned, "User", "juan.perez@example.com", "maria.lopez@example.com", "admin@flowlite.com")
	if n := strings.Count(cleaned, "as documented"); n != 4 {
		t.Errorf("%d of 4 logins have the documented password:\n%s", n, cleaned)
	}
	if n := s.users(t); n != 4 {
		t.Errorf("after --clean: %d users, want 4", n)
	}
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	if got := (system{}).migrate(t.Context(), "create", "--dir", dir, "add_currency"); got.code != program.ExitOK {
		t.Fatalf("exit %d\n%s", got.code, got.all())
	}
	files, err := filepath.Glob(filepath.Join(dir, "*_add_currency.*.sql"))
	if err != nil || len(files) != 2 {
		t.Errorf("files %q, %v; want an up and a down", files, err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"sideways"}, {"up", "1"}, {"down", "0"}, {"down", "two"}, {"down", "1", "--all"}, {"goto"}, {"goto", "-1"}, {"force", "x"},
		{"create"}, {"init", "--wait=0s"}, {"check", "--service", "oracle"}, {"check", "--timeout", "0s"}, {"--frobnicate"}, {"seed", "please"},
	} {
		got := (system{}).migrate(t.Context(), args...)
		if got.code != program.ExitUsage || got.stderr == "" || got.stdout != "" {
			t.Errorf("migrate %s: exit %d, %q; want 2 and what is wrong", strings.Join(args, " "), got.code, got.all())
		}
	}
	// Nothing is configured at all.
	got := (system{}).migrate(t.Context(), "up")
	if got.code != program.ExitUsage {
		t.Errorf("without configuration: exit %d, want 2", got.code)
	}
	want(t, got.stderr, "MYSQL_PASSWORD")
}

func TestCheckConfig(t *testing.T) {
	s := newSystem(t)
	want(t, s.must(t, "--check-config"), "the configuration is valid")
	got := s.with("MYSQL_PORT=0", "REDIS_PORT=zero", "INGESTA_LAESE=1s").migrate(t.Context(), "--check-config")
	if got.code != program.ExitUsage {
		t.Errorf("exit %d, want 2", got.code)
	}
	want(t, got.stderr, "MYSQL_PORT", "REDIS_PORT", "INGESTA_LAESE")
}

// The password is shown by no command, whichever way it came in and whatever goes wrong.
func TestPasswordIsNeverShown(t *testing.T) {
	const password = "p@ss:w/rd#%&?"
	s := newSystem(t)
	address := "127.0.0.1:" + strconv.Itoa(stacktest.FreePort(t))
	running := stacktest.Env(t, "MYSQL_HOST") + ":" + stacktest.Env(t, "MYSQL_PORT")
	for _, settings := range [][]string{
		{"MYSQL_PASSWORD=" + password},
		{"DATABASE_URL=mysql+aiomysql://flowlite_user:" + url.QueryEscape(password) + "@" + running + "/flowlite_db"},
		{"DATABASE_URL=mysql+pymysql://flowlite_user:" + url.QueryEscape(password) + "@" + address + "/flowlite_db"},
		{"DATABASE_URL=mysql+pymysql://flowlite_user:" + password + "@" + running + "/flowlite_db"}, // not escaped
		{"DATABASE_URL=postgres://flowlite_user:" + url.QueryEscape(password) + "@" + running + "/flowlite_db"},
	} {
		for _, args := range [][]string{{"up"}, {"status"}, {"init", "--wait=500ms"}, {"seed"}, {"check", "--service=mysql", "--verbose"}, {"--check-config"}} {
			got := s.with(settings...).migrate(t.Context(), args...)
			if got.code == program.ExitOK && args[0] != "--check-config" {
				t.Errorf("%s, migrate %s: exit 0 with a wrong password", settings[0], args[0])
			}
			for _, form := range []string{password, url.QueryEscape(password), url.PathEscape(password), "w/rd", "rd#"} {
				if strings.Contains(got.all(), form) {
					t.Errorf("%s, migrate %s shows %q:\n%s", settings[0], args[0], form, got.all())
				}
			}
		}
	}
}

func TestCheck(t *testing.T) {
	s := newSystem(t)
	s.must(t, "init", "--seed=false")
	var report struct {
		OK     bool
		Checks []struct{ Service, Title, Status, Cause string }
	}
	got := s.migrate(t.Context(), "check", "--json")
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatalf("%v\n%s", err, got.all())
	}
	if !report.OK || got.code != program.ExitOK {
		t.Errorf("exit %d, want 0\n%s", got.code, got.all())
	}
	want(t, s.must(t, "check", "--verbose"), "✓", "all are there, in 9 tables", "0 rows", "All of the infrastructure works")
}

// A table that somebody dropped is named, and nothing else of the database is blamed.
func TestCheckNamesAMissingTable(t *testing.T) {
	s := newSystem(t)
	s.must(t, "up")
	migrationstest.Exec(t, s.admin(t), "DROP TABLE Insights")
	got := s.migrate(t.Context(), "check", "--service=mysql")
	if got.code != program.ExitError || strings.Count(got.stdout, "✗") != 1 {
		t.Errorf("exit %d, want 1 and one failure\n%s", got.code, got.all())
	}
	want(t, got.stdout, "✓ schema version", "table Insights is missing", "restore a backup")
}

// A server at whose address nobody listens is one failure, named with its next step; the others
// are not blamed.
func TestCheckNamesWhoDoesNotAnswer(t *testing.T) {
	s := newSystem(t)
	s.must(t, "init", "--seed=false")
	nobody := strconv.Itoa(stacktest.FreePort(t))
	for _, test := range []struct{ service, title, setting string }{
		{"mysql", "Flowlite", "MYSQL_PORT=" + nobody},
		{"mysql", "source", "SOURCE_MYSQL_PORT=" + nobody},
		{"rabbitmq", "messages", "RABBITMQ_PORT=" + nobody},
		{"rabbitmq", "management", "RABBITMQ_MANAGEMENT_PORT=" + nobody},
		{"redis", "job store", "REDIS_PORT=" + nobody},
		{"s3", "bucket", "AWS_ENDPOINT_URL=http://127.0.0.1:" + nobody},
		{"mongodb", "source", "MONGO_PORT=" + nobody},
		{"postgresql", "source", "POSTGRES_PORT=" + nobody},
	} {
		t.Run(test.setting, func(t *testing.T) {
			t.Parallel()
			got := s.with(test.setting, "INGESTA_S3_ATTEMPTS=1", "MONGO_CONNECT_TIMEOUT=5s").migrate(t.Context(), "check", "--json")
			var report struct {
				OK     bool
				Checks []struct {
					Service, Title, Status, Cause string
					NextStep                      string `json:"next_step"`
				}
			}
			if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
				t.Fatalf("%v\n%s", err, got.all())
			}
			if report.OK || got.code != program.ExitError {
				t.Errorf("exit %d, want 1", got.code)
			}
			for _, c := range report.Checks {
				to := c.Service == test.service && c.Title == test.title
				if failed := c.Status == "failed"; failed != to {
					t.Errorf("%s, %s: %s %q; only %s, %s must fail", c.Service, c.Title, c.Status, c.Cause, test.service, test.title)
				}
				if to && (c.Cause == "" || c.NextStep == "") {
					t.Errorf("%s, %s: cause %q, next step %q; want both", c.Service, c.Title, c.Cause, c.NextStep)
				}
			}
		})
	}
}

// A file fills in what the environment lacks, and never shows what is in it.
func TestEnvFile(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address := func(s system, args ...string) string {
		t.Helper()
		got := s.migrate(t.Context(), append([]string{"status"}, args...)...)
		if got.code == program.ExitOK {
			t.Fatal("somebody listens on port 1")
		}
		return got.stderr
	}
	nothing := system{}
	want(t, address(nothing), "MYSQL_PASSWORD is required")
	write(".local/env", "MYSQL_HOST=127.0.0.1\nMYSQL_PORT=1\nMYSQL_PASSWORD='of the stack'\n")
	want(t, address(nothing), "127.0.0.1:1 ")
	write(".env", "# of compose\nMYSQL_HOST=127.0.0.2\nMYSQL_PORT=1\nMYSQL_PASSWORD=mine\n")
	want(t, address(nothing), "127.0.0.2:1 ")
	write("other", "MYSQL_HOST=127.0.0.3\nMYSQL_PORT=1\nMYSQL_PASSWORD=mine\n")
	want(t, address(nothing, "--env-file=other"), "127.0.0.3:1 ")
	want(t, address(nothing, "--env-file="), "MYSQL_PASSWORD is required")
	want(t, address(system{[]string{"MYSQL_HOST=127.0.0.4"}}), "127.0.0.4:1 ", "variables that are not set come from .env")
	write("url", "DATABASE_URL=mysql://a:b@127.0.0.5:1/c\nMYSQL_PORT=1\nMYSQL_PASSWORD=mine\n")
	want(t, address(nothing, "--env-file=url"), "127.0.0.5:1 ")
	want(t, address(system{[]string{"MYSQL_HOST=127.0.0.6"}}, "--env-file=url"), "127.0.0.6:1 ") // not to another server than was said

	write("broken", "MYSQL_PASSWORD=fine\nsesame open\n")
	for _, path := range []string{"broken", "missing"} {
		got := nothing.migrate(t.Context(), "status", "--env-file="+path)
		if got.code != program.ExitUsage || strings.Contains(got.all(), "sesame") {
			t.Errorf("%s: exit %d, %q; want 2, and nothing of the file", path, got.code, got.all())
		}
		want(t, got.stderr, path)
	}
}

func TestMain(m *testing.M) {
	os.Unsetenv("DOCKER_HOST") // the engine is not these tests' business
	os.Exit(m.Run())
}
