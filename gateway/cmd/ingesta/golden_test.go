package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/program"
)

var update = flag.Bool("update", false, "write what is printed to testdata as what is wanted")

// golden compares what was printed with the file of that name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("it prints\n%s\nwant, as in %s (run with -update if it is right),\n%s", got, file, want)
	}
	for line := range strings.Lines(got) {
		if strings.HasSuffix(line, " \n") {
			t.Errorf("a line ends with spaces: %q", line)
		}
	}
}

// noon is now, in the tests of what is printed.
var noon = time.Date(2025, 1, 2, 12, 0, 0, 0, time.UTC)

// printing returns a tool of that time, and what it prints.
func printing(output string) (t *tool, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	t = &tool{process: program.Process{Stdout: stdout, Stderr: stderr}, now: func() time.Time { return noon }, zone: time.UTC}
	t.settings.output.value = output
	return t, stdout, stderr
}

const (
	firstJob  = "0196f0a1-0000-7000-8000-000000000001"
	secondJob = "0196f0a1-0000-7000-8000-000000000002"
	thirdJob  = "0196f0a1-0000-7000-8000-000000000003"
)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

// partial is a job with a dataset in each terminal state, after two attempts.
func partial() ingest.Job {
	job := ingest.Job{
		ID: firstJob, Database: ingest.MySQL, Status: ingest.Partial, RequestedBy: "ana", RetryOf: secondJob, Attempt: 2,
		CreatedAt: ago(2 * time.Hour), StartedAt: ago(2*time.Hour - 2*time.Second), FinishedAt: ago(time.Hour),
		Code: ingest.TableNotFound, Error: "one dataset failed",
		Results: ingest.Results{
			{Dataset: "users", State: ingest.Done, URL: "s3://bucket/mysql/users_20250102_100000.csv", Rows: 1_000_000, Bytes: 82 << 20,
				StartedAt: ago(time.Hour + 3*time.Second), FinishedAt: ago(time.Hour + time.Second), Warnings: []string{"3 zero dates became NULL"}},
			{Dataset: "compras", State: ingest.Broken, Code: ingest.TableNotFound, Error: "the table compras does not exist\x1b[2J"},
		},
		Attempts: []ingest.Attempt{
			{Number: 1, Worker: "mysql.a:1", StartedAt: ago(2*time.Hour - 2*time.Second), EndedAt: ago(2*time.Hour - 3*time.Second), Outcome: ingest.OutcomeRetry, Code: ingest.SourceUnavailable},
			{Number: 2, Worker: "mysql.b:1", StartedAt: ago(time.Hour + 5*time.Second), EndedAt: ago(time.Hour), Outcome: "partial"},
		},
	}
	job.SumProgress()
	return job
}

// running is a job with a dataset in each state.
func running() ingest.Job {
	job := ingest.Job{
		ID: secondJob, Database: ingest.PostgreSQL, Status: ingest.Running, RequestedBy: "system", Attempt: 1,
		CreatedAt: ago(75 * time.Second), StartedAt: ago(74 * time.Second),
		Results: ingest.Results{
			{Dataset: "productos", State: ingest.Exporting, Rows: 620_000, EstimatedRows: 1_000_000, RowsPerSecond: 84_500, Bytes: 89 << 20, StartedAt: ago(8 * time.Second)},
			{Dataset: "ofertas", State: ingest.Exporting, Rows: 12, Bytes: 900, StartedAt: ago(time.Second)},
			{Dataset: "precios_de_las_ofertas_de_toda_la_cadena", State: ingest.Pending},
			{Dataset: "tiendas", State: ingest.Done, URL: "s3://bucket/postgresql/tiendas_20250102_115845.csv", Rows: 40, Bytes: 2048, StartedAt: ago(70 * time.Second), FinishedAt: ago(70*time.Second - 180*time.Millisecond)},
			{Dataset: "stock", State: ingest.Broken, Code: ingest.ColumnNotFound, Error: "the table stock has no column cantidad"},
		},
	}
	job.SumProgress()
	return job
}

func queued() ingest.Job {
	return ingest.Job{
		ID: thirdJob, Database: ingest.MongoDB, Status: ingest.Queued, RequestedBy: "system", Attempt: 1, CreatedAt: ago(time.Minute), NextAttemptAt: noon.Add(10 * time.Second),
		StartedAt: ago(50 * time.Second),
		Results:   ingest.Results{{Dataset: "medicos", State: ingest.Pending}, {Dataset: "recetas", State: ingest.Pending}},
		Attempts:  []ingest.Attempt{{Number: 1, Worker: "mongodb.a:1", StartedAt: ago(50 * time.Second), EndedAt: ago(40 * time.Second), Outcome: ingest.OutcomeRetry, Code: ingest.SourceUnavailable}},
	}
}

func letters() client.DeadLetters {
	return client.DeadLetters{Total: 3, Letters: []client.DeadLetter{
		{ID: "0123456789abcdef0123456789abcdef", Database: "mysql", JobID: firstJob, Code: "source_unavailable", Reason: "the server is away", BuriedAt: ago(time.Hour), MessageID: "m1", Size: 512, Replayable: true,
			Command: &ingest.Command{JobID: firstJob, RequestedBy: "ana", Targets: []ingest.Target{{Dataset: "users"}, {Dataset: "compras"}}}},
		{ID: "fedcba9876543210fedcba9876543210", Database: "mongodb", Reason: "the broker gave up on it: delivery_limit", Size: 3,
			WhyNot: &client.Refusal{Code: "dead_letter_unreadable", Detail: "it holds no command"}},
	}}
}

func health() client.Health {
	n := 2
	return client.Health{
		Status: "down", DeadLetters: &n,
		Dependencies: map[string]client.Dependency{"redis": {Status: "up", LatencyMS: 0.41}, "rabbitmq": {Status: "down", LatencyMS: 2000, Error: "RabbitMQ does not answer"}},
		Databases: map[ingest.Database]client.DatabaseState{
			"mysql": {Status: "up", Queue: &client.QueueState{Messages: 1234, Consumers: 1}, Workers: []client.WorkerState{
				{Name: "mysql.a:1", Version: "1.2.0", Slots: 2, Busy: 1, Source: client.Dependency{Status: "up", LatencyMS: 1.5}, Storage: client.Dependency{Status: "down", Error: "the bucket does not exist"}},
			}},
			"mongodb": {Status: "down", Error: "no worker has reported lately", Workers: []client.WorkerState{}},
		},
	}
}

func catalogOf() client.Catalog {
	return client.Catalog{Digest: "d1", Databases: []client.Database{
		{Name: "mysql", Datasets: []client.Dataset{
			{Name: "users", Object: "users", Kind: "table", Sources: []string{"users"}, Exclude: []string{"password"}, Masks: map[string]string{"email": "hash", "dni": "last(3)"}},
			{Name: "compras", Object: "compras", Kind: "query", Sources: []string{"compras", "compra_productos", "compra_cantidades"}, Columns: []string{"id", "fecha_compra", "usuario_id", "productos", "cantidades", "canal"}},
		}},
	}}
}

func TestTables(t *testing.T) {
	tests := []struct {
		name  string
		print func(*tool) error
	}{
		{"jobs", func(t *tool) error { return t.printJobs([]ingest.Job{queued(), running(), partial()}, true) }},
		{"job_partial", func(t *tool) error { return t.printJob(partial()) }},
		{"job_running", func(t *tool) error { return t.printJob(running()) }},
		{"job_queued", func(t *tool) error { return t.printJob(queued()) }},
		{"results", func(t *tool) error { return t.printResults([]ingest.Job{partial(), running()}) }},
		{"letters", func(t *tool) error { return t.printLetters(letters()) }},
		{"letter", func(t *tool) error { return t.printLetter(letters().Letters[0]) }},
		{"letter_unreadable", func(t *tool) error { return t.printLetter(letters().Letters[1]) }},
		{"health", func(t *tool) error { return t.printHealth(health()) }},
		{"datasets", func(t *tool) error { return t.printDatasets(catalogOf(), true) }},
		{"datasets_of_one", func(t *tool) error { return t.printDatasets(catalogOf(), false) }},
		{"event", func(t *tool) error { return t.printEvent(ingest.EventOf(partial())) }},
		{"event_started", func(t *tool) error { return t.printEvent(ingest.EventOf(running())) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, output := range []string{outputTable, outputJSON} {
				tool, stdout, stderr := printing(output)
				if err := tt.print(tool); err != nil {
					t.Fatal(err)
				}
				extension := map[string]string{outputTable: ".txt", outputJSON: ".json"}[output]
				if output == outputJSON && !strings.HasPrefix(tt.name, "job") && !strings.HasPrefix(tt.name, "event") {
					continue
				}
				if strings.Contains(stdout.String(), "\x1b") {
					t.Errorf("what others have named moves the cursor: %q", stdout)
				}
				golden(t, tt.name+extension, stdout.String())
				if tt.name == "jobs" && output == outputTable && !strings.Contains(stderr.String(), "there are more") {
					t.Errorf("it does not say that there are more: %q", stderr)
				}
			}
		})
	}
}

// Colours take no room: what is printed is the same without them.
func TestColours(t *testing.T) {
	list := newTable("JOB", "STATUS", "ROWS")
	list.add(text("a"), status("success"), count(1234))
	list.add(text("bc"), status("error"), count(7))
	var plainly, coloured bytes.Buffer
	if err := list.write(&plainly, false); err != nil {
		t.Fatal(err)
	}
	if err := list.write(&coloured, true); err != nil {
		t.Fatal(err)
	}
	golden(t, "colours.txt", coloured.String())
	if got := uncoloured(coloured.String()); got != plainly.String() {
		t.Errorf("without its colours it is\n%s\nwant\n%s", got, plainly.String())
	}
}

func uncoloured(s string) string {
	for _, c := range []string{"0", "2", "31", "32", "33", "36"} {
		s = strings.ReplaceAll(s, "\x1b["+c+"m", "")
	}
	return s
}

func TestSizesAndSpans(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 98_765_432: "98.8 MB", 2_300_000_000_000: "2.3 TB", 1 << 62: "4611.7 PB"} {
		if got := size(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-1: "0s", 5 * time.Millisecond: "5ms", 1500 * time.Millisecond: "1.5s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 3*time.Hour + 7*time.Minute: "3h07m"} {
		if got := span(d); got != want {
			t.Errorf("%v is %q, want %q", int64(d), got, want)
		}
	}
}
