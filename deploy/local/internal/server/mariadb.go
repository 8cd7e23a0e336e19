package server

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
)

// MariaDB is a private MariaDB server, which speaks for MySQL.
type MariaDB struct {
	Data          string
	Port          int
	AdminUser     string
	AdminPassword string
}

// Server describes the process.
func (m MariaDB) Server() Server {
	return Server{
		Name:         "mariadb",
		Port:         m.Port,
		Prepare:      m.prepare,
		Ready:        func(ctx context.Context) error { _, err := m.Run(ctx, "mysql", "SELECT 1"); return err },
		StartTimeout: time.Minute,
		Stop:         syscall.SIGTERM,
		Grace:        30 * time.Second,
	}
}

func (m MariaDB) prepare(ctx context.Context) (Launch, error) {
	account, err := process.System("mysql")
	if err != nil {
		return Launch{}, err
	}
	// A server that starts deletes the temporary tables that it finds in its folder for them: in a
	// shared one also those of another server.
	temporary := filepath.Join(m.Data, "tmp")
	for _, folder := range []string{m.Data, temporary} {
		if err := account.MkdirAll(folder); err != nil {
			return Launch{}, err
		}
	}
	files := filepath.Join(m.Data, "files")
	err = initialise(files, account, func(unfinished string) error {
		install, err := program("/usr/bin/mariadb-install-db")
		if err != nil {
			return err
		}
		_, err = process.Command{
			Path: install,
			Args: []string{"--no-defaults", "--datadir=" + unfinished, "--auth-root-authentication-method=normal",
				"--skip-test-db", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"},
			Env: baseEnv(m.Data), Dir: m.Data, Account: account,
		}.Run(ctx)
		return err
	})
	if err != nil {
		return Launch{}, err
	}
	// Runs before the first connection is accepted, at every start.
	accounts := filepath.Join(m.Data, "accounts.sql")
	if err := account.WriteFile(accounts, m.accountsSQL(), 0o600); err != nil {
		return Launch{}, err
	}
	mariadbd, err := program("/usr/sbin/mariadbd")
	if err != nil {
		return Launch{}, err
	}
	return Launch{
		Command: process.Command{
			Path: mariadbd,
			Args: []string{"--no-defaults", "--datadir=" + files, "--tmpdir=" + temporary, "--bind-address=" + Host, "--port=" + strconv.Itoa(m.Port),
				"--socket=" + filepath.Join(m.Data, "socket"), "--pid-file=" + filepath.Join(m.Data, "pid"),
				"--init-file=" + accounts, "--skip-name-resolve", "--default-time-zone=+00:00",
				"--character-set-server=utf8mb4", "--collation-server=utf8mb4_unicode_ci",
				"--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=O_DIRECT_NO_FSYNC", "--innodb-buffer-pool-size=128M",
				"--skip-log-bin", "--max-connections=300"},
			Env: baseEnv(m.Data), Dir: m.Data, Account: account,
		},
		Configuration: m.accountsSQL(),
	}, nil
}

// accountsSQL gives the administrator's accounts their password: the installation makes them without
// one. Without name resolution a connection over TCP is from '127.0.0.1', not from 'localhost'.
func (m MariaDB) accountsSQL() string {
	sql := "DROP USER IF EXISTS ''@'localhost', 'root'@'::1';\n"
	for _, host := range []string{"localhost", Host} {
		account := sqlString(m.AdminUser) + "@" + sqlString(host)
		sql += "CREATE OR REPLACE USER " + account + " IDENTIFIED BY " + sqlString(m.AdminPassword) + ";\n" +
			"GRANT ALL PRIVILEGES ON *.* TO " + account + " WITH GRANT OPTION;\n"
	}
	return sql
}

// sqlString quotes a text for SQL, for MariaDB's default mode with backslash escapes.
func sqlString(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}

// Run runs SQL as the administrator and returns what it selects: fields split by tabs, one line a row.
func (m MariaDB) Run(ctx context.Context, database, sql string) (string, error) {
	client, err := program("/usr/bin/mariadb")
	if err != nil {
		return "", err
	}
	return process.Command{
		Path: client,
		Args: []string{"--no-defaults", "--batch", "--skip-column-names", "--default-character-set=utf8mb4", "--protocol=tcp",
			"--connect-timeout=5", "--host=" + Host, "--port=" + strconv.Itoa(m.Port), "--user=" + m.AdminUser, database},
		Env:   append(baseEnv("/nonexistent"), "MYSQL_PWD="+m.AdminPassword),
		Dir:   "/",
		Stdin: sql,
	}.Run(ctx)
}
