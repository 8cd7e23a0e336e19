package e2e

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caarlos0/env/v11"

	"github.com/pharmavida/ingesta/gateway"
	"github.com/pharmavida/ingesta/migrations"
	"github.com/pharmavida/ingesta/shared/broker/management"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/telemetry"
	"github.com/pharmavida/ingesta/workers"
	"github.com/pharmavida/ingesta/workers/mongodb"
	"github.com/pharmavida/ingesta/workers/mysql"
	"github.com/pharmavida/ingesta/workers/postgresql"
)

// The programs' Config structs, the list of known variables and .env.example agree: no variable
// is undocumented, none is documented in vain, and the defaults shown are the true ones.
func TestVariablesAreDocumented(t *testing.T) {
	var programs struct {
		Telemetry  telemetry.Config
		Schema     migrations.Config
		Management management.Config
		Gateway    gateway.Config
		Worker     workers.Config
		MongoDB    mongodb.Config
		MySQL      mysql.Config
		PostgreSQL postgresql.Config
	}
	fields, err := env.GetFieldParams(&programs)
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	type entry struct{ value, sample string }
	documented := map[string]entry{}
	// What only docker-compose.yml reads is held against it by the tests of deploy/docker.
	programsOwn, _, found := strings.Cut(string(example), "── Docker Compose ──")
	if !found {
		t.Error(".env.example has no section Docker Compose")
	}
	for _, line := range strings.Split(programsOwn, "\n") {
		if m := regexp.MustCompile(`^(#?)([A-Z][A-Z0-9_]+)=(.*)$`).FindStringSubmatch(line); m != nil {
			if _, twice := documented[m[2]]; twice {
				t.Errorf(".env.example has %s twice", m[2])
			}
			documented[m[2]] = entry{value: m[3], sample: m[1]}
		}
	}

	var read []string
	for _, field := range fields {
		if field.Key == "" {
			continue
		}
		read = append(read, field.Key)
		e, ok := documented[field.Key]
		if !ok {
			t.Errorf(".env.example lacks %s", field.Key)
		} else if e.sample == "#" && e.value != field.DefaultValue {
			t.Errorf(".env.example says that the default of %s is %q, and it is %q", field.Key, e.value, field.DefaultValue)
		}
		if strings.HasPrefix(field.Key, "INGESTA_") && !slices.Contains(config.Variables(), field.Key) {
			t.Errorf("the list of known variables lacks %s", field.Key)
		}
	}
	// The operator's program takes them by itself: they may also come from a file of its own.
	operators := []string{"INGESTA_URL", "INGESTA_TOKEN", "INGESTA_OUTPUT"}
	for _, name := range operators {
		if _, ok := documented[name]; !ok {
			t.Errorf(".env.example lacks %s", name)
		}
	}
	read = append(read, operators...)
	for name := range documented {
		if !slices.Contains(read, name) {
			t.Errorf(".env.example documents %s, which no program reads", name)
		}
	}
	for _, name := range config.Variables() {
		if !slices.Contains(read, name) {
			t.Errorf("the list of known variables has %s, which no program reads", name)
		}
	}
}
