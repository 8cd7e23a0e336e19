package migrations

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/migrations/migrationstest"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// login makes a user of the test's own with the given rights on the database, and returns the
// configuration with that user.
func (p place) login(t *testing.T, rights string) Config {
	t.Helper()
	cfg := p.cfg
	cfg.User, cfg.Password = p.cfg.Database, secret
	migrationstest.Exec(t, p.admin, fmt.Sprintf("CREATE USER %s@'%%' IDENTIFIED BY '%s'", cfg.User, secret))
	t.Cleanup(func() { migrationstest.Exec(t, p.admin, fmt.Sprintf("DROP USER %s@'%%'", cfg.User)) })
	if rights != "" {
		migrationstest.Exec(t, p.admin, fmt.Sprintf("GRANT %s ON %s.* TO %s@'%%'", rights, p.cfg.Database, cfg.User))
	}
	return cfg
}

func TestFailuresOfAccess(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	grant := "GRANT ALL PRIVILEGES ON " + p.cfg.Database + ".* TO '" + p.cfg.Database + "'@'%';"
	denied := p.login(t, "")
	wrong := denied
	wrong.Password = "no-" + secret
	missing := p.cfg
	missing.User, missing.Password = stacktest.Env(t, "LOCAL_MYSQL_ADMIN_USER"), config.Secret(stacktest.Env(t, "LOCAL_MYSQL_ADMIN_PASSWORD"))
	missing.Database += "x"
	closed := p.cfg
	closed.Host, closed.Port, closed.Password = "127.0.0.1", stacktest.FreePort(t), secret
	unknown := closed
	unknown.Host = "nowhere.invalid"
	rude := closed
	rude.Port = rudeServer(t)
	url := closed
	url.URL = config.Secret(fmt.Sprintf("mysql://u:%s@127.0.0.1:%d/x", secret, closed.Port))
	tls := denied
	tls.TLS = "true"

	tests := []struct {
		name      string
		cfg       Config
		number    uint16
		transient bool
		want      []string
	}{
		{"wrong password", wrong, 1045, false, []string{"refused the login of " + denied.User, "MYSQL_PASSWORD", grant}},
		{"no right to the database", denied, 1044, false, []string{"has no right to use database", grant}},
		{"no such database", missing, 1049, false, []string{"has no database " + missing.Database, "CREATE DATABASE " + missing.Database}},
		{"nobody listens", closed, 0, true, []string{"cannot be reached", fmt.Sprintf("127.0.0.1:%d", closed.Port), "refused"}},
		{"nobody listens, by URL", url, 0, true, []string{"cannot be reached", fmt.Sprintf("127.0.0.1:%d", closed.Port)}},
		{"no such host", unknown, 0, true, []string{"cannot be reached", "nowhere.invalid"}},
		{"a server that hangs up", rude, 0, true, []string{"cannot be reached"}},
		{"no TLS, or none to be trusted", tls, 0, false, []string{"127.0.0.1", "MYSQL_TLS"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Open(t.Context(), tt.cfg, slog.New(slog.DiscardHandler))
			if err == nil {
				_ = m.Close()
				t.Fatal("want an error, got none")
			}
			e, ok := errors.AsType[*ServerError](err)
			if !ok || e.Number != tt.number || Transient(err) != tt.transient {
				t.Errorf("got %v (%+v), want error %d, transient: %t", err, e, tt.number, tt.transient)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwant in it %q", err, want)
				}
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, e), secret) {
				t.Errorf("the password is shown: %v", err)
			}
		})
	}
}

// rudeServer accepts connections and closes them, as a container's proxy does while the server
// within starts, and returns its port.
func rudeServer(t *testing.T) int {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return listener.Addr().(*net.TCPAddr).Port
}

// A server that accepts and says nothing is given up, and tried again by whoever waits for it.
func TestSilentServer(t *testing.T) {
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cfg := Config{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, User: "u", Password: secret, Database: "x", TLS: "preferred"}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, cfg, slog.New(slog.DiscardHandler)); !Transient(err) {
		t.Errorf("got %v, want a failure that may pass", err)
	}
}

// A user who may not do everything hears which GRANT is needed, and nothing is dirty when the first
// migration could not begin.
func TestLackOfRights(t *testing.T) {
	t.Parallel()
	for rights, denied := range map[string]string{"SELECT": "CREATE", "SELECT, CREATE": "DELETE"} {
		t.Run(rights, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			cfg := p.login(t, rights)
			m, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = m.Close() }()
			steps, err := m.Up(t.Context())
			e, ok := errors.AsType[*ServerError](err)
			if !ok || e.Number != 1142 || e.Transient || len(steps) > 0 || errors.As(err, new(*DirtyError)) {
				t.Errorf("got %q, %v, want error 1142, which does not pass, and nothing dirty", spelled(steps), err)
			}
			for _, want := range []string{denied + " command denied", "GRANT ALL PRIVILEGES ON " + p.cfg.Database + ".* TO '" + cfg.User + "'@'%';"} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwant in it %q", err, want)
				}
			}
			if status, err := m.Status(t.Context()); err != nil || status.Dirty || status.State != StateEmpty {
				t.Errorf("got %+v, %v, want the database as it was", status, err)
			}
		})
	}
}

// To a user who may see some of the tables only, a healthy database looks half-made. The refusal
// says so before it says what to mend.
func TestHiddenTables(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		visible []string
		refusal error
	}{
		"a managed one":           {[]string{"User", versionTable}, new(MismatchError)},
		"without sight of either": {[]string{"User"}, new(AdoptionError)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			if _, err := p.migrator(t).Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			cfg := p.login(t, "")
			for _, table := range tt.visible {
				migrationstest.Exec(t, p.admin, fmt.Sprintf("GRANT ALL ON `%s`.`%s` TO %s@'%%'", p.cfg.Database, table, cfg.User))
			}
			m, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = m.Close() }()
			_, err = m.Up(t.Context())
			if reflect.TypeOf(err) != reflect.TypeOf(tt.refusal) {
				t.Fatalf("got %v, want a %T", err, tt.refusal)
			}
			sight := strings.Index(err.Error(), "may not see looks missing: if that may be it, an administrator first runs: GRANT ALL PRIVILEGES ON "+cfg.Database+".* TO '"+cfg.User+"'@'%';")
			if mend := strings.Index(strings.ToLower(err.Error()), "mend each"); sight < 0 || mend < sight {
				t.Errorf("got %v\nwant it to speak of the rights first", err)
			}
		})
	}
}

func TestGrantQuotesWhatItMust(t *testing.T) {
	for _, tt := range []struct {
		at   address
		want string
	}{
		{address{user: "flowlite_user", database: "flowlite_db"}, "GRANT ALL PRIVILEGES ON flowlite_db.* TO 'flowlite_user'@'%';"},
		{address{user: "o'brien", database: "flow-lite`"}, "GRANT ALL PRIVILEGES ON `flow-lite```.* TO 'o''brien'@'%';"},
	} {
		if got := tt.at.grant(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
