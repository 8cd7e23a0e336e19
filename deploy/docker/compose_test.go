// Package docker holds docker-compose.yml and the Dockerfile to what the README promises of them.
package docker

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	logged "github.com/sirupsen/logrus/hooks/test"
)

const (
	root   = "../.."
	sample = root + "/.env.example"
)

// everything is all profiles that the file has.
var everything = []string{"sources", "s3", "check"}

// variables are those of .env.example with changes made to them: what docker compose sees after
// `cp .env.example .env` and some editing. A change to "" takes a variable away.
func variables(t *testing.T, changes map[string]string) map[string]string {
	t.Helper()
	values, err := dotenv.Read(sample)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(values, changes)
	maps.DeleteFunc(values, func(_, value string) bool { return value == "" })
	return values
}

// load reads docker-compose.yml as docker compose does, with the changed sample variables. A warning
// fails the test: users would see it at every command.
func load(t *testing.T, changes map[string]string, profiles ...string) *types.Project {
	t.Helper()
	warnings := logged.NewGlobal()
	defer warnings.Reset()
	options := options(t, cli.WithProfiles(profiles))
	options.Environment = variables(t, changes)
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("docker compose would refuse the file: %v", err)
	}
	for _, entry := range warnings.AllEntries() {
		t.Errorf("docker compose would warn: %s", entry.Message)
	}
	return project
}

// text reads docker-compose.yml as it is written: variables are not filled in, and what it includes
// is not there.
func text(t *testing.T) map[string]any {
	t.Helper()
	model, err := options(t, cli.WithProfiles(everything), cli.WithLoadOptions(func(o *loader.Options) {
		o.SkipInterpolation, o.SkipInclude, o.SkipNormalization, o.SkipConsistencyCheck = true, true, true, true
	})).LoadModel(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func options(t *testing.T, more ...cli.ProjectOptionsFn) *cli.ProjectOptions {
	t.Helper()
	folder, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	options, err := cli.NewProjectOptions([]string{filepath.Join(folder, "docker-compose.yml")}, append(more, cli.WithWorkingDirectory(folder))...)
	if err != nil {
		t.Fatal(err)
	}
	return options
}

func service(t *testing.T, project *types.Project, name string) types.ServiceConfig {
	t.Helper()
	s, err := project.GetService(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// environment returns what a service's container gets: a setting that nobody has set is left out.
func environment(s types.ServiceConfig) map[string]string {
	values := map[string]string{}
	for name, value := range s.Environment {
		if value != nil {
			values[name] = *value
		}
	}
	return values
}

// equal reports a list that is not the wanted one, in any order.
func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}
