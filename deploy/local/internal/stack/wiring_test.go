package stack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/deploy/local/internal/ports"
	"github.com/pharmavida/ingesta/deploy/local/internal/state"
)

func wired(t *testing.T) wiring {
	t.Helper()
	layout, err := NewLayout(filepath.Join("..", "..", "..", ".."), "", func(string) string { return t.TempDir() })
	if err != nil {
		t.Fatal(err)
	}
	st, err := state.Open(layout.Data)
	if err != nil {
		t.Fatal(err)
	}
	chosen := map[string]int{}
	for _, part := range ports.Parts() {
		chosen[part.Name] = part.Default
	}
	w, err := wire(layout, chosen, st)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// The demonstration and the tests depend on these names.
func TestEnvironmentNames(t *testing.T) {
	names := `INGESTA_ENV AUTH_MODE INGESTA_URL GATEWAY_HOST GATEWAY_PORT WORKER_HOST
		MONGO_HOST MONGO_PORT MONGO_USER MONGO_PASSWORD MONGO_DATABASE
		SOURCE_MYSQL_HOST SOURCE_MYSQL_PORT SOURCE_MYSQL_USER SOURCE_MYSQL_PASSWORD SOURCE_MYSQL_DATABASE
		MYSQL_HOST MYSQL_PORT MYSQL_USER MYSQL_PASSWORD MYSQL_DATABASE MYSQL_ROOT_PASSWORD DATABASE_URL
		POSTGRES_HOST POSTGRES_PORT POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DATABASE
		AWS_BUCKET_NAME AWS_REGION AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_EC2_METADATA_DISABLED
		RABBITMQ_HOST RABBITMQ_PORT RABBITMQ_USER RABBITMQ_PASSWORD RABBITMQ_VHOST RABBITMQ_MANAGEMENT_PORT RABBITMQ_QUEUE
		REDIS_HOST REDIS_PORT REDIS_PASSWORD REDIS_DB
		LOCAL_POSTGRES_ADMIN_USER LOCAL_POSTGRES_ADMIN_PASSWORD LOCAL_MYSQL_ADMIN_USER LOCAL_MYSQL_ADMIN_PASSWORD
		LOCAL_RABBITMQ_CTL LOCAL_RABBITMQ_NODENAME LOCAL_RABBITMQ_HOME LOCAL_RABBITMQ_EPMD_PORT`
	got := map[string]string{}
	for _, e := range wired(t).environment() {
		if e.Key == "" {
			continue
		}
		if _, twice := got[e.Key]; twice {
			t.Errorf("%s is there twice", e.Key)
		}
		got[e.Key] = e.Value
	}
	for name := range strings.FieldsSeq(names) {
		if got[name] == "" {
			t.Errorf("%s is missing or empty", name)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s is nobody's wish: add it to this test", name)
	}
}

// A part without a port, or a server without a part, would only show at run time.
func TestEveryServerHasAPort(t *testing.T) {
	w := wired(t)
	seen := map[int]string{}
	for _, srv := range append(w.backing(), w.product()...) {
		if w.ports[srv.Name] != srv.Port || srv.Port == 0 {
			t.Errorf("%s listens on %d, its part says %d", srv.Name, srv.Port, w.ports[srv.Name])
		}
		if other := seen[srv.Port]; other != "" {
			t.Errorf("%s and %s share port %d", srv.Name, other, srv.Port)
		}
		seen[srv.Port] = srv.Name
	}
}

// The loader makes tables, which the logins of the product must not; how much it makes, only the caller says.
func TestLoaderHasTheAdministrators(t *testing.T) {
	w := wired(t)
	asked := map[string]string{"DEMO_ROWS": "1000"}
	last := map[string]string{} // of two values for a variable the latter counts
	for _, pair := range w.loaderEnvironment(func(name string) string { return asked[name] }) {
		name, value, _ := strings.Cut(pair, "=")
		last[name] = value
	}
	for name, want := range map[string]string{
		"POSTGRES_USER": w.postgres.AdminUser, "POSTGRES_PASSWORD": w.postgres.AdminPassword,
		"SOURCE_MYSQL_USER": w.mariadb.AdminUser, "SOURCE_MYSQL_PASSWORD": w.mariadb.AdminPassword,
		"SOURCE_MYSQL_DATABASE": w.source.Database, "MONGO_USER": w.mongodb.User,
		"DEMO_ROWS": "1000", "DEMO_DOCUMENTS": "",
	} {
		if last[name] != want {
			t.Errorf("the loader's %s is %q, want %q", name, last[name], want)
		}
	}
}

// RabbitMQ 3.10 silently stops importing at what it does not know; 4.x knows no ha-mode.
func TestPoliciesFitEveryBroker(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(wired(t).layout.Root, "deploy", "rabbitmq", "definitions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Policies []struct {
			Name       string
			ApplyTo    string `json:"apply-to"`
			Definition map[string]any
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Policies) == 0 {
		t.Error("there are no policies")
	}
	known := map[string]bool{"delivery-limit": true, "max-length": true, "overflow": true, "message-ttl": true}
	for _, policy := range file.Policies {
		if policy.ApplyTo != "queues" {
			t.Errorf("%s applies to %q; 3.10 knows queues, not quorum_queues", policy.Name, policy.ApplyTo)
		}
		for key := range policy.Definition {
			if !known[key] {
				t.Errorf("%s sets %s, which not every broker from 3.10 on takes", policy.Name, key)
			}
		}
	}
}
