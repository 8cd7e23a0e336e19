package stack

import (
	"context"
	"fmt"
	"strings"

	"github.com/pharmavida/ingesta/deploy/local/internal/server"
)

// login is a database with the account that uses it. All are plain words: letters, digits, underscores.
type login struct {
	Database, User, Password string
}

// admitPostgres makes the source's database and its login, who may read whatever tables come into being there.
func admitPostgres(ctx context.Context, admin server.Postgres, source login) error {
	// Neither CREATE DATABASE nor CREATE ROLE knows IF NOT EXISTS.
	_, err := admin.Run(ctx, "postgres", fmt.Sprintf(`
SELECT 'CREATE DATABASE %[1]s' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '%[1]s') \gexec
\connect %[1]s
DO $$ BEGIN
    CREATE ROLE %[2]s;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
ALTER ROLE %[2]s LOGIN PASSWORD '%[3]s';
GRANT USAGE ON SCHEMA public TO %[2]s;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO %[2]s;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO %[2]s;
`, source.Database, source.User, source.Password))
	return err
}

// admitMariaDB makes the source's database with its login, who may read everything there, and Flowlite's, who
// may do everything.
func admitMariaDB(ctx context.Context, admin server.MariaDB, source, flowlite login) error {
	var sql strings.Builder
	for _, l := range []struct {
		login
		rights string
	}{{source, "SELECT"}, {flowlite, "ALL PRIVILEGES"}} {
		fmt.Fprintf(&sql, "CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;\n", l.Database)
		fmt.Fprintf(&sql, "CREATE USER IF NOT EXISTS '%s'@'%%' IDENTIFIED BY '%s';\n", l.User, l.Password)
		fmt.Fprintf(&sql, "GRANT %s ON `%s`.* TO '%s'@'%%';\n", l.rights, strings.ReplaceAll(l.Database, "_", `\_`), l.User)
	}
	_, err := admin.Run(ctx, "mysql", sql.String())
	return err
}
