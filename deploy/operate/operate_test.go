// Package operate tests operate.sh: on the servers of the local stack, with a database of each test's own, and
// with a stand-in for docker that runs what it is told beside the same servers.
package operate

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/pharmavida/ingesta/shared/stacktest"
)

// patience bounds each thing that a test does with a server or the script.
const patience = time.Minute

// clone is a folder with the script and an environment that leads to the test's own database.
type clone struct {
	root     string
	database string
	admin    *sql.DB  // in the database
	path     string   // PATH: programs that record their arguments before the real ones
	record   string   // where they do
	secrets  []string // what must be in no record and no output
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	t.Cleanup(cancel)
	return ctx
}

func newClone(t *testing.T) *clone {
	t.Helper()
	c := &clone{root: t.TempDir(), database: "operate_" + strings.ToLower(rand.Text()[:12])}
	env := func(name string) string { return stacktest.Env(t, name) }

	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(env("MYSQL_HOST"), env("MYSQL_PORT"))
	cfg.User, cfg.Passwd, cfg.MultiStatements = env("LOCAL_MYSQL_ADMIN_USER"), env("LOCAL_MYSQL_ADMIN_PASSWORD"), true
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.admin = sql.OpenDB(connector)
	c.admin.SetMaxOpenConns(1) // USE is the connection's
	t.Cleanup(func() { _ = c.admin.Close() })
	c.exec(t, "CREATE DATABASE "+c.database+" CHARACTER SET utf8mb4 COLLATE utf8mb4_spanish_ci")
	t.Cleanup(func() { c.exec(t, "DROP DATABASE IF EXISTS "+c.database) })
	user := c.database[:20]
	c.exec(t, fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY 'S3cr3t-user'; GRANT ALL ON `%s`.* TO '%[1]s'@'%%'", user, c.database))
	t.Cleanup(func() { c.exec(t, "DROP USER '"+user+"'@'%'") })
	c.exec(t, "USE "+c.database)
	c.fill(t)

	var lines strings.Builder
	for _, name := range []string{"MYSQL_HOST", "MYSQL_PORT", "MYSQL_ROOT_PASSWORD",
		"RABBITMQ_HOST", "RABBITMQ_PORT", "RABBITMQ_VHOST", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB",
		"LOCAL_RABBITMQ_CTL", "LOCAL_RABBITMQ_NODENAME", "LOCAL_RABBITMQ_HOME", "LOCAL_RABBITMQ_EPMD_PORT"} {
		fmt.Fprintf(&lines, "%s='%s'\n", name, env(name))
	}
	fmt.Fprintf(&lines, "MYSQL_USER=%s\nMYSQL_PASSWORD=S3cr3t-user\nMYSQL_DATABASE=%s\n", user, c.database)
	c.secrets = []string{"S3cr3t-user", env("MYSQL_ROOT_PASSWORD"), env("REDIS_PASSWORD")}
	script, err := os.ReadFile("operate.sh")
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, ".local/env", lines.String())
	c.write(t, ".local/logs/gateway.log", "serving\n")
	c.write(t, "deploy/operate/operate.sh", string(script))

	c.record = filepath.Join(c.root, "arguments")
	for _, name := range []string{"mariadb", "mariadb-dump", "redis-cli"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		c.write(t, "path/"+name, fmt.Sprintf("#!/bin/sh\necho \"%s $*\" >>'%s'\nexec %s \"$@\"\n", name, c.record, real))
	}
	c.path = filepath.Join(c.root, "path") + ":" + os.Getenv("PATH")
	c.containers(t)
	return c
}

// containers writes the stand-in for docker. What it runs finds only the programs of a container: MySQL's
// clients under MySQL's names, which reach the server without an address.
func (c *clone) containers(t *testing.T) {
	t.Helper()
	find := func(name string) string {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, name := range []string{"sh", "grep", "sed", "printenv"} {
		if err := os.MkdirAll(filepath.Join(c.root, "container"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(find(name), filepath.Join(c.root, "container", name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, real := range map[string]string{"mysql": "mariadb", "mysqldump": "mariadb-dump"} {
		c.write(t, "container/"+name, fmt.Sprintf(`#!/bin/sh
case $1 in --version) echo 'mysql  Ver 8.4.6 for Linux on x86_64 (MySQL Community Server - GPL)'; exit ;; esac
echo "%s $*" >>'%s'
case $1 in --help) exec %s --help ;; esac
exec %[3]s --no-defaults --protocol=tcp --host=%s --port=%s "$@"
`, name, c.record, find(real), stacktest.Env(t, "MYSQL_HOST"), stacktest.Env(t, "MYSQL_PORT")))
	}
	c.write(t, "container/redis-cli", fmt.Sprintf("#!/bin/sh\nexec %s -p %s \"$@\"\n", find("redis-cli"), stacktest.Env(t, "REDIS_PORT")))
	c.write(t, "container/rabbitmqctl", "#!/bin/sh\nprintf 'name\\tstate\\n'; printf 'zeta\\trunning\\n'; printf 'alfa\\t%s\\n' \"$1\"\n")
	c.write(t, "path/docker", fmt.Sprintf(`#!/bin/sh
echo "docker $*" >>'%s'
[ -f '%s/running' ] || { echo 'Cannot connect to the Docker daemon' >&2; exit 1; }
set -a
. '%[2]s/.local/env'
unset MYSQL_HOST MYSQL_PORT
REDISCLI_AUTH=$REDIS_PASSWORD RABBITMQ_DEFAULT_VHOST=/
PATH='%[2]s/container'
case "$1 $2" in
"container inspect") echo true; echo false ;;
"compose --project-directory") echo "logs of $3: $*" ;;
"exec --interactive") shift 3; exec "$@" ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac
`, c.record, c.root))
}

func (c *clone) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(c.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

func (c *clone) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := c.admin.ExecContext(bounded(t), statement); err != nil {
		t.Fatalf("%.80s: %v", statement, err)
	}
}

// fill makes one of everything that a dump may forget or spoil.
func (c *clone) fill(t *testing.T) {
	t.Helper()
	c.exec(t, `
CREATE TABLE Role (id_role char(36) PRIMARY KEY, role_name varchar(100));
CREATE TABLE User (id_user char(36) PRIMARY KEY, username varchar(100), photo blob, id_role char(36), FOREIGN KEY (id_role) REFERENCES Role (id_role));
INSERT INTO Role VALUES ('1', 'ADMIN'), ('2', 'Señor "USER" 😀');
INSERT INTO User VALUES ('1', 'línea\nUSE mysql;\nCREATE DATABASE x', x'00ff5c270a', '2'), ('2', NULL, '', NULL);
CREATE VIEW Admins AS SELECT username FROM User JOIN Role USING (id_role);
CREATE TRIGGER shout BEFORE INSERT ON Role FOR EACH ROW SET NEW.role_name = UPPER(NEW.role_name);
CREATE PROCEDURE hello() SELECT 'hola';
CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM User WHERE id_user = '';
`)
}

// content is all that the database holds, as text.
func (c *clone) content(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, query := range []string{
		"SELECT DEFAULT_COLLATION_NAME, '' FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '" + c.database + "'",
		"SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = '" + c.database + "' ORDER BY 1",
		"SELECT TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '" + c.database + "'",
		"SELECT ROUTINE_NAME, ROUTINE_DEFINITION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '" + c.database + "'",
		"SELECT EVENT_NAME, EVENT_DEFINITION FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '" + c.database + "'",
		"SELECT id_role, role_name FROM " + c.database + ".Role ORDER BY 1",
		"SELECT CONCAT_WS('|', id_user, username, id_role), HEX(photo) FROM " + c.database + ".User ORDER BY 1",
	} {
		rows, err := c.admin.QueryContext(bounded(t), query)
		if err != nil {
			return err.Error()
		}
		for rows.Next() {
			var a, b sql.NullString
			if err := rows.Scan(&a, &b); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&all, "%v %v\n", a, b)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// outcome is what a run of the script came to.
type outcome struct {
	code   int
	stdout string
	stderr string
}

// run runs the script and sees to it that no password shows, nor is anybody's argument.
func (c *clone) run(t *testing.T, stdin string, variables []string, args ...string) outcome {
	t.Helper()
	cmd := exec.CommandContext(bounded(t), filepath.Join(c.root, "deploy", "operate", "operate.sh"), args...)
	cmd.Dir = c.root
	cmd.Env = append([]string{"PATH=" + c.path, "HOME=" + c.root, "LANG=C.UTF-8"}, variables...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	recorded, err := os.ReadFile(c.record)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, secret := range c.secrets {
		if strings.Contains(string(recorded), secret) {
			t.Errorf("%v: a password is an argument:\n%s", args, recorded)
		}
		if strings.Contains(stdout.String()+stderr.String(), secret) {
			t.Errorf("%v: a password is printed:\n%s%s", args, &stdout, &stderr)
		}
	}
	return outcome{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// backups lists what lies in the folder of the backups.
func (c *clone) backups(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(c.root, "backups", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// backup makes a backup that must succeed and returns its path.
func (c *clone) backup(t *testing.T, variables ...string) string {
	t.Helper()
	got := c.run(t, "", variables, "backup")
	files := c.backups(t)
	if got.code != 0 || len(files) != 1 {
		t.Fatalf("the backup ended with %d and %v: %s", got.code, files, got.stderr)
	}
	return files[0]
}

// compose lets the stand-in say that the containers run.
func (c *clone) compose(t *testing.T) { c.write(t, "running", "") }

func TestBackupAndRestore(t *testing.T) {
	for _, stack := range []string{"local", "compose"} {
		t.Run(stack, func(t *testing.T) {
			c := newClone(t)
			c.compose(t)
			want := c.content(t)
			got := c.run(t, "", []string{"STACK=" + stack}, "backup")
			if got.code != 0 {
				t.Fatalf("the backup failed: %s", got.stderr)
			}
			files := c.backups(t)
			if len(files) != 1 {
				t.Fatalf("the backup has left %v, want one file", files)
			}
			name := filepath.Base(files[0])
			if stamp, ok := strings.CutPrefix(name, c.database+"_"); !ok || !strings.HasSuffix(stamp, "Z.sql.gz") {
				t.Errorf("the backup is called %s", name)
			}
			if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the backup has the mode %v (%v), want 0600: it holds everybody's data", info.Mode(), err)
			}
			if !strings.Contains(got.stdout, "make restore FILE=backups/"+name) {
				t.Errorf("the backup does not say how to restore it: %s", got.stdout)
			}

			c.exec(t, "DROP VIEW Admins; DROP TABLE User; DELETE FROM Role; DROP PROCEDURE hello; CREATE TABLE Later (id int)")
			if c.content(t) == want {
				t.Fatal("nothing was lost: nothing to test")
			}
			got = c.run(t, "", []string{"STACK=" + stack, "YES=1", "FILE=backups/" + name}, "restore")
			if got.code != 0 {
				t.Fatalf("the restore failed: %s", got.stderr)
			}
			if have := c.content(t); have != want {
				t.Errorf("restored:\n%s\nwant:\n%s", have, want)
			}
			if !strings.Contains(got.stderr, c.database+" holds 2 tables") {
				t.Errorf("the restore does not say what it replaces: %s", got.stderr)
			}
		})
	}
}

func TestRestoreAsks(t *testing.T) {
	c := newClone(t)
	file := c.backup(t)
	whole := c.content(t)
	c.exec(t, "DELETE FROM User")
	changed := c.content(t)
	for _, answer := range []string{"", "\n", "n\n", "yeah, why not\n"} {
		if got := c.run(t, answer, []string{"FILE=" + file}, "restore"); got.code == 0 || c.content(t) != changed {
			t.Errorf("the answer %q: exit code %d, %s", answer, got.code, got.stderr)
		}
	}
	if got := c.run(t, "y\n", []string{"FILE=" + file}, "restore"); got.code != 0 || c.content(t) != whole {
		t.Errorf("the answer y: exit code %d, %s", got.code, got.stderr)
	}
}

// A file that is not a whole backup of this database must not cost the one that is there.
func TestRestoreRefuses(t *testing.T) {
	c := newClone(t)
	file := c.backup(t)
	packed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var unpacked bytes.Buffer
	if _, err := unpacked.ReadFrom(reader); err != nil {
		t.Fatal(err)
	}
	dump := unpacked.String()
	pack := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	damaged := slices.Clone(packed)
	damaged[len(damaged)/2] ^= 0xff
	tests := map[string]struct{ content, says string }{
		"nothing":                      {"", "gzip"},
		"no gzip":                      {dump, "gzip"},
		"a part of the file":           {string(packed[:len(packed)/2]), "gzip"},
		"a damaged file":               {string(damaged), "gzip"},
		"a dump cut short":             {pack(dump[:len(dump)/2]), "Dump completed"},
		"a dump without its last line": {pack(dump[:strings.LastIndex(dump, "-- Dump completed")]), "Dump completed"},
		"a dump of another database":   {pack(strings.Replace(dump, "Database: "+c.database, "Database: pharmavida_db", 1)), "pharmavida_db"},
		"a dump of nobody knows what":  {pack("-- Dump completed\n"), "unknown database"},
		"a dump that chooses its database": {
			pack(strings.Replace(dump, "DROP TABLE", "USE `pharmavida_db`;\nDROP TABLE", 1)), "chooses a database"},
	}
	before := c.content(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c.write(t, "some.sql.gz", test.content)
			got := c.run(t, "", []string{"YES=1", "FILE=some.sql.gz"}, "restore")
			if got.code == 0 || !strings.Contains(got.stderr, test.says) {
				t.Errorf("exit code %d and %q, want a refusal that says %q", got.code, got.stderr, test.says)
			}
		})
	}
	for _, file := range []string{"", "none.sql.gz", "backups"} {
		if got := c.run(t, "", []string{"YES=1", "FILE=" + file}, "restore"); got.code == 0 {
			t.Errorf("FILE=%s: %s%s", file, got.stdout, got.stderr)
		}
	}
	if after := c.content(t); after != before {
		t.Errorf("a refused restore has changed the database:\n%s\nbefore:\n%s", after, before)
	}
}

// What is no whole dump is not kept: somebody would take it for a backup.
func TestFailedBackupIsNotKept(t *testing.T) {
	tests := map[string]string{
		"a dump that fails":             "echo '-- Dump completed'; echo refused >&2; exit 2",
		"a dump that ends without word": "echo '-- Host: here    Database: x'; exit 0",
	}
	for name, script := range tests {
		t.Run(name, func(t *testing.T) {
			c := newClone(t)
			c.write(t, "path/mariadb-dump", "#!/bin/sh\n"+script+"\n")
			if got := c.run(t, "", nil, "backup"); got.code == 0 || len(c.backups(t)) > 0 {
				t.Errorf("exit code %d and %v: %s%s", got.code, c.backups(t), got.stdout, got.stderr)
			}
		})
	}
}

func TestWhichStack(t *testing.T) {
	local, containers := "local stack", "containers"
	tests := map[string]struct {
		env, docker bool
		stack       string
		says        string
		ok          bool
	}{
		"the local stack":              {true, false, "", local, true},
		"the containers":               {false, true, "", containers, true},
		"both":                         {true, true, "", "STACK=local or STACK=compose", false},
		"both, the local one chosen":   {true, true, "local", local, true},
		"both, the other one chosen":   {true, true, "compose", containers, true},
		"neither":                      {false, false, "", "make up", false},
		"one that there is not":        {true, true, "swarm", "neither local nor compose", false},
		"the local one, never started": {false, true, "local", "never started", false},
	}
	c := newClone(t)
	env, err := os.ReadFile(filepath.Join(c.root, ".local", "env"))
	if err != nil {
		t.Fatal(err)
	}
	// The stand-in reads it too, and is to run in either case.
	c.write(t, "path/docker", "#!/bin/sh\n[ -f '"+c.root+"/running' ] && echo true\n")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for file, there := range map[string]bool{".local/env": test.env, "running": test.docker} {
				c.write(t, file, string(env))
				if !there {
					if err := os.Remove(filepath.Join(c.root, file)); err != nil {
						t.Fatal(err)
					}
				}
			}
			got := c.run(t, "ping\n", []string{"STACK=" + test.stack}, "redis-cli")
			if (got.code == 0) != test.ok || !strings.Contains(got.stderr, test.says) {
				t.Errorf("exit code %d and %q; want ok %v and %q", got.code, got.stderr, test.ok, test.says)
			}
		})
	}
}

// A server of the local stack that is down does not hide the others.
func TestOneServerOfTheLocalStackIsEnough(t *testing.T) {
	c := newClone(t)
	env, err := os.ReadFile(filepath.Join(c.root, ".local", "env"))
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, ".local/env", string(env)+"MYSQL_PORT=1\nRABBITMQ_PORT=1\n")
	if got := c.run(t, "ping\n", nil, "redis-cli"); got.code != 0 || strings.TrimSpace(got.stdout) != "PONG" {
		t.Errorf("exit code %d, %q and %q", got.code, got.stdout, got.stderr)
	}
}

func TestShellsAndLists(t *testing.T) {
	c := newClone(t)
	c.compose(t)
	tests := map[string]struct {
		stack, command, stdin string
		prints                []string // in this order
	}{
		"mysql, local":    {"local", "mysql-shell", "SELECT DATABASE(), role_name FROM Role;", []string{c.database, "Señor", "😀"}},
		"mysql, compose":  {"compose", "mysql-shell", "SELECT DATABASE(), role_name FROM Role;", []string{c.database, "Señor", "😀"}},
		"redis, local":    {"local", "redis-cli", "PING\n", []string{"PONG"}},
		"redis, compose":  {"compose", "redis-cli", "PING\n", []string{"PONG"}},
		"queues, local":   {"local", "queues", "", []string{"Queues of /", "name", "batch_processed", "Connections", "Exchanges of /", "(default)", "amq.topic"}},
		"queues, compose": {"compose", "queues", "", []string{"Queues of /", "name", "alfa  list_queues", "zeta", "Connections", "list_connections", "Exchanges of /", "list_exchanges"}},
		"logs, local":     {"local", "logs", "", []string{"serving"}},
		"logs, compose":   {"compose", "logs", "", []string{"logs of " + c.root, "--tail=30"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := c.run(t, test.stdin, []string{"STACK=" + test.stack}, test.command)
			rest := got.stdout
			for _, want := range test.prints {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("exit code %d; %q is not in its place in\n%s\n%s", got.code, want, got.stdout, got.stderr)
				}
				rest = after
			}
			if got.code != 0 {
				t.Errorf("exit code %d: %s", got.code, got.stderr)
			}
		})
	}
}

// When nothing runs any more, the logs tell why.
func TestLogsOfWhatHasEnded(t *testing.T) {
	c := newClone(t)
	c.write(t, ".local/env", "MYSQL_HOST=127.0.0.1 MYSQL_PORT=1 RABBITMQ_HOST=127.0.0.1 RABBITMQ_PORT=1 REDIS_HOST=127.0.0.1 REDIS_PORT=1\n")
	if got := c.run(t, "", nil, "logs"); got.code != 0 || !strings.Contains(got.stdout, "serving") {
		t.Errorf("exit code %d, %q and %q", got.code, got.stdout, got.stderr)
	}
	if got := c.run(t, "", nil, "queues"); got.code == 0 {
		t.Errorf("the queues of a broker that does not run: %q", got.stdout)
	}
}
