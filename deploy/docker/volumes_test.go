package docker

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// mount returns what a service has at a path.
func mount(s types.ServiceConfig, target string) *types.ServiceVolumeConfig {
	for _, m := range s.Volumes {
		if m.Target == target {
			return &m
		}
	}
	return nil
}

func TestDataOutlivesContainers(t *testing.T) {
	project := load(t, nil, everything...)
	var used []string
	for name, target := range map[string]string{
		"mysql": "/var/lib/mysql", "source-mysql": "/var/lib/mysql", "rabbitmq": "/var/lib/rabbitmq", "redis": "/data",
		"mongodb": "/data/db", "postgresql": "/var/lib/postgresql/data", "s3": "/data",
	} {
		m := mount(service(t, project, name), target)
		if m == nil || m.Type != types.VolumeTypeVolume || m.Source == "" {
			t.Errorf("%s keeps %s in %v: want a named volume", name, target, m)
			continue
		}
		used = append(used, m.Source)
	}
	equal(t, "volumes", used, slices.Collect(maps.Keys(project.Volumes)))
	if host := service(t, project, "rabbitmq").Hostname; host != "rabbitmq" {
		t.Errorf("the host name of rabbitmq is %q: a new container would not find the data of the old one", host)
	}
}

// All that a container sees of the machine is read-only, and made by nobody.
func TestMounts(t *testing.T) {
	project := load(t, map[string]string{"AWS_CREDENTIALS_DIR": "/srv/aws", "CATALOG_FILE": "/srv/my.yaml"}, everything...)
	for name, s := range project.Services {
		for _, m := range s.Volumes {
			if m.Type == types.VolumeTypeBind && (!m.ReadOnly || m.Bind == nil || bool(m.Bind.CreateHostPath)) {
				t.Errorf("%s mounts %s so that it can be written to, or is made by the engine: %+v", name, m.Source, m.Bind)
			}
		}
		credentials := mount(s, "/home/nonroot/.aws")
		if slices.Contains(append(workers(), "check", "gateway"), name) != (credentials != nil) {
			t.Errorf("%s mounts %v: the workers, their check and the gateway need AWS credentials, and nobody else", name, credentials)
		}
		if credentials != nil && (credentials.Source != "/srv/aws" || environment(s)["HOME"] != "/home/nonroot") {
			t.Errorf("%s mounts %s and looks for .aws in %q", name, credentials.Source, environment(s)["HOME"])
		}
		if path, reads := environment(s)["CATALOG_FILE"]; reads {
			if m := mount(s, path); m == nil || m.Source != "/srv/my.yaml" {
				t.Errorf("%s reads the catalog %s, which is %v: want CATALOG_FILE", name, path, m)
			}
		}
	}
	for _, name := range append(workers(), "gateway") {
		s := service(t, load(t, nil), name)
		if m := mount(s, environment(s)["CATALOG_FILE"]); m == nil || !strings.HasSuffix(m.Source, "/shared/catalog/datasets.yaml") {
			t.Errorf("without CATALOG_FILE %s reads %v: want the built-in catalog", name, m)
		}
	}
}
