package docker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestNetworks(t *testing.T) {
	project := load(t, nil, everything...)
	worker := []string{"internal", "public", "sources"}
	inside, published := []string{"internal"}, []string{"internal", "public"}
	for name, networks := range map[string][]string{
		"mysql": published, "rabbitmq": published, "redis": published, "gateway": published, "s3": published,
		"worker-mongodb": worker, "worker-mysql": worker, "worker-postgresql": worker,
		"db-init": inside, "demo-data": inside, "mongodb": inside, "source-mysql": inside, "postgresql": inside,
	} {
		s := service(t, project, name)
		equal(t, "networks of "+name, slices.Collect(maps.Keys(s.Networks)), networks)
		if s.NetworkMode != "" {
			t.Errorf("%s has the network mode %q beside its networks", name, s.NetworkMode)
		}
	}
	equal(t, "networks", project.NetworkNames(), worker)
	for name, network := range project.Networks {
		if network.Internal != (name == "internal") {
			t.Errorf("network %s: internal is %t: only the one between the services leads nowhere", name, network.Internal)
		}
	}
	for name, alias := range map[string]string{"mongodb": "pharmavida_mongodb", "source-mysql": "pharmavida_mysql", "postgresql": "pharmavida_postgresql"} {
		equal(t, "names of "+name, service(t, project, name).Networks["internal"].Aliases, []string{alias})
	}
}

// The three ways to the databases: a network of others, a remote host, the machine itself.
func TestWaysToTheDatabases(t *testing.T) {
	own := load(t, nil).Networks["sources"]
	if own.External || own.Name != "pharmavida-ingesta-sources" {
		t.Errorf("without DOCKER_NETWORK: network %q, external: %t; want one of our own", own.Name, own.External)
	}
	shared := load(t, map[string]string{"DOCKER_NETWORK": "pharmavida_default"})
	if network := shared.Networks["sources"]; !bool(network.External) || network.Name != "pharmavida_default" {
		t.Errorf("with DOCKER_NETWORK: network %q, external: %t; want the one it names", network.Name, network.External)
	}

	remote := load(t, map[string]string{"MONGO_HOST": "db.example.com", "SOURCE_MYSQL_HOST": "host.docker.internal", "SOURCE_MYSQL_PORT": "3307", "POSTGRES_HOST": ""})
	for name, want := range map[string]map[string]string{
		"worker-mongodb":    {"MONGO_HOST": "db.example.com", "MONGO_PORT": "27017"},
		"worker-mysql":      {"SOURCE_MYSQL_HOST": "host.docker.internal", "SOURCE_MYSQL_PORT": "3307"},
		"worker-postgresql": {"POSTGRES_HOST": "pharmavida_postgresql"},
	} {
		s := service(t, remote, name)
		for variable, value := range want {
			if got := environment(s)[variable]; got != value {
				t.Errorf("%s has %s=%s, want %s", name, variable, got, value)
			}
		}
		if got := s.ExtraHosts["host.docker.internal"]; !slices.Equal(got, []string{"host-gateway"}) {
			t.Errorf("%s cannot find the machine: host.docker.internal is %q", name, got)
		}
	}
}

// What .env says for programs on the host moves published ports, and nothing between containers.
func TestPorts(t *testing.T) {
	tests := []struct {
		name    string
		changes map[string]string
		want    []string
	}{
		{"the sample", nil, []string{
			"gateway 127.0.0.1:8000→8000", "mysql 127.0.0.1:3306→3306", "rabbitmq 127.0.0.1:5672→5672",
			"rabbitmq 127.0.0.1:15672→15672", "redis 127.0.0.1:6379→6379", "s3 127.0.0.1:7070→7070",
		}},
		{"others", map[string]string{
			"GATEWAY_HOST": "10.0.0.1", "GATEWAY_PORT": "1", "WORKER_HOST": "10.0.0.1", "WORKER_PORT": "2",
			"MYSQL_HOST": "10.0.0.1", "MYSQL_PORT": "3", "RABBITMQ_HOST": "10.0.0.1", "RABBITMQ_PORT": "4", "RABBITMQ_MANAGEMENT_PORT": "5",
			"REDIS_HOST": "10.0.0.1", "REDIS_PORT": "6", "S3_PORT": "7", "DATABASE_URL": "mysql://u:p@10.0.0.1:3/db",
		}, []string{
			"gateway 127.0.0.1:1→8000", "mysql 127.0.0.1:3→3306", "rabbitmq 127.0.0.1:4→5672",
			"rabbitmq 127.0.0.1:5→15672", "redis 127.0.0.1:6→6379", "s3 127.0.0.1:7→7070",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var ports []string
			for name, s := range load(t, test.changes, everything...).Services {
				for _, port := range s.Ports {
					ports = append(ports, fmt.Sprintf("%s %s:%s→%d", name, port.HostIP, port.Published, port.Target))
				}
				for variable, value := range environment(s) {
					if strings.Contains(value, "10.0.0.1") || strings.HasSuffix(variable, "_HOST") && value == "localhost" {
						t.Errorf("%s has %s=%s, which is for programs on the host", name, variable, value)
					}
				}
				for variable, want := range map[string]string{
					"GATEWAY_PORT": "8000", "WORKER_PORT": "8081", "MYSQL_HOST": "mysql", "MYSQL_PORT": "3306",
					"RABBITMQ_HOST": "rabbitmq", "RABBITMQ_PORT": "5672", "RABBITMQ_MANAGEMENT_PORT": "15672", "REDIS_HOST": "redis", "REDIS_PORT": "6379",
				} {
					if got, ok := environment(s)[variable]; ok && got != want {
						t.Errorf("%s has %s=%s, want %s whatever .env says", name, variable, got, want)
					}
				}
			}
			equal(t, "published ports", ports, test.want)
		})
	}
}
