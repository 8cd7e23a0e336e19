package docker

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/template"
)

// documented is a variable of .env.example.
type documented struct {
	value string
	shown bool // behind a #: the value is the default
}

func documentation(t *testing.T) map[string]documented {
	t.Helper()
	content, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]documented{}
	for _, m := range regexp.MustCompile(`(?m)^(#?)([A-Z][A-Z0-9_]+)=(.*)$`).FindAllStringSubmatch(string(content), -1) {
		found[m[2]] = documented{value: m[3], shown: m[1] != ""}
	}
	return found
}

// handedOn lists the variables that a service gets as they are, if they are set.
func handedOn(service any) []string {
	var names []string
	variables, _ := service.(map[string]any)["environment"].(map[string]any)
	for name, value := range variables {
		if value == nil {
			names = append(names, name)
		}
	}
	return names
}

// For programs on the host: between containers these are fixed.
var hostOnly = []string{"GATEWAY_HOST", "WORKER_HOST", "WORKER_PORT", "RABBITMQ_HOST", "REDIS_HOST", "MYSQL_HOST", "MYSQL_TLS", "DATABASE_URL",
	"INGESTA_URL", "INGESTA_TOKEN", "INGESTA_OUTPUT"}

func TestVariablesAreDocumented(t *testing.T) {
	known, model := documentation(t), text(t)
	used := template.ExtractVariables(model, nil)
	for _, service := range model["services"].(map[string]any) {
		for _, name := range handedOn(service) {
			if _, ok := used[name]; !ok {
				used[name] = template.Variable{}
			}
		}
	}
	for name, variable := range used {
		entry, ok := known[name]
		if !ok {
			t.Errorf("docker-compose.yml uses %s, and .env.example does not have it", name)
		} else if entry.shown && variable.DefaultValue != "" && !strings.HasPrefix(variable.DefaultValue, "$") && name != "CATALOG_FILE" && entry.value != variable.DefaultValue {
			t.Errorf(".env.example says that the default of %s is %q, and docker-compose.yml takes %q", name, entry.value, variable.DefaultValue)
		}
	}
	for name := range known {
		_, ok := used[name]
		if ok == slices.Contains(hostOnly, name) {
			t.Errorf(".env.example has %s: containers get it: %t; want either that or an entry among those for the host", name, ok)
		}
	}
}

// Settings that only some programs read.
var settingsOf = map[string][]string{
	"INGESTA_URL":               nil, // these are of the operator's program
	"INGESTA_TOKEN":             nil,
	"INGESTA_OUTPUT":            nil,
	"INGESTA_MASK_SALT":         workers(),
	"INGESTA_POSTGRES_PARALLEL": {"worker-postgresql"},
}

func TestProgramsGetEverySetting(t *testing.T) {
	services := text(t)["services"].(map[string]any)
	for name := range documentation(t) {
		if strings.HasPrefix(name, "AUTH_") && !slices.Contains(handedOn(services["gateway"]), name) {
			t.Errorf("gateway does not get %s", name)
		}
		if !strings.HasPrefix(name, "INGESTA_") && !strings.HasPrefix(name, "LOG_") {
			continue
		}
		readers, own := settingsOf[name]
		if !own {
			readers = append(workers(), "gateway")
		}
		for _, program := range readers {
			if !slices.Contains(handedOn(services[program]), name) {
				t.Errorf("%s does not get %s", program, name)
			}
		}
	}
}

// secrets are the variables of .env that nobody else may read.
var secrets = []string{
	"MYSQL_ROOT_PASSWORD", "MYSQL_PASSWORD", "RABBITMQ_PASSWORD", "RABBITMQ_ADMIN_PASSWORD", "REDIS_PASSWORD", "MONGO_PASSWORD", "MONGO_URI",
	"SOURCE_MYSQL_PASSWORD", "POSTGRES_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AUTH_JWT_SECRET", "INGESTA_MASK_SALT", "INGESTA_TOKEN",
}

// A secret comes from .env, and reaches those that need it, through their environment: an argument
// shows in every process list.
func TestSecrets(t *testing.T) {
	looksSecret := regexp.MustCompile(`PASS|SECRET|TOKEN|_URI$|_KEY|AUTH$`)
	for name := range documentation(t) {
		if looksSecret.MatchString(name) && !slices.Contains(secrets, name) && name != "INGESTA_KEY_TEMPLATE" {
			t.Errorf("%s looks like a secret, and this test does not know it", name)
		}
	}
	marked := map[string]string{}
	for _, name := range secrets {
		marked[name] = "secret(" + name + ")"
	}
	project := load(t, marked, everything...)
	products := append(workers(), "gateway", "db-init", "check")
	holders := map[string][]string{
		"MYSQL_ROOT_PASSWORD":     {"mysql"},
		"MYSQL_PASSWORD":          {"mysql", "db-init", "check"},
		"RABBITMQ_PASSWORD":       products, // the broker gets the administrator's
		"RABBITMQ_ADMIN_PASSWORD": {"rabbitmq", "db-init", "check"},
		"REDIS_PASSWORD":          append([]string{"redis"}, products...),
		"MONGO_PASSWORD":          {"mongodb", "demo-data", "worker-mongodb", "check"},
		"MONGO_URI":               {"worker-mongodb", "check"},
		"SOURCE_MYSQL_PASSWORD":   {"source-mysql", "demo-data", "worker-mysql", "check"},
		"POSTGRES_PASSWORD":       {"postgresql", "demo-data", "worker-postgresql", "check"},
		"AWS_ACCESS_KEY_ID":       append([]string{"s3", "check", "gateway"}, workers()...),
		"AWS_SECRET_ACCESS_KEY":   append([]string{"s3", "check", "gateway"}, workers()...),
		"AWS_SESSION_TOKEN":       append(workers(), "check", "gateway"),
		"AUTH_JWT_SECRET":         {"gateway"},
		"INGESTA_MASK_SALT":       append(workers(), "check"),
	}
	for secret, want := range holders {
		var got []string
		for name, s := range project.Services {
			if slices.Contains(slices.Collect(maps.Values(environment(s))), marked[secret]) {
				got = append(got, name)
			}
			s.Environment = nil
			if rest := fmt.Sprintf("%+v %+v %+v %+v %+v", s.Command, s.Entrypoint, s.HealthCheck, s.Labels, s.Build); strings.Contains(rest, marked[secret]) {
				t.Errorf("%s of %s is where every process list shows it", secret, name)
			}
		}
		equal(t, "those who get "+secret, got, want)
	}

	// Without .env there is no password, and the core does not start without one.
	services := text(t)["services"].(map[string]any)
	for name, service := range services {
		variables, _ := service.(map[string]any)["environment"].(map[string]any)
		for variable, value := range variables {
			if !looksSecret.MatchString(variable) || value == nil || variable == "MYSQL_RANDOM_ROOT_PASSWORD" || variable == "INGESTA_KEY_TEMPLATE" {
				continue
			}
			if !regexp.MustCompile(`^(\$\{[A-Z_]+:-)?\$\{[A-Z_]+(:-|:\?.*)\}+$`).MatchString(fmt.Sprint(value)) {
				t.Errorf("%s of %s is %q: want it from .env alone", variable, name, value)
			}
		}
	}
	for _, name := range []string{"MYSQL_ROOT_PASSWORD", "MYSQL_PASSWORD", "RABBITMQ_PASSWORD", "REDIS_PASSWORD"} {
		options := options(t)
		options.Environment = variables(t, map[string]string{name: ""})
		if _, err := options.LoadProject(t.Context()); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), ".env.example") {
			t.Errorf("without %s: %v; want an error that names it and says what to do", name, err)
		}
	}
}
