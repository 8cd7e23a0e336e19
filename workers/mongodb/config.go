package mongodb

import (
	"errors"
	"net"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/pharmavida/ingesta/shared/config"
)

// Config says how to reach the server.
type Config struct {
	Host       string        `env:"MONGO_HOST" envDefault:"localhost"`
	Port       int           `env:"MONGO_PORT" envDefault:"27017"`
	User       string        `env:"MONGO_USER"` // empty: no authentication
	Password   config.Secret `env:"MONGO_PASSWORD"`
	AuthSource string        `env:"MONGO_AUTH_SOURCE" envDefault:"admin"` // the database that knows the user
	Database   string        `env:"MONGO_DATABASE" envDefault:"pharmavida_db"`

	// URI is a connection string for everything the settings above cannot say: several hosts,
	// TLS, compression, a read preference. It replaces all of them but Database.
	URI config.Secret `env:"MONGO_URI"`

	// Snapshot makes all datasets of an attempt show one state, where the server can. It keeps
	// history for minSnapshotHistoryWindowInSeconds (300 unless configured), and an export that
	// takes longer fails.
	Snapshot bool `env:"MONGO_SNAPSHOT" envDefault:"true"`

	ConnectTimeout time.Duration `env:"MONGO_CONNECT_TIMEOUT" envDefault:"10s"` // to find a server, and to connect to it
}

// application is how the sessions show in the server's logs and in currentOp.
const application = "ingesta"

// Validate reports values that the driver cannot work with.
func (c Config) Validate() error {
	var problems []error
	if c.Database == "" {
		problems = append(problems, errors.New("MONGO_DATABASE is empty"))
	}
	_, err := c.Driver()
	return errors.Join(append(problems, err)...)
}

// Driver returns the configuration in the driver's form. It is the caller's to change; no password
// is in the error.
func (c Config) Driver() (*options.ClientOptions, error) {
	opts := options.Client().
		SetAppName(application).
		SetServerSelectionTimeout(c.ConnectTimeout).
		SetConnectTimeout(c.ConnectTimeout)
	if c.URI != "" {
		opts.ApplyURI(c.URI.Reveal())
		if opts.Validate() != nil {
			// The driver's error quotes parts of what it could not read, which may be the password.
			return nil, errors.New("MONGO_URI is not a valid connection string")
		}
		return opts, nil
	}
	opts.SetHosts([]string{net.JoinHostPort(c.Host, strconv.Itoa(c.Port))})
	if c.User != "" {
		opts.SetAuth(options.Credential{
			AuthSource: c.AuthSource, Username: c.User, Password: c.Password.Reveal(), PasswordSet: true,
		})
	}
	if opts.Validate() != nil {
		return nil, errors.New("reading the MONGO_* settings: they do not make a valid address and login")
	}
	return opts, nil
}
