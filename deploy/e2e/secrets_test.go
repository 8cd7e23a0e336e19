package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/pharmavida/ingesta/deploy/e2e/testbed"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// Nothing secret is in anything that the system says: not in its logs, its answers, its metrics, its
// messages, its job records, nor in what it writes to the lake; whether all goes well or everything
// fails. The programs are processes of their own and talkative, and each of their secrets is one that
// stands nowhere else.
func TestNothingSecretIsSaid(t *testing.T) {
	s := newSecretive(t)
	canary := "vigía-" + strings.ToLower(stacktest.VHost(t)[len("test-"):])

	s.refuse()
	s.succeed(canary)
	s.cancel()
	s.bury()
	s.fail()
	s.misconfigure()
	s.collect()

	for _, leak := range s.evidence.leaks(s.secrets) {
		t.Errorf("the %s is in %s: …%q", leak.secret, leak.where, leak.around)
	}
	// The search has looked everywhere: it finds who asked, a name that is no secret, in each place
	// that is told of it.
	found := s.evidence.places(canary)
	for _, kind := range []string{"answer", "log", "message", "object", "redis"} {
		if found[kind] == 0 {
			t.Errorf("the name of who asked is in %v, and not in any %s: was it collected?", found, kind)
		}
	}
	for _, kind := range []string{"metrics", "output"} {
		if s.evidence.places("")[kind] == 0 {
			t.Errorf("no %s was collected", kind)
		}
	}
	t.Logf("looked for %d secrets in %v", len(s.secrets), s.evidence.places(""))
}

// secretive is a system all of whose secrets are known, and what it said.
type secretive struct {
	*testbed.System
	t        *testing.T
	secrets  secrets
	evidence *evidence
	issuer   auth.Config
	token    string // of one who may do everything
	table    string // in each source
	files    string // folder of mounted secrets
	pages    map[string]bool
}

// newSecretive makes accounts and tables for the secrets, and starts a gateway.
func newSecretive(t *testing.T) *secretive {
	t.Helper()
	bed := testbed.Join(t)
	s := &secretive{t: t, secrets: secrets{}, evidence: newEvidence(), files: t.TempDir(), pages: map[string]bool{}}
	account := strings.ReplaceAll(stacktest.VHost(t), "-", "_") // no other test's
	s.table = "secretos_" + account
	s.secrets["password of the S3 account"] = bed.Env["AWS_SECRET_ACCESS_KEY"]
	s.secrets["password of the MongoDB account"] = bed.Env["MONGO_PASSWORD"]
	s.secrets["password of the Redis server"] = bed.Env["REDIS_PASSWORD"]
	key := s.secrets.add("first half of the key of tokens") + s.secrets.add("second half of the key of tokens")
	s.issuer = auth.Config{Mode: auth.JWT, Secret: config.Secret(key), Issuer: "https://issuer.example", Audience: "ingesta", Leeway: time.Second}
	env := append(s.catalog(account),
		"LOG_LEVEL=debug", "AUTH_MODE=jwt", "AUTH_ISSUER="+s.issuer.Issuer, "AUTH_AUDIENCE="+s.issuer.Audience,
		"AUTH_JWT_SECRET="+key, "INGESTA_RETRY_DELAYS=200ms", "INGESTA_MAX_FAILURES=2", "INGESTA_S3_ATTEMPTS=2",
		s.file("INGESTA_MASK_SALT", s.secrets.add("salt of masks")),
		"POSTGRES_USER="+account, "POSTGRES_PASSWORD="+s.secrets.add("password of the PostgreSQL account"),
		"SOURCE_MYSQL_USER="+account, s.file("SOURCE_MYSQL_PASSWORD", s.secrets.add("password of the MySQL account")),
		"RABBITMQ_USER="+account, s.file("RABBITMQ_PASSWORD", s.secrets.add("password of the RabbitMQ account")),
	)
	s.fill(bed, account)
	s.System = bed.Prepare(t, env...)
	s.admit(account)
	s.StartGateway()
	s.Observe()
	s.token = s.mint(s.issuer, "everything", time.Hour, auth.Admin)
	return s
}

// file mounts a secret and returns the variable that leads to it.
func (s *secretive) file(variable, value string) string {
	s.t.Helper()
	path := filepath.Join(s.files, strings.ToLower(variable))
	if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return variable + "_FILE=" + path
}

// catalog writes the catalog: of each source the table, whose secret columns are left out by their
// names or masked, a table that is not there, and of PostgreSQL a query whose failure the server
// explains with the value that it failed at.
func (s *secretive) catalog(account string) (env []string) {
	s.t.Helper()
	text := fmt.Sprintf(`
version: 1
databases:
  - name: mongodb
    datasets:
      - {name: todo, collection: %[1]s, columns: [_id, nombre, {name: dni, mask: hash}], extra: true}
  - name: mysql
    datasets:
      - {name: todo, table: %[1]s, columns: [id, nombre, {name: dni, mask: hash}, {name: telefono, mask: redact}]}
      - {name: falta, table: %[1]s_falta}
  - name: postgresql
    datasets:
      - {name: todo, table: %[1]s, exclude: [telefono, dni]}
      - {name: oculto, table: %[1]s, columns: [id, {name: dni, mask: hash}, {name: telefono, mask: redact}]}
      - {name: falta, table: %[1]s_falta}
      - {name: rota, query: "SELECT id, password::integer AS numero FROM %[1]s", requires: [%[1]s], columns: [id, numero]}
`, s.table)
	path := filepath.Join(s.files, "catalog.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return []string{"CATALOG_FILE=" + path}
}

// fill makes the tables and those accounts of their servers that can have passwords of their own.
func (s *secretive) fill(bed *testbed.Servers, account string) {
	s.t.Helper()
	ctx := context.WithoutCancel(s.t.Context())
	must := func(doing string, err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatalf("%s: %v", doing, err)
		}
	}
	row := func(server string) []any {
		return []any{"Ana", s.secrets.add("column password of " + server), s.secrets.add("column token of " + server),
			s.secrets.add("hashed column of " + server), s.secrets.add("redacted column of " + server)}
	}
	const columns = "(id int, nombre varchar(100), password varchar(100), api_token varchar(100), dni varchar(100), telefono varchar(100))"

	postgres, err := bed.PostgreSQL(ctx)
	must("connecting to PostgreSQL", err)
	defer postgres.Close(ctx)
	for _, statement := range []string{
		"CREATE ROLE " + account + " LOGIN PASSWORD '" + s.secrets["password of the PostgreSQL account"] + "'",
		"CREATE TABLE " + s.table + columns,
		"GRANT SELECT ON " + s.table + " TO " + account,
	} {
		_, err := postgres.Exec(ctx, statement)
		must("preparing PostgreSQL", err)
	}
	s.t.Cleanup(func() {
		conn, err := bed.PostgreSQL(ctx)
		must("connecting to PostgreSQL", err)
		defer conn.Close(ctx)
		for _, statement := range []string{"DROP TABLE " + s.table, "DROP OWNED BY " + account, "DROP ROLE " + account} {
			_, err := conn.Exec(ctx, statement)
			must("cleaning PostgreSQL", err)
		}
	})
	_, err = postgres.Exec(ctx, "INSERT INTO "+s.table+" VALUES (1, $1, $2, $3, $4, $5)", row("PostgreSQL")...)
	must("filling PostgreSQL", err)

	mysql, err := bed.MySQL()
	must("connecting to MySQL", err)
	s.t.Cleanup(func() {
		for _, statement := range []string{"DROP TABLE IF EXISTS " + s.table, "DROP USER IF EXISTS " + account} {
			_, err := mysql.ExecContext(ctx, statement)
			must("cleaning MySQL", err)
		}
		mysql.Close()
	})
	for _, statement := range []string{
		"CREATE USER " + account + " IDENTIFIED BY '" + s.secrets["password of the MySQL account"] + "'",
		"CREATE TABLE " + s.table + columns,
		"GRANT SELECT ON " + s.table + " TO " + account,
	} {
		_, err := mysql.ExecContext(ctx, statement)
		must("preparing MySQL", err)
	}
	_, err = mysql.ExecContext(ctx, "INSERT INTO "+s.table+" VALUES (1, ?, ?, ?, ?, ?)", row("MySQL")...)
	must("filling MySQL", err)

	client, mongo, err := bed.MongoDB()
	must("connecting to MongoDB", err)
	s.t.Cleanup(func() {
		must("cleaning MongoDB", mongo.Collection(s.table).Drop(ctx))
		_ = client.Disconnect(ctx) // nothing is under way
	})
	values := row("MongoDB")
	_, err = mongo.Collection(s.table).InsertOne(ctx, bson.D{
		{Key: "nombre", Value: values[0]}, {Key: "password", Value: values[1]}, {Key: "api_token", Value: values[2]},
		{Key: "dni", Value: values[3]}, {Key: "otro", Value: bson.D{{Key: "secret", Value: values[4]}}},
	})
	must("filling MongoDB", err)
}

// admit makes the account of the broker.
func (s *secretive) admit(account string) {
	s.t.Helper()
	stacktest.Management(s.t, http.MethodPut, "/api/users/"+account,
		map[string]string{"password": s.secrets["password of the RabbitMQ account"], "tags": ""}, nil)
	s.t.Cleanup(func() { stacktest.Management(s.t, http.MethodDelete, "/api/users/"+account, nil, nil) })
	stacktest.Management(s.t, http.MethodPut, "/api/permissions/"+s.VHost+"/"+account,
		map[string]string{"configure": ".*", "write": ".*", "read": ".*"}, nil)
}

// mint makes a token; a token is secret for what it is signed with.
func (s *secretive) mint(issuer auth.Config, subject string, ttl time.Duration, scopes ...auth.Scope) string {
	s.t.Helper()
	begin := time.Now()
	if ttl < 0 {
		begin, ttl = begin.Add(ttl-time.Hour), time.Hour
	}
	token, err := auth.Mint(issuer, auth.Claims{Subject: subject, Scopes: scopes, TTL: ttl}, begin)
	if err != nil {
		s.t.Fatal(err)
	}
	s.secrets["signature of the token of "+subject] = token[strings.LastIndex(token, ".")+1:]
	return token
}

// ask makes a request of the gateway, and notes the answer.
func (s *secretive) ask(method, path, body, token string, header http.Header) (status int, answer []byte) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 40*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	maps.Copy(request.Header, header)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" && request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/json")
	}
	stay := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := stay.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		cut := time.AfterFunc(time.Second, func() { response.Body.Close() }) // a stream has no end
		defer cut.Stop()
	}
	answer, _ = io.ReadAll(response.Body) // what came of it is what was said
	// The one place for a token is the cookie of who has just shown it.
	response.Header["Set-Cookie"] = slices.DeleteFunc(response.Header["Set-Cookie"], func(cookie string) bool {
		return strings.HasPrefix(cookie, "ingesta_token=") && method == http.MethodPost && path == "/login"
	})
	var said bytes.Buffer
	_ = response.Header.Write(&said) // a buffer takes everything
	said.Write(answer)
	where, _, _ := strings.Cut(path, "?")
	s.evidence.add("answer to "+method+" "+where, said.Bytes())
	return response.StatusCode, answer
}

// run asks for a job and returns its id.
func (s *secretive) run(db ingest.Database, token string, names ...string) (id string) {
	s.t.Helper()
	body := ""
	if len(names) > 0 {
		body = fmt.Sprintf(`{"datasets": ["%s"]}`, strings.Join(names, `", "`))
	}
	status, answer := s.ask(http.MethodPost, "/api/ingesta/"+string(db), body, token, nil)
	var job ingest.Job
	if err := json.Unmarshal(answer, &job); err != nil || status != http.StatusAccepted {
		s.t.Fatalf("asking for a job of %s: %d %s", db, status, answer)
	}
	return job.ID
}

// end waits for the end of a job, which must be as wanted.
func (s *secretive) end(id string, want ingest.Status) {
	s.t.Helper()
	if job := s.Ended(id); job.Status != want {
		s.t.Errorf("the job of %s ended as %s, want %s: %+v", job.Database, job.Status, want, job.Results)
	}
}

// refuse comes with tokens that are no good, in every place where a token can stand.
func (s *secretive) refuse() {
	s.t.Helper()
	other := s.issuer
	other.Secret = config.Secret(s.secrets.add("key of a forger") + s.secrets.add("other key of a forger"))
	elsewhere := s.issuer
	elsewhere.Audience = "elsewhere"
	reader := s.mint(s.issuer, "reader", time.Hour, auth.Read)
	claims := strings.Split(reader, ".")[1]
	tokens := map[string]string{
		"forged":       s.mint(other, "forger", time.Hour, auth.Admin),
		"expired":      s.mint(s.issuer, "late", -time.Hour, auth.Admin),
		"elsewhere":    s.mint(elsewhere, "stranger", time.Hour, auth.Admin),
		"unsigned":     base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + claims + ".",
		"not a token":  s.secrets.add("password given for a token"),
		"a basic pair": base64.StdEncoding.EncodeToString([]byte("admin:" + s.secrets.add("password of a basic pair"))),
	}
	for name, token := range tokens {
		for _, request := range []struct {
			path, body string
			header     http.Header
		}{
			{"/api/ingesta/mysql", "", http.Header{"Authorization": {"Bearer " + token}}},
			{"/api/ingesta/mysql", "", http.Header{"Authorization": {"Basic " + token}}},
			{"/api/ingesta/mysql", "", http.Header{"Authorization": {token}}},
			{"/api/ingesta/mysql", "", http.Header{"Cookie": {"ingesta_token=" + token}}},
			{"/api/ingesta/mysql?access_token=" + url.QueryEscape(token), "", nil},
			{"/login", url.Values{"token": {token}}.Encode(), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}},
		} {
			status, answer := s.ask(http.MethodPost, request.path, request.body, "", request.header)
			if status < http.StatusBadRequest && request.path != "/login" {
				s.t.Errorf("a token that is %s was let in at %s: %d %s", name, request.path, status, answer)
			}
		}
	}
	for _, good := range []string{reader, s.token} {
		s.ask(http.MethodPost, "/login", url.Values{"token": {good}}.Encode(), "", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	}
	if status, _ := s.ask(http.MethodPost, "/api/ingesta/mysql", "", reader, nil); status != http.StatusForbidden {
		s.t.Errorf("one who may only read asks for a job: %d, want 403", status)
	}
}

// succeed has every source read, by one whose name is no secret: what can be exported is, what
// cannot is explained.
func (s *secretive) succeed(canary string) {
	s.t.Helper()
	token := s.mint(s.issuer, canary, time.Hour, auth.Admin)
	want := map[ingest.Database]ingest.Status{ingest.MongoDB: ingest.Success, ingest.MySQL: ingest.Partial, ingest.PostgreSQL: ingest.Partial}
	ids := map[ingest.Database]string{}
	for db := range want {
		ids[db] = s.run(db, token)
	}
	s.collectQueues() // the commands, which nobody has taken yet
	for db, status := range want {
		worker := s.Work(db)
		s.end(ids[db], status)
		s.leave(worker)
	}
}

// leave ends a worker, after a look at what it says while it runs.
func (s *secretive) leave(worker *testbed.Process) {
	s.t.Helper()
	s.look(worker)
	worker.Terminate()
	if _, err := worker.Wait(time.Minute); err != nil {
		s.t.Error(err)
	}
}

// look notes what a program answers of itself.
func (s *secretive) look(p *testbed.Process) {
	for _, path := range []string{"/health", "/ready", "/debug/pprof/cmdline", "/debug/vars"} {
		_, text := p.Get(path)
		s.evidence.add("answer of "+p.Name+path, []byte(text))
	}
	_, text := p.Get("/metrics")
	if !strings.Contains(text, "go_goroutines") {
		s.t.Errorf("%s has no metrics: %.200s", p.Name, text)
	}
	s.evidence.add("metrics of "+p.Name, []byte(text))
}

// cancel ends a job that waits, and one that runs.
func (s *secretive) cancel() {
	s.t.Helper()
	waiting := s.run(ingest.PostgreSQL, s.token, "todo")
	s.ask(http.MethodPost, "/api/ingesta/jobs/"+waiting+"/cancel", "", s.token, nil)
	s.end(waiting, ingest.Cancelled)

	wire := s.NewWire(s.t, "POSTGRES")
	worker := s.Work(ingest.PostgreSQL, wire.Env()...)
	wire.Hold(testbed.FromServer)
	running := s.run(ingest.PostgreSQL, s.token, "todo")
	s.Running(running, 1)
	s.ask(http.MethodPost, "/api/ingesta/jobs/"+running+"/cancel", "", s.token, nil)
	s.Await(running, "is asked to end", func(j ingest.Job) bool { return j.CancelRequested || j.Status.Terminal() })
	wire.Mend()
	s.end(running, ingest.Cancelled)
	s.leave(worker)
}

// bury sends commands that nobody can carry out.
func (s *secretive) bury() {
	s.t.Helper()
	worker := s.Work(ingest.MySQL)
	s.PublishRaw(broker.CommandsExchange, string(ingest.MySQL), `{"version":`, map[string]any{"message_id": "roto"})
	s.PublishRaw(broker.CommandsExchange, string(ingest.MySQL), `{"version":99}`, map[string]any{"message_id": "ajeno"})
	s.Eventually("both commands are dead letters", func() bool { return len(s.Take(broker.DeadQueue, 10, true)) == 2 })
	_, answer := s.ask(http.MethodGet, "/api/ingesta/dead-letters", "", s.token, nil)
	for _, id := range regexp.MustCompile(`"id":\s*"([^"]+)"`).FindAllSubmatch(answer, -1) {
		s.ask(http.MethodPost, "/api/ingesta/dead-letters/"+url.PathEscape(string(id[1]))+"/replay", "", s.token, nil)
	}
	s.leave(worker)
}

// fail has workers come with passwords that are wrong, and to servers that are away.
func (s *secretive) fail() {
	s.t.Helper()
	const away = "127.0.0.1:1"
	for _, tt := range []struct {
		db       ingest.Database
		override []string
	}{
		{ingest.PostgreSQL, []string{"POSTGRES_PASSWORD=" + s.secrets.add("wrong password of PostgreSQL")}},
		{ingest.PostgreSQL, []string{"POSTGRES_PORT=1"}},
		{ingest.MySQL, []string{s.file("SOURCE_MYSQL_PASSWORD", s.secrets.add("wrong password of MySQL"))}},
		{ingest.MongoDB, []string{"MONGO_PASSWORD=" + s.secrets.add("wrong password of MongoDB")}},
		{ingest.MongoDB, []string{"MONGO_CONNECT_TIMEOUT=500ms", "MONGO_PASSWORD=", "MONGO_URI=mongodb://lector:" + s.secrets.add("password in the address of MongoDB") + "@" + away + "/"}},
		{ingest.MongoDB, []string{"AWS_ENDPOINT_URL=http://cuenta:" + s.secrets.add("password in the address of S3") + "@" + away}},
		{ingest.MongoDB, []string{"AWS_SECRET_ACCESS_KEY=" + s.secrets.add("wrong key of S3")}},
	} {
		id := s.run(tt.db, s.token, "todo")
		worker := s.WorkUnready(tt.db, tt.override...)
		s.end(id, ingest.Failed)
		s.Eventually("the worker listens", func() bool { status, _ := worker.Get("/health"); return status == http.StatusOK })
		s.leave(worker)
	}
	// Programs that find neither broker nor job store stay, and complain.
	for program, override := range map[string][]string{
		"gateway": {"GATEWAY_PORT=", "REDIS_PASSWORD=" + s.secrets.add("wrong password of Redis")},
		"mysql":   {"WORKER_PORT=", s.file("RABBITMQ_PASSWORD", s.secrets.add("wrong password of RabbitMQ")), "REDIS_PASSWORD=" + s.secrets.add("another wrong password of Redis")},
	} {
		port := fmt.Sprint(stacktest.FreePort(s.t))
		override[0] += port
		p := s.Spawn(program, program, "http://127.0.0.1:"+port, override...)
		s.Eventually("the "+program+" says that it is not ready", func() bool { status, _ := p.Get("/ready"); return status == http.StatusServiceUnavailable })
		s.look(p)
		p.Terminate()
		if _, err := p.Wait(time.Minute); err != nil {
			s.t.Error(err)
		}
	}
}

// misconfigure starts programs with settings that they refuse, and those that end by themselves:
// exports by hand, the schema's keeper, and the operator's.
func (s *secretive) misconfigure() {
	s.t.Helper()
	dsn := "mysql+pymysql://flowlite:" + s.secrets.add("password in the address of Flowlite's database") + "@127.0.0.1:1/flowlite_db"
	migrate, operator := s.Build("./migrations/cmd/migrate"), s.Build("./gateway/cmd/ingesta")
	known := []string{"INGESTA_URL=" + s.URL, s.file("INGESTA_TOKEN", s.token), "HOME=" + s.files}
	stranger := append(slices.Clone(known), "INGESTA_TOKEN="+s.secrets.add("token that is none"))
	for name, tt := range map[string]struct {
		program string
		args    []string
		env     []string
	}{
		"gateway's check":     {s.Program("gateway"), []string{"--check-config"}, []string{"GATEWAY_PORT=no"}},
		"gateway's refusal":   {s.Program("gateway"), nil, []string{"INGESTA_ENV=production", "AUTH_JWT_SECRET=" + s.secrets.add("short key")[:20]}},
		"keys' address":       {s.Program("gateway"), []string{"--check-config"}, []string{"AUTH_JWT_SECRET=", "AUTH_JWKS_URL=http://u:" + s.secrets.add("password in the address of keys") + "@127.0.0.1:1/"}},
		"short salt":          {s.Program("postgresql"), nil, []string{"INGESTA_MASK_SALT=" + s.secrets.add("short salt")[:15]}},
		"bad address":         {s.Program("mongodb"), nil, []string{"MONGO_PASSWORD=", "MONGO_URI=mongodb://lector:" + s.secrets.add("password in a bad address") + "@[::1/%zz"}},
		"export":              {s.Program("mysql"), []string{"run", "--dataset", "todo"}, nil},
		"export in vain":      {s.Program("mysql"), []string{"run"}, []string{s.file("SOURCE_MYSQL_PASSWORD", s.secrets.add("wrong password of an export"))}},
		"migrate check":       {migrate, []string{"check"}, []string{"DATABASE_URL=" + dsn}},
		"migrate up":          {migrate, []string{"up"}, []string{"DATABASE_URL=" + dsn}},
		"migrate bad address": {migrate, []string{"up"}, []string{"DATABASE_URL=" + dsn + ":%zz"}},
		"ingesta config":      {operator, []string{"config"}, known},
		"ingesta health":      {operator, []string{"health"}, known},
		"ingesta jobs":        {operator, []string{"jobs", "--output", "json"}, known},
		"ingesta job":         {operator, []string{"job", s.jobIDs()[0]}, known},
		"ingesta datasets":    {operator, []string{"datasets"}, known},
		"ingesta dead":        {operator, []string{"dead", "list"}, known},
		"ingesta run":         {operator, []string{"run", "mysql"}, known},
		"ingesta unknown":     {operator, []string{"run", "mysql"}, stranger},
		"ingesta lost":        {operator, []string{"jobs", "--url", "http://u:" + s.secrets.add("password in the gateway's address") + "@127.0.0.1:1"}, known},
		"ingesta events":      {operator, []string{"events", "--timeout", "2s"}, append(slices.Clone(known), "RABBITMQ_PASSWORD="+s.secrets.add("an operator's wrong password of RabbitMQ"))},
	} {
		ctx, cancel := context.WithTimeout(s.t.Context(), 15*time.Second)
		cmd := exec.CommandContext(ctx, tt.program, tt.args...)
		cmd.Env = s.Environ(tt.env...)
		said, err := cmd.CombinedOutput()
		cancel()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			s.t.Errorf("%s: %v", name, err)
		}
		s.evidence.add("output of "+name, said)
	}
}

// collect notes all that is left to be read.
func (s *secretive) collect() {
	s.t.Helper()
	s.crawl()
	s.look(s.Gateway)
	s.collectQueues()
	s.collectRedis()
	s.collectObjects()
	for name, text := range s.Logs() {
		s.evidence.add("log of "+name, []byte(text))
	}
}

var links = regexp.MustCompile(`(?:href|src)="(/[^"#]*)`)

// crawl reads every page and document that the gateway shows, beginning with those that it must have.
func (s *secretive) crawl() {
	s.t.Helper()
	const most = 200 // pages
	todo := []string{
		"/", "/jobs", "/datasets", "/dead-letters", "/system", "/login", "/live?page=overview", "/live?page=jobs", "/live?page=system", "/health", "/ready", "/metrics", "/problems",
		"/openapi.yaml", "/asyncapi.yaml", "/api/ingesta/health", "/api/ingesta/datasets", "/api/ingesta/jobs", "/api/ingesta/dead-letters", "/api/ingesta/events",
	}
	for _, id := range s.jobIDs() {
		todo = append(todo, "/jobs/"+id, "/live?page=job&id="+id, "/api/ingesta/jobs/"+id, "/api/ingesta/jobs/"+id+"/events", "/api/ingesta/jobs/"+id+"/datasets/todo/download")
	}
	for _, db := range testbed.Databases() {
		todo = append(todo, "/api/ingesta/datasets/"+string(db)+"/todo/ddl")
	}
	for n := 0; len(todo) > 0 && n < most; n++ {
		path := todo[0]
		todo = todo[1:]
		_, text := s.ask(http.MethodGet, path, "", s.token, nil)
		s.pages[path] = true
		for _, link := range links.FindAllStringSubmatch(string(text), -1) {
			if next := strings.ReplaceAll(link[1], "&amp;", "&"); !s.pages[next] && !slices.Contains(todo, next) {
				todo = append(todo, next)
			}
		}
	}
	for _, path := range []string{"/", "/api/ingesta/jobs"} { // as pages and programs that have no token are answered
		s.ask(http.MethodGet, path, "", "", http.Header{"Accept": {"text/html"}})
		s.ask(http.MethodGet, path, "", "", http.Header{"Accept": {"application/json"}})
	}
}

// jobIDs returns the ids of all jobs.
func (s *secretive) jobIDs() (ids []string) {
	s.t.Helper()
	_, answer := s.ask(http.MethodGet, "/api/ingesta/jobs?limit=100", "", s.token, nil)
	var page struct {
		Jobs []struct {
			ID string `json:"job_id"`
		}
	}
	if err := json.Unmarshal(answer, &page); err != nil || len(page.Jobs) == 0 {
		s.t.Errorf("listing the jobs: %v in %s", err, answer)
	}
	for _, job := range page.Jobs {
		ids = append(ids, job.ID)
	}
	return ids
}

// collectQueues notes every message in every queue, which stays there.
func (s *secretive) collectQueues() {
	s.t.Helper()
	var queues []struct{ Name string }
	stacktest.Management(s.t, http.MethodGet, "/api/queues/"+s.VHost, nil, &queues)
	for _, queue := range queues {
		var messages []map[string]any
		stacktest.Management(s.t, http.MethodPost, "/api/queues/"+s.VHost+"/"+url.PathEscape(queue.Name)+"/get",
			map[string]any{"count": 1_000, "ackmode": "ack_requeue_true", "encoding": "base64"}, &messages)
		for _, m := range messages {
			payload, err := base64.StdEncoding.DecodeString(m["payload"].(string))
			if err != nil {
				s.t.Fatal(err)
			}
			m["payload"] = string(payload)
			s.evidence.add("message in "+queue.Name, fmt.Append(nil, m))
		}
	}
}

// collectRedis notes every key of the system and what it holds.
func (s *secretive) collectRedis() {
	s.t.Helper()
	ctx := s.t.Context()
	keys := s.Redis().Scan(ctx, 0, "*"+s.Prefix+"*", 1_000).Iterator()
	for keys.Next(ctx) {
		key := keys.Val()
		kind, err := s.Redis().Type(ctx, key).Result()
		if err != nil {
			s.t.Fatal(err)
		}
		var value any
		switch kind {
		case "string":
			value, err = s.Redis().Get(ctx, key).Result()
		case "hash":
			value, err = s.Redis().HGetAll(ctx, key).Result()
		case "list":
			value, err = s.Redis().LRange(ctx, key, 0, -1).Result()
		case "set":
			value, err = s.Redis().SMembers(ctx, key).Result()
		case "zset":
			value, err = s.Redis().ZRangeWithScores(ctx, key, 0, -1).Result()
		case "stream":
			value, err = s.Redis().XRange(ctx, key, "-", "+").Result()
		case "none": // it has just expired
		default:
			s.t.Errorf("the key %s is a %s, which nobody reads here", key, kind)
		}
		if err != nil {
			s.t.Errorf("reading the key %s: %v", key, err)
		}
		s.evidence.add("redis "+key, fmt.Append(nil, value))
	}
	if err := keys.Err(); err != nil {
		s.t.Fatal(err)
	}
}

// collectObjects notes every object of the lake, manifests and all, and its metadata.
func (s *secretive) collectObjects() {
	s.t.Helper()
	ctx, client := s.t.Context(), stacktest.S3(s.t)
	page, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &s.Bucket})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, object := range page.Contents {
		out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: object.Key})
		if err != nil {
			s.t.Fatal(err)
		}
		text, err := io.ReadAll(out.Body)
		out.Body.Close()
		if err != nil {
			s.t.Fatal(err)
		}
		s.evidence.add("object "+*object.Key, fmt.Appendf(text, "\n%v", out.Metadata))
	}
}
