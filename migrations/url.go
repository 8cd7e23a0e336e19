package migrations

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// schemes begin the addresses that are read. What follows the plus sign is the Python driver that
// other services of the system connect with; it makes no difference here.
var schemes = []string{"mysql", "mysql+pymysql", "mysql+aiomysql", "mysql+mysqldb", "mysql+asyncmy"}

// sqlAlchemyURL splits an address as SQLAlchemy does, which other services read it with: user and
// password end at the first @, and may hold what net/url does not allow there.
var sqlAlchemyURL = regexp.MustCompile(`^([\w+]+)://([^:/]*)(?::([^@]*))?@(?:\[([^/?\]]+)\]|([^/:?\[\]]+))?(?::([^/?]*))?(?:/([^?]*))?(?:\?(.*))?$`)

// ignored are parameters that say nothing new: sessions here speak utf8mb4 and have a timeout.
var ignored = []string{"charset", "use_unicode", "binary_prefix", "connect_timeout"}

// sslValues translate the parameters ssl and ssl_mode into the driver's modes.
var sslValues = map[string]map[string]string{
	"ssl": {"true": "true", "1": "true", "false": "false", "0": "false"},
	"ssl_mode": {
		"DISABLED": "false", "PREFERRED": "preferred", "REQUIRED": "skip-verify", "VERIFY_IDENTITY": "true",
	},
}

// parseURL reads a DATABASE_URL and reports everything that is wrong with it. tls is the mode for
// one that says nothing about it. Errors show nothing of an address except names of parameters
// that stand where no password can be.
func parseURL(text, tls string) (address, error) {
	_, rest, ok := strings.Cut(text, "://")
	switch at := strings.Count(rest, "@"); {
	case ok && at == 0:
		return address{}, errors.New("DATABASE_URL names no user: write mysql+pymysql://user:password@host:port/database")
	case ok && at > 1: // some of the password may be behind one of them
		return address{}, errors.New("DATABASE_URL has more than one @: one in the user or the password is written %40")
	}
	parts := sqlAlchemyURL.FindStringSubmatch(text)
	if parts == nil {
		return address{}, errors.New("DATABASE_URL is not of the form mysql+pymysql://user:password@host:port/database")
	}
	scheme, user, password, ipv6, host, port, database, query := parts[1], parts[2], parts[3], parts[4], parts[5], parts[6], parts[7], parts[8]
	if !slices.Contains(schemes, scheme) {
		return address{}, fmt.Errorf("DATABASE_URL does not lead to a MySQL server: it has to begin with one of %s://", strings.Join(schemes, "://, "))
	}
	var problems []error
	complain := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("DATABASE_URL "+format, args...))
	}
	a := address{host: ipv6 + host, port: 3306, database: database, tls: tls}
	if a.host == "" {
		a.host = "localhost"
	}
	var err error
	if a.user, err = url.PathUnescape(user); err != nil {
		complain("has a user with a %% that two hex digits do not follow: the sign itself is written %%25")
	} else if a.user == "" {
		complain("has an empty user")
	}
	if a.password, err = url.PathUnescape(password); err != nil {
		complain("has a password with a %% that two hex digits do not follow: the sign itself is written %%25")
	}
	if port != "" {
		if a.port, err = strconv.Atoi(port); err != nil || a.port < 1 || a.port > 65535 {
			complain("has a port that is no number from 1 to 65535")
		}
	}
	if a.database == "" {
		complain("names no database: it ends in /flowlite_db or the like")
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		complain("has parameters (behind the question mark) that cannot be read")
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		modes, known := sslValues[name]
		switch {
		case slices.Contains(ignored, name):
		case !known:
			complain("has the parameter %q, which is not supported here: leave it out (MYSQL_TLS is about TLS)", name)
		default:
			mode, ok := modes[params.Get(name)]
			if !ok {
				complain("has a value of the parameter %q that is not supported here: leave it out and set MYSQL_TLS", name)
			}
			a.tls = mode
		}
	}
	return a, errors.Join(problems...)
}
