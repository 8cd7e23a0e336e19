package migrations

import (
	"database/sql"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// connectTimeout bounds reaching the server.
const connectTimeout = 10 * time.Second

// address is where the database is and how to log in, whichever way it was said.
type address struct {
	host           string
	port           int
	user, password string
	database       string
	tls            string
}

// String shows the address without its password.
func (a address) String() string {
	return a.user + "@" + a.hostPort() + "/" + a.database
}

func (a address) hostPort() string { return net.JoinHostPort(a.host, strconv.Itoa(a.port)) }

// open returns a pool; several statements can be sent at once where multi says so.
func (a address) open(multi bool) (*sql.DB, error) {
	d := mysql.NewConfig()
	d.Net, d.Addr = "tcp", a.hostPort()
	d.User, d.Passwd, d.DBName = a.user, a.password, a.database
	d.TLSConfig = a.tls
	d.Timeout = connectTimeout
	d.ParseTime, d.Loc, d.Params = true, time.UTC, map[string]string{"time_zone": "'+00:00'"}
	d.MultiStatements = multi
	d.ConnectionAttributes = "program_name:ingesta"
	d.Logger = &mysql.NopLogger{} // what it has to say comes back as an error too
	connector, err := mysql.NewConnector(d)
	if err != nil {
		return nil, fmt.Errorf("reading the settings of Flowlite's database: %w", err)
	}
	return sql.OpenDB(connector), nil
}

// account is the user as SQL names it.
func (a address) account() string {
	return "'" + strings.ReplaceAll(a.user, "'", "''") + "'@'%'"
}

// grant is the statement that gives the user the rights that the migrations need.
func (a address) grant() string {
	return fmt.Sprintf("GRANT ALL PRIVILEGES ON %s.* TO %s;", quoteName(a.database), a.account())
}

// hidden says why tables may look missing that are there, and what helps.
func (a address) hidden() string {
	return fmt.Sprintf("What user %s may not see looks missing: if that may be it, an administrator first runs: %s", a.user, a.grant())
}

// plainName needs no quotes.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// quoteName quotes a name for SQL where it has to be.
func quoteName(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}
