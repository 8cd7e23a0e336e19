package stack

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pharmavida/ingesta/deploy/local/internal/envfile"
	"github.com/pharmavida/ingesta/deploy/local/internal/server"
	"github.com/pharmavida/ingesta/deploy/local/internal/state"
)

// What the product's documents name; nothing of it is secret.
const (
	bucket        = "pharmavida-ingesta"
	region        = "us-east-1"
	redisPassword = "flowlite_redis_pass_2024"
	redisDatabase = "0"
	rabbitVhost   = "/"
	eventQueue    = "batch_processed"
)

// wiring is every part of the stack with its ports and credentials filled in.
type wiring struct {
	layout Layout
	ports  map[string]int

	postgres server.Postgres
	mariadb  server.MariaDB
	redis    server.Redis
	rabbitmq server.RabbitMQ
	mongodb  server.FerretDB
	s3       server.VersityGW

	source, flowlite login
}

func wire(layout Layout, ports map[string]int, secrets *state.State) (wiring, error) {
	made := map[string]string{}
	for _, name := range []string{"postgresql_admin", "mariadb_admin", "erlang_cookie", "s3"} {
		secret, err := secrets.Secret(name)
		if err != nil {
			return wiring{}, err
		}
		made[name] = secret
	}
	data := func(name string) string { return filepath.Join(layout.Data, name) }
	source := login{Database: "pharmavida_db", User: "pharmavida_user", Password: "pharmavida123"}
	return wiring{
		layout: layout,
		ports:  ports,
		postgres: server.Postgres{Data: data("postgresql"), Port: ports["postgresql"],
			AdminUser: "postgres", AdminPassword: made["postgresql_admin"]},
		mariadb: server.MariaDB{Data: data("mariadb"), Port: ports["mariadb"],
			AdminUser: "root", AdminPassword: made["mariadb_admin"]},
		redis: server.Redis{Data: data("redis"), Port: ports["redis"], Password: redisPassword},
		rabbitmq: server.RabbitMQ{Data: data("rabbitmq"), Stack: layout.ID,
			Port: ports["rabbitmq"], ManagementPort: ports["management"], ErlangPort: ports["erlang"], EpmdPort: ports["epmd"],
			User: "admin", Password: "admin", Cookie: made["erlang_cookie"]},
		mongodb: server.FerretDB{Data: data("mongodb"), Tools: layout.Tools, Port: ports["mongodb"],
			User: "admin", Password: "pharmavida123", Database: source.Database},
		s3: server.VersityGW{Data: data("s3"), Tools: layout.Tools, Port: ports["s3"],
			Access: "ingesta", Secret: made["s3"], Region: region},
		source:   source,
		flowlite: login{Database: "flowlite_db", User: "flowlite_user", Password: "flowlite_password"},
	}, nil
}

// backing lists the servers under the product.
func (w wiring) backing() []server.Server {
	return []server.Server{w.postgres.Server(), w.mariadb.Server(), w.redis.Server(),
		w.rabbitmq.Epmd(), w.rabbitmq.Server(), w.mongodb.Server(), w.s3.Server()}
}

// program is one main package of the product.
type program struct {
	name         string
	source       string // relative to the clone
	portVariable string
}

func programs() []program {
	return []program{
		{"gateway", "./gateway/cmd/gateway", "GATEWAY_PORT"},
		{"worker-mongodb", "./workers/cmd/mongodb", "WORKER_PORT"},
		{"worker-mysql", "./workers/cmd/mysql", "WORKER_PORT"},
		{"worker-postgresql", "./workers/cmd/postgresql", "WORKER_PORT"},
	}
}

// product lists the gateway and the workers.
func (w wiring) product() []server.Server {
	var servers []server.Server
	for _, p := range programs() {
		servers = append(servers, server.Product{
			Name:         p.name,
			Binary:       filepath.Join(w.layout.Bin, p.name),
			Dir:          w.layout.Root,
			Port:         w.ports[p.name],
			PortVariable: p.portVariable,
			Environment:  w.productEnvironment(),
		}.Server())
	}
	return servers
}

// productEnvironment is what .local/env says, and what the caller set for the product alone. The rest
// of the caller's environment stays out: it would restart the product at every other terminal.
func (w wiring) productEnvironment() []string {
	var environment []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		switch {
		case name == "PATH", name == "HOME", name == "CATALOG_FILE",
			strings.HasPrefix(name, "INGESTA_") && !slices.Contains([]string{"INGESTA_ENV", "INGESTA_URL", "INGESTA_TOKEN", "INGESTA_TOKEN_FILE", "INGESTA_OUTPUT"}, name),
			strings.HasPrefix(name, "OTEL_"):
			environment = append(environment, variable)
		}
	}
	return append(environment, envfile.Pairs(w.environment())...)
}

// environment is the content of .local/env: how to reach everything, by the product's own names.
func (w wiring) environment() []envfile.Entry {
	port := func(name string) string { return strconv.Itoa(w.ports[name]) }
	url := func(name string) string { return "http://" + net.JoinHostPort(server.Host, port(name)) }
	return []envfile.Entry{
		envfile.Comment("Written by make up: how to reach the local stack. For a shell: set -a; . .local/env"),
		{Key: "INGESTA_ENV", Value: "development"},
		{Key: "AUTH_MODE", Value: "none"},
		{Key: "INGESTA_URL", Value: url("gateway")},
		{Key: "GATEWAY_HOST", Value: server.Host},
		{Key: "GATEWAY_PORT", Value: port("gateway")},
		{Key: "WORKER_HOST", Value: server.Host},

		envfile.Comment("PharmaVida's sources"),
		{Key: "MONGO_HOST", Value: server.Host},
		{Key: "MONGO_PORT", Value: port("mongodb")},
		{Key: "MONGO_USER", Value: w.mongodb.User},
		{Key: "MONGO_PASSWORD", Value: w.mongodb.Password},
		{Key: "MONGO_DATABASE", Value: w.mongodb.Database},
		{Key: "SOURCE_MYSQL_HOST", Value: server.Host},
		{Key: "SOURCE_MYSQL_PORT", Value: port("mariadb")},
		{Key: "SOURCE_MYSQL_USER", Value: w.source.User},
		{Key: "SOURCE_MYSQL_PASSWORD", Value: w.source.Password},
		{Key: "SOURCE_MYSQL_DATABASE", Value: w.source.Database},
		{Key: "POSTGRES_HOST", Value: server.Host},
		{Key: "POSTGRES_PORT", Value: port("postgresql")},
		{Key: "POSTGRES_USER", Value: w.source.User},
		{Key: "POSTGRES_PASSWORD", Value: w.source.Password},
		{Key: "POSTGRES_DATABASE", Value: w.source.Database},

		envfile.Comment("Flowlite's database, on the same private MariaDB"),
		{Key: "MYSQL_HOST", Value: server.Host},
		{Key: "MYSQL_PORT", Value: port("mariadb")},
		{Key: "MYSQL_USER", Value: w.flowlite.User},
		{Key: "MYSQL_PASSWORD", Value: w.flowlite.Password},
		{Key: "MYSQL_DATABASE", Value: w.flowlite.Database},
		{Key: "MYSQL_ROOT_PASSWORD", Value: w.mariadb.AdminPassword},
		{Key: "DATABASE_URL", Value: fmt.Sprintf("mysql+pymysql://%s:%s@%s:%s/%s",
			w.flowlite.User, w.flowlite.Password, server.Host, port("mariadb"), w.flowlite.Database)},

		envfile.Comment("S3"),
		{Key: "AWS_BUCKET_NAME", Value: bucket},
		{Key: "AWS_REGION", Value: region},
		{Key: "AWS_ENDPOINT_URL", Value: url("s3")},
		{Key: "AWS_ACCESS_KEY_ID", Value: w.s3.Access},
		{Key: "AWS_SECRET_ACCESS_KEY", Value: w.s3.Secret},
		{Key: "AWS_EC2_METADATA_DISABLED", Value: "true"},

		envfile.Comment("RabbitMQ and Redis"),
		{Key: "RABBITMQ_HOST", Value: server.Host},
		{Key: "RABBITMQ_PORT", Value: port("rabbitmq")},
		{Key: "RABBITMQ_USER", Value: w.rabbitmq.User},
		{Key: "RABBITMQ_PASSWORD", Value: w.rabbitmq.Password},
		{Key: "RABBITMQ_VHOST", Value: rabbitVhost},
		{Key: "RABBITMQ_MANAGEMENT_PORT", Value: port("management")},
		{Key: "RABBITMQ_QUEUE", Value: eventQueue},
		{Key: "REDIS_HOST", Value: server.Host},
		{Key: "REDIS_PORT", Value: port("redis")},
		{Key: "REDIS_PASSWORD", Value: redisPassword},
		{Key: "REDIS_DB", Value: redisDatabase},

		envfile.Comment("For tests only: administrators of the private servers"),
		{Key: "LOCAL_POSTGRES_ADMIN_USER", Value: w.postgres.AdminUser},
		{Key: "LOCAL_POSTGRES_ADMIN_PASSWORD", Value: w.postgres.AdminPassword},
		{Key: "LOCAL_MYSQL_ADMIN_USER", Value: w.mariadb.AdminUser},
		{Key: "LOCAL_MYSQL_ADMIN_PASSWORD", Value: w.mariadb.AdminPassword},
		envfile.Comment("For tests only: rabbitmqctl of this node is\n" +
			`HOME=$LOCAL_RABBITMQ_HOME ERL_EPMD_PORT=$LOCAL_RABBITMQ_EPMD_PORT $LOCAL_RABBITMQ_CTL -n $LOCAL_RABBITMQ_NODENAME …`),
		{Key: "LOCAL_RABBITMQ_CTL", Value: server.Control},
		{Key: "LOCAL_RABBITMQ_NODENAME", Value: w.rabbitmq.NodeName()},
		{Key: "LOCAL_RABBITMQ_HOME", Value: w.rabbitmq.Home()},
		{Key: "LOCAL_RABBITMQ_EPMD_PORT", Value: port("epmd")},
	}
}
