package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
)

// RabbitMQ is a private broker node with its own Erlang port mapper, cookie and name: it can neither
// join nor disturb another Erlang node on the machine.
type RabbitMQ struct {
	Data           string
	Stack          string // makes the node's name unique
	Port           int
	ManagementPort int
	ErlangPort     int // distribution: what rabbitmqctl talks to
	EpmdPort       int
	User           string // administrator, made when the node first starts
	Password       string // without blanks
	Cookie         string // upper-case letters and digits
}

// NodeName is the Erlang node's name. On localhost it needs no name resolution beyond /etc/hosts.
func (r RabbitMQ) NodeName() string { return "ingesta-" + r.Stack + "@localhost" }

// Home holds the cookie: HOME for rabbitmqctl.
func (r RabbitMQ) Home() string { return filepath.Join(r.Data, "home") }

// Control is rabbitmqctl itself. Debian's wrapper of that name would change HOME and so the cookie.
const Control = "/usr/lib/rabbitmq/bin/rabbitmqctl"

// Epmd describes the port mapper. It is started apart because a node would start one that outlives it.
func (r RabbitMQ) Epmd() Server {
	return Server{
		Name:         "epmd",
		Port:         r.EpmdPort,
		Prepare:      r.prepareEpmd,
		Ready:        func(ctx context.Context) error { return dial(ctx, r.EpmdPort) },
		StartTimeout: 10 * time.Second,
		Stop:         syscall.SIGTERM,
		Grace:        5 * time.Second,
	}
}

func (r RabbitMQ) prepareEpmd(context.Context) (Launch, error) {
	account, err := r.folders()
	if err != nil {
		return Launch{}, err
	}
	epmd, err := program("/usr/bin/epmd")
	if err != nil {
		return Launch{}, err
	}
	return Launch{Command: process.Command{
		Path: epmd, Args: []string{"-address", Host, "-port", strconv.Itoa(r.EpmdPort)},
		Env: baseEnv(r.Home()), Dir: r.Data, Account: account,
	}}, nil
}

// Server describes the broker.
func (r RabbitMQ) Server() Server {
	return Server{
		Name:         "rabbitmq",
		Port:         r.Port,
		Prepare:      r.prepare,
		Ready:        r.ready,
		StartTimeout: 2 * time.Minute,
		Stop:         syscall.SIGTERM,
		Grace:        45 * time.Second,
	}
}

func (r RabbitMQ) folders() (process.Account, error) {
	account, err := process.System("rabbitmq")
	if err != nil {
		return process.Account{}, err
	}
	for _, folder := range []string{r.Data, r.Home(), filepath.Join(r.Data, "config")} {
		if err := account.MkdirAll(folder); err != nil {
			return process.Account{}, err
		}
	}
	return account, nil
}

func (r RabbitMQ) prepare(context.Context) (Launch, error) {
	account, err := r.folders()
	if err != nil {
		return Launch{}, err
	}
	in := func(name string) string { return filepath.Join(r.Data, "config", name) }
	configuration := fmt.Sprintf(`listeners.tcp.1 = %[1]s:%[2]d
management.tcp.ip = %[1]s
management.tcp.port = %[3]d
default_user = %[4]s
default_pass = %[5]s
log.console = true
log.console.level = info
log.file = false
disk_free_limit.absolute = 50MB
`, Host, r.Port, r.ManagementPort, r.User, r.Password)
	for name, text := range map[string]string{
		"rabbitmq.conf":   configuration,
		"enabled_plugins": "[rabbitmq_management].\n",
	} {
		if err := account.WriteFile(in(name), text, 0o600); err != nil {
			return Launch{}, err
		}
	}
	cookie := filepath.Join(r.Home(), ".erlang.cookie")
	if _, err := os.Stat(cookie); errors.Is(err, fs.ErrNotExist) {
		if err := account.WriteFile(cookie, r.Cookie, 0o400); err != nil {
			return Launch{}, err
		}
	}

	server, err := program("/usr/lib/rabbitmq/bin/rabbitmq-server")
	if err != nil {
		return Launch{}, err
	}
	return Launch{
		Command: process.Command{
			Path: server, Dir: r.Data, Account: account,
			Env: append(baseEnv(r.Home()),
				"RABBITMQ_NODENAME="+r.NodeName(),
				"RABBITMQ_DIST_PORT="+strconv.Itoa(r.ErlangPort),
				"ERL_EPMD_PORT="+strconv.Itoa(r.EpmdPort),
				"ERL_EPMD_ADDRESS="+Host,
				"RABBITMQ_CONF_ENV_FILE="+in("none"), // not the machine's /etc/rabbitmq/rabbitmq-env.conf
				"RABBITMQ_CONFIG_FILE="+in("rabbitmq.conf"),
				"RABBITMQ_ADVANCED_CONFIG_FILE="+in("none.config"),
				"RABBITMQ_GENERATED_CONFIG_DIR="+in("generated"),
				"RABBITMQ_ENABLED_PLUGINS_FILE="+in("enabled_plugins"),
				"RABBITMQ_MNESIA_BASE="+filepath.Join(r.Data, "mnesia"),
				"RABBITMQ_LOG_BASE="+filepath.Join(r.Data, "log"),
				"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false",
				// As under systemd, the start script becomes the node instead of waiting for it.
				"RUNNING_UNDER_SYSTEMD=true",
			),
		},
		Configuration: configuration,
	}, nil
}

// ready wants what clients need to prepare the broker and to use it: the management API, and an AMQP log-in.
func (r RabbitMQ) ready(ctx context.Context) error {
	url := "http://" + net.JoinHostPort(Host, strconv.Itoa(r.ManagementPort)) + "/api/overview"
	if err := getOK(ctx, url, func(request *http.Request) { request.SetBasicAuth(r.User, r.Password) }); err != nil {
		return err
	}
	conn, err := amqp.DialConfig("amqp://"+net.JoinHostPort(Host, strconv.Itoa(r.Port))+"/", amqp.Config{
		SASL: []amqp.Authentication{&amqp.PlainAuth{Username: r.User, Password: r.Password}},
		Dial: amqp.DefaultDial(2 * time.Second),
	})
	if err != nil {
		return fmt.Errorf("logging in over AMQP: %w", err)
	}
	if err := conn.Close(); err != nil {
		return fmt.Errorf("logging out over AMQP: %w", err)
	}
	return nil
}

// dial succeeds when somebody accepts connections at the port.
func dial(ctx context.Context, port int) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(Host, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	return conn.Close()
}
