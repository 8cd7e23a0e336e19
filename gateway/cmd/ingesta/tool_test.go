package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/program"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestExitCodes(t *testing.T) {
	s := newSystem(t)
	over := one[ingest.Job](t, s.must("run", "mysql", "--output", "json"))
	s.finish(s.claim(over), over, ingest.Success)
	nobody := "http://127.0.0.1:" + strconv.Itoa(stacktest.FreePort(t))
	broken := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(broken, []byte("adress: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args string
		code int
		want string // part of what it says on standard error
	}{
		{"--version", program.ExitOK, ""},
		{"run --help", program.ExitOK, ""},
		{"run", program.ExitUsage, "Usage: ingesta run DATABASE|all"},
		{"rum mysql", program.ExitUsage, `unknown command "rum"`},
		{"run mysql --wiat", program.ExitUsage, "see ingesta run --help"},
		{"run mysql --on-conflict fight", program.ExitUsage, "use queue, join or reject"},
		{"run mysql --dataset nope --dataset worse", program.ExitUsage, "\n  /datasets/1 names \"worse\""},
		{"run oracle", exitRefused, "known: mongodb, mysql, postgresql"},
		{"jobs --limit 0", program.ExitUsage, "--all lists every job"},
		{"jobs --status done", program.ExitUsage, "status must be one of"},
		{"jobs --output xml", program.ExitUsage, "use table or json"},
		{"jobs --timeout -1s", program.ExitUsage, "--timeout"},
		{"jobs --config " + broken, program.ExitUsage, "it knows url, token, token_file and output"},
		{"jobs --config " + broken + ".not", program.ExitUsage, "no such file"},
		{"jobs --url ftp://x", program.ExitUsage, "must begin with http:// or https://"},
		{"jobs --url " + nobody, exitUnavailable, "cannot reach " + nobody + ": nobody listens there: is the gateway running? Set --url or INGESTA_URL"},
		{"job nope", exitRefused, "`ingesta jobs` lists those there are"},
		{"job " + thirdJob + " --watch", exitRefused, "there is no job"},
		{"cancel " + over.ID, exitRefused, "is over and cannot be cancelled"},
		{"retry " + over.ID, exitRefused, "has succeeded"},
		{"datasets oracle", exitRefused, "there is no database"},
		{"datasets ddl mysql", program.ExitUsage, "Usage: ingesta datasets ddl DATABASE NAME"},
		{"dead show abc", exitRefused, "there is no dead letter \"abc\""},
		{"dead replay " + strings.Repeat("0", letterID), exitRefused, "there is no dead letter"},
		{"run mysql --timeout 1ns", exitTimeout, "not known: `ingesta jobs` shows it"},
		{"download " + over.ID + " nope", exitRefused, "it has users, compras"},
		{"token", exitRefused, "AUTH_MODE"},
		{"events --bind=", program.ExitUsage, "--bind needs a topic"},
		{"dead lst", program.ExitUsage, `unknown command "lst"`},
		{"health", exitUnavailable, ""}, // nobody works here
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got := under(t.Context(), append(s.environ, "AUTH_MODE=none"), strings.Fields(tt.args)...)
			if got.code != tt.code || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("exit %d, want %d and %q:\n%s", got.code, tt.code, tt.want, got.stderr)
			}
		})
	}
}

func TestJobsInPages(t *testing.T) {
	s := newSystem(t)
	for range 3 {
		s.must("run", "mysql")
	}
	s.must("run", "mongodb")
	type list struct{ Jobs []ingest.Job }
	if got := one[list](t, s.must("jobs", "--output", "json")); len(got.Jobs) != 4 || got.Jobs[0].Database != ingest.MongoDB {
		t.Errorf("it lists %+v, want four, the newest first", got)
	}
	got := s.ingesta("jobs", "--database", "mysql", "--limit", "2")
	if n := strings.Count(got.stdout, "queued"); n != 2 || !strings.Contains(got.stderr, "there are more") {
		t.Errorf("it lists %d, want 2 and that there are more:\n%s%s", n, got.stdout, got.stderr)
	}
	if got := s.ingesta("jobs", "--database", "mysql", "--limit", "3"); strings.Count(got.stdout, "queued") != 3 || got.stderr != "" {
		t.Errorf("of three it says\n%s%s", got.stdout, got.stderr)
	}
	if got := s.ingesta("jobs", "--status", "error"); got.code != program.ExitOK || got.stdout != "" || !strings.Contains(got.stderr, "there is no such job") {
		t.Errorf("of none it says %+v", got)
	}
	if got := s.must("jobs", "--status", "error", "--output", "json"); strings.Join(strings.Fields(got), "") != `{"jobs":[]}` {
		t.Errorf("as JSON it says %s", got)
	}
}

func TestDeadLetters(t *testing.T) {
	s := newSystem(t)
	stacktest.Policies(t, s.vhost)
	if got := s.ingesta("dead", "list"); got.code != program.ExitOK || got.stdout != "" {
		t.Errorf("an empty queue is listed as %+v", got)
	}
	job := one[ingest.Job](t, s.must("run", "mysql", "--output", "json"))
	s.finish(s.claim(job), job, ingest.Failed)
	s.bury()
	stacktest.Eventually(t, "the letter is listed", func() bool { return s.ingesta("dead", "list").stdout != "" })
	want(t, s.must("dead", "list"), job.ID, "source_unavailable", "yes", "the server is away")
	letters := one[client.DeadLetters](t, s.must("dead", "list", "--output", "json"))
	id := letters.Letters[0].ID
	if len(id) != letterID {
		t.Errorf("the ID %s has %d digits, not %d", id, len(id), letterID)
	}
	want(t, s.must("dead", "show", id[:6]), id, "users, compras", job.ID)
	replayed := one[ingest.Job](t, s.must("dead", "replay", id[:6], "--output", "json"))
	if replayed.RetryOf != job.ID {
		t.Errorf("the replay is %+v, want a job that retries %s", replayed, job.ID)
	}
	if again := one[ingest.Job](t, s.must("dead", "replay", id, "--output", "json")); again.ID != replayed.ID {
		t.Errorf("replayed again it is %s, want %s", again.ID, replayed.ID)
	}
}

func TestEvents(t *testing.T) {
	s := newSystem(t)
	environ := stacktest.Environ(t, append(s.environ, "RABBITMQ_VHOST="+s.vhost)...)
	listening := (&system{t: t, environ: environ}).begin(t.Context(), "events", "--bind", "job.mysql.#", "--limit", "2", "--output", "json")
	listening.saysEventually(t, "listening to [job.mysql.#]")
	s.must("run", "mongodb")
	job := one[ingest.Job](t, s.must("run", "mysql", "--output", "json"))
	s.must("cancel", job.ID)
	got := listening.end()
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if got.code != program.ExitOK || len(lines) != 2 {
		t.Fatalf("exit %d, and it printed\n%s%s", got.code, got.stdout, got.stderr)
	}
	var types []string
	for _, line := range lines {
		event := one[cloudEvent](t, line)
		types = append(types, event.Type)
		if event.Subject != job.ID || event.Data.Database != ingest.MySQL || event.SpecVersion != "1.0" {
			t.Errorf("the event is %s", line)
		}
	}
	slices.Sort(types)
	if !slices.Equal(types, []string{"pharmavida.ingesta.job.accepted", "pharmavida.ingesta.job.cancelled"}) {
		t.Errorf("the events are %v", types)
	}
}

func TestTokens(t *testing.T) {
	auth := []string{"AUTH_MODE=jwt", "AUTH_JWT_SECRET=0123456789abcdef0123456789abcdef", "AUTH_ISSUER=us", "AUTH_AUDIENCE=ingesta"}
	s := newSystem(t, auth...)
	stranger := s.ingesta("jobs")
	if stranger.code != exitDenied {
		t.Errorf("a stranger: exit %d, want %d", stranger.code, exitDenied)
	}
	want(t, stranger.stderr, "asks for a token, and none is set", "Set INGESTA_TOKEN", "`ingesta token` makes one")

	mint := under(t.Context(), append(slices.Clone(s.environ), auth...), "token", "--subject", "ana", "--scope", "read", "--ttl", "10m")
	if mint.code != program.ExitOK || strings.Count(mint.stdout, "\n") != 1 {
		t.Fatalf("token: %+v", mint)
	}
	want(t, mint.stderr, "for ana: [ingesta:read]")
	token := strings.TrimSpace(mint.stdout)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"INGESTA_TOKEN=" + token, "INGESTA_TOKEN_FILE=" + file} {
		if got := under(t.Context(), append(slices.Clone(s.environ), setting), "jobs"); got.code != program.ExitOK {
			t.Errorf("a reader: %+v", got)
		}
	}
	reader := s.ingesta("run", "mysql", "--token", token)
	if reader.code != exitDenied || strings.Contains(reader.stderr, token) {
		t.Errorf("a reader who runs: %+v", reader)
	}
	want(t, reader.stderr, "lacks the scope ingesta:run", "Get a token with that scope")
	forged := s.ingesta("jobs", "--token", token+"x")
	if forged.code != exitDenied || strings.Contains(forged.stderr, token) {
		t.Errorf("a forger: %+v", forged)
	}
	want(t, forged.stderr, "The token comes from --token")
	if got := under(t.Context(), append(slices.Clone(s.environ), append(auth, "INGESTA_ENV=production")...), "token"); got.code != exitRefused || got.stdout != "" {
		t.Errorf("in production: %+v", got)
	}
	if got := under(t.Context(), append(slices.Clone(s.environ), auth...), "token", "--scope", "everything"); got.code != program.ExitUsage {
		t.Errorf("of no scope: %+v", got)
	}
}

func TestCompletion(t *testing.T) {
	s := newSystem(t)
	job := one[ingest.Job](t, s.must("run", "mysql", "--output", "json"))
	for _, tt := range []struct{ args, want string }{
		{"run|", "mongodb\nmysql\npostgresql\nall\n"},
		{"run|mysql|--dataset|", "users\ncompras\n"},
		{"job|", job.ID + "\tmysql queued\n"},
		{"retry|", ":"},
		{"datasets|ddl|postgresql|", "productos\nofertas\n"},
		{"jobs|--status|", "queued\nrunning\nsuccess\npartial\nerror\ncancelled\n"},
		{"run|mysql|--on-conflict|", "queue\njoin\nreject\n"},
	} {
		got := s.must(append([]string{"__complete"}, strings.Split(tt.args, "|")...)...)
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: suggested\n%s\nwant\n%s", tt.args, got, tt.want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := under(t.Context(), nil, "completion", shell); got.code != program.ExitOK || !strings.Contains(got.stdout, "ingesta") {
			t.Errorf("completion %s: exit %d", shell, got.code)
		}
	}
	// Without a gateway there are no suggestions, and no noise.
	away := under(t.Context(), []string{"INGESTA_URL=http://127.0.0.1:1"}, "__complete", "job", "")
	if away.code != program.ExitOK || !strings.HasPrefix(away.stdout, ":") {
		t.Errorf("without a gateway: %+v", away)
	}
}

func TestHealthAndDatasets(t *testing.T) {
	s := newSystem(t)
	got := s.ingesta("health", "--output", "json")
	state := one[client.Health](t, got.stdout)
	if got.code != exitUnavailable || state.Status != "down" || state.Dependencies["redis"].Status != "up" || len(state.Databases) != 3 {
		t.Errorf("exit %d: %+v; want everything but the workers up", got.code, state)
	}
	want(t, s.ingesta("health").stdout, "redis", "rabbitmq", "no worker")
	want(t, s.must("datasets"), "mongodb", "mysql", "postgresql", "productos")
	if list := one[client.Catalog](t, s.must("datasets", "mysql", "--output", "json")); len(list.Databases) != 1 || len(list.Databases[0].Datasets) != 2 || list.Digest == "" {
		t.Errorf("of MySQL it lists %+v", list)
	}
}

func TestSettings(t *testing.T) {
	home, stack := t.TempDir(), t.TempDir()
	folder := filepath.Join(home, ".config", "ingesta")
	files := map[string]string{
		filepath.Join(folder, "config.yaml"):    "url: http://from-file\ntoken_file: token\noutput: json\n",
		filepath.Join(folder, "token"):          "t-of-file\n",
		filepath.Join(home, "other.yaml"):       "output: table\n",
		filepath.Join(home, "empty.yaml"):       "",
		filepath.Join(stack, ".local", "env"):   "INGESTA_URL=http://127.0.0.1:18000\nINGESTA_TOKEN='t-of-stack'\n",
		filepath.Join(stack, "evil", ".env"):    "INGESTA_URL=http://evil.example\n",
		filepath.Join(stack, "nothing", "here"): "",
	}
	for file, content := range files {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(folder, "config.yaml")
	tests := []struct {
		name, dir string
		environ   []string
		args      string
		want      string // url, token and output, and where each comes from
	}{
		{"nothing", "nothing", nil, "", "http://localhost:8000 (the default)  (not set) table (the default)"},
		{"the stack's", "", nil, "", "http://127.0.0.1:18000 (.local/env) [redacted] (.local/env) table (the default)"},
		{"another's", "evil", nil, "", "http://localhost:8000 (the default)  (not set) table (the default)"},
		{"file", "", []string{"HOME=" + home}, "", "http://from-file (" + config + ") [redacted] (" + config + ") json (" + config + ")"},
		{"file of the desktop", "", []string{"HOME=/nowhere", "XDG_CONFIG_HOME=" + filepath.Join(home, ".config")}, "", "http://from-file (" + config + ") [redacted] (" + config + ") json (" + config + ")"},
		{"environment", "", []string{"HOME=" + home, "INGESTA_URL=http://from-environment", "INGESTA_OUTPUT=table"}, "", "http://from-environment (INGESTA_URL) [redacted] (" + config + ") table (INGESTA_OUTPUT)"},
		{"flags", "", []string{"HOME=" + home, "INGESTA_URL=http://from-environment"}, "--url http://from-flag --token t --output table", "http://from-flag (--url) [redacted] (--token) table (--output)"},
		{"file of one's own", "nothing", []string{"HOME=" + home}, "--config " + filepath.Join(home, "other.yaml"), "http://localhost:8000 (the default)  (not set) table (" + filepath.Join(home, "other.yaml") + ")"},
		{"empty file", "nothing", nil, "--config " + filepath.Join(home, "empty.yaml"), "http://localhost:8000 (the default)  (not set) table (the default)"},
		{"a token stays away from the stack's", "", []string{"INGESTA_TOKEN=t"}, "", "http://localhost:8000 (the default) [redacted] (INGESTA_TOKEN) table (the default)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(filepath.Join(stack, tt.dir))
			got := under(t.Context(), tt.environ, append([]string{"config"}, strings.Fields(tt.args)...)...)
			if got.code != program.ExitOK {
				t.Fatalf("%+v", got)
			}
			if strings.Contains(got.stdout, "t-of-") {
				t.Errorf("it shows a token: %s", got.stdout)
			}
			for _, name := range []string{"url", "token", "output"} {
				line := lineOf(got.stdout, name)
				if strings.Contains(got.stdout, "{") {
					v := one[map[string]struct{ Value, From string }](t, got.stdout)[name]
					line = v.Value + " (" + v.From + ")"
				}
				if !strings.Contains(tt.want, line) {
					t.Errorf("%s is %s; want\n%s", name, line, tt.want)
				}
			}
		})
	}
	t.Chdir(stack)
	if got := under(t.Context(), []string{"INGESTA_TOKEN=t", "INGESTA_TOKEN_FILE=" + config}, "config"); got.code != program.ExitUsage || !strings.Contains(got.stderr, "both set") {
		t.Errorf("two tokens: %+v", got)
	}
	open := filepath.Join(home, "open.yaml")
	if err := os.WriteFile(open, []byte("token: t-of-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := under(t.Context(), nil, "config", "--config", open); !strings.Contains(got.stderr, "chmod 600") {
		t.Errorf("a file that all may read: %+v", got)
	}
}

// lineOf returns value and source of a setting in the table.
func lineOf(table, name string) string {
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			value, from := fields[1], strings.Join(fields[2:], " ")
			if value == "none" {
				value = ""
			}
			return value + " (" + from + ")"
		}
	}
	return ""
}
