package docker

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"
)

// Our own programs, by service: the image's last name, which is the Dockerfile's target too.
var programs = map[string]string{
	"gateway":           "gateway",
	"worker-mongodb":    "mongodb",
	"worker-mysql":      "mysql",
	"worker-postgresql": "postgresql",
	"db-init":           "migrate",
	"demo-data":         "demodata",
	"check":             "migrate",
}

// Those that run once and end.
var oneShot = []string{"db-init", "demo-data", "check"}

func workers() []string {
	return slices.DeleteFunc(slices.Collect(maps.Keys(programs)), func(name string) bool { return !strings.HasPrefix(name, "worker-") })
}

func TestProfiles(t *testing.T) {
	core := []string{"mysql", "rabbitmq", "redis", "db-init", "gateway", "worker-mongodb", "worker-mysql", "worker-postgresql"}
	sources := []string{"mongodb", "source-mysql", "postgresql", "demo-data"}
	tests := []struct {
		profiles []string
		services []string
	}{
		{nil, core},
		{[]string{"sources"}, slices.Concat(core, sources)},
		{[]string{"s3"}, append(slices.Clone(core), "s3")},
		{[]string{"check"}, append(slices.Clone(core), "check")},
		{everything, append(slices.Concat(core, sources), "s3", "check")},
	}
	for _, test := range tests {
		project := load(t, nil, test.profiles...) // refuses a dependency on a service that the profiles leave out
		equal(t, "services with the profiles "+strings.Join(test.profiles, ", "), project.ServiceNames(), test.services)
		if project.Name != "pharmavida-ingesta" {
			t.Errorf("the project is called %q: volumes and networks would be others in a clone of another name", project.Name)
		}
	}
}

func TestImages(t *testing.T) {
	project := load(t, nil, everything...)
	for name, target := range programs {
		s := service(t, project, name)
		if want := "pharmavida-ingesta-" + target + ":latest"; s.Image != want {
			t.Errorf("%s runs %s, want %s", name, s.Image, want)
		}
		if s.Build == nil || s.Build.Dockerfile != "deploy/docker/Dockerfile" {
			t.Errorf("%s is not built by deploy/docker/Dockerfile", name)
		} else if s.Build.Target != target {
			t.Errorf("%s is built as the target %s, want %s", name, s.Build.Target, target)
		}
	}
	servers := map[string]string{
		"mysql": "mysql:8.4", "rabbitmq": "rabbitmq:4-management", "redis": "redis:7",
		"mongodb": "mongo:8.0", "source-mysql": "mysql:8.4", "postgresql": "postgres:17", "s3": "versity/versitygw:v1.8.0",
	}
	for name, image := range servers {
		if got := service(t, project, name).Image; got != image {
			t.Errorf("%s runs %s, want %s", name, got, image)
		}
	}
	if got, want := len(project.Services), len(programs)+len(servers); got != want {
		t.Errorf("%d services, and this test knows %d", got, want)
	}

	older := load(t, map[string]string{"MYSQL_IMAGE": "mysql:8.0", "RABBITMQ_IMAGE": "rabbitmq:3.12-management", "IMAGE_TAG": "1.2"}, everything...)
	for name, image := range map[string]string{"mysql": "mysql:8.0", "source-mysql": "mysql:8.0", "rabbitmq": "rabbitmq:3.12-management", "gateway": "pharmavida-ingesta-gateway:1.2"} {
		if got := service(t, older, name).Image; got != image {
			t.Errorf("%s runs %s although .env says %s", name, got, image)
		}
	}
}

func TestContainerNames(t *testing.T) {
	want := map[string]string{"mysql": "flowlite-mysql", "rabbitmq": "flowlite-rabbitmq", "redis": "flowlite-redis", "db-init": "flowlite-db-init"}
	for name, s := range load(t, nil, everything...).Services {
		if s.ContainerName != want[name] {
			t.Errorf("the container of %s is called %q, want %q (\"\": by compose)", name, s.ContainerName, want[name])
		}
	}
}

func TestHealthChecks(t *testing.T) {
	for name, s := range load(t, nil, everything...).Services {
		if slices.Contains(oneShot, name) {
			if s.Restart != "no" || s.HealthCheck != nil {
				t.Errorf("%s runs once: restart is %q, want no, and a health check has nobody to ask", name, s.Restart)
			}
			continue
		}
		if s.Restart != "unless-stopped" {
			t.Errorf("%s has restart %q, want unless-stopped", name, s.Restart)
		}
		check := s.HealthCheck
		switch {
		case check == nil || check.Disable || len(check.Test) < 2:
			t.Errorf("%s has no health check", name)
		case check.Interval == nil || check.Timeout == nil || check.Retries == nil || check.StartPeriod == nil:
			t.Errorf("the health check of %s leaves interval, timeout, retries or start_period to the engine", name)
		case time.Duration(*check.Timeout) > time.Duration(*check.Interval):
			t.Errorf("health checks of %s would overtake each other: every %v, each up to %v", name, check.Interval, check.Timeout)
		}
	}
}

// The images of the databases set up a new volume with a server of their own, which must not count.
func TestDatabasesAreAskedOverTheNetwork(t *testing.T) {
	project := load(t, nil, everything...)
	for name, part := range map[string]string{
		"mysql":        "--protocol=tcp --host=127.0.0.1", // it has no network then
		"source-mysql": "--protocol=tcp --host=127.0.0.1",
		"postgresql":   "--host=127.0.0.1",          // nor has this
		"mongodb":      "--host pharmavida_mongodb", // it has the loopback address only
	} {
		if test := strings.Join(service(t, project, name).HealthCheck.Test, " "); !strings.Contains(test, part) {
			t.Errorf("the health check of %s is %s, want it with %s", name, test, part)
		}
	}
}

func TestOrder(t *testing.T) {
	const healthy, done = types.ServiceConditionHealthy, types.ServiceConditionCompletedSuccessfully
	worker := map[string]string{"db-init": done, "rabbitmq": healthy, "redis": healthy, "demo-data": done + "?", "s3": healthy + "?"}
	want := map[string]map[string]string{ // "?": only when its profile is on
		"db-init":           {"mysql": healthy, "rabbitmq": healthy, "redis": healthy},
		"gateway":           {"db-init": done, "rabbitmq": healthy, "redis": healthy},
		"worker-mongodb":    worker,
		"worker-mysql":      worker,
		"worker-postgresql": worker,
		"demo-data":         {"mongodb": healthy, "source-mysql": healthy, "postgresql": healthy},
	}
	for name, s := range load(t, nil, everything...).Services {
		got := map[string]string{}
		for other, dependency := range s.DependsOn {
			got[other] = dependency.Condition
			if !dependency.Required {
				got[other] += "?"
			}
		}
		if !maps.Equal(got, want[name]) {
			t.Errorf("%s waits for %v, want %v", name, got, want[name])
		}
	}
}

func TestEveryServiceIsBounded(t *testing.T) {
	for name, s := range load(t, nil, everything...).Services {
		if s.Deploy == nil || s.Deploy.Resources.Limits == nil {
			t.Errorf("%s has no limits", name)
			continue
		}
		limits := s.Deploy.Resources.Limits
		if limits.MemoryBytes <= 0 || limits.Pids <= 0 || limits.NanoCPUs <= 0 {
			t.Errorf("%s may take %d bytes, %v CPUs, %d processes: want a limit for each", name, limits.MemoryBytes, limits.NanoCPUs, limits.Pids)
		}
		if limits.NanoCPUs > 1 {
			t.Errorf("%s may take %v CPUs: an engine with one refuses more", name, limits.NanoCPUs)
		}
		if s.Logging == nil || s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
			t.Errorf("the log of %s grows for ever", name)
		}
		if _, ours := programs[name]; !ours {
			continue
		}
		// The collector has to know the limit, and needs room below it for what it does not count.
		heap, err := units.RAMInBytes(environment(s)["GOMEMLIMIT"])
		if limit := int64(limits.MemoryBytes); err != nil || heap < limit/2 || heap > limit*9/10 {
			t.Errorf("%s has GOMEMLIMIT %q of %d bytes (%v): want 50 to 90 %%", name, environment(s)["GOMEMLIMIT"], limit, err)
		}
	}
}

func TestPrivileges(t *testing.T) {
	for name, s := range load(t, nil, everything...).Services {
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged || len(s.CapAdd) > 0 {
			t.Errorf("%s may get more privileges than it starts with", name)
		}
		if _, ours := programs[name]; !ours {
			continue
		}
		if !s.ReadOnly {
			t.Errorf("%s can write to its own root file system", name)
		}
		equal(t, "capabilities that "+name+" drops", s.CapDrop, []string{"ALL"})
		if user := s.User; user != "" && user != "65532:65532" {
			t.Errorf("%s runs as %s", name, user)
		}
	}
	own := load(t, map[string]string{"CONTAINER_UID": "1000", "CONTAINER_GID": "100"})
	for _, name := range append(workers(), "gateway") {
		if user := service(t, own, name).User; user != "1000:100" {
			t.Errorf("%s runs as %s although .env says 1000 and 100", name, user)
		}
	}
}

// An engine that kills a worker before its grace is over takes from it what it had to hand back.
func TestStopIsLongerThanTheGrace(t *testing.T) {
	for grace, want := range map[string]time.Duration{"": 45 * time.Second, "3m": 3*time.Minute + 25*time.Second} {
		project := load(t, map[string]string{"INGESTA_GRACE": grace})
		for _, name := range workers() {
			if got := service(t, project, name).StopGracePeriod; got == nil || time.Duration(*got) != want {
				t.Errorf("with INGESTA_GRACE=%q the engine kills %s after %v, want %v", grace, name, got, want)
			}
		}
	}
}

// A broker that takes the machine's memory for its own is killed where it should have stopped its
// publishers.
func TestRabbitMQKnowsItsLimit(t *testing.T) {
	project := load(t, nil)
	rabbitmq := service(t, project, "rabbitmq")
	if len(rabbitmq.Configs) != 1 || rabbitmq.Configs[0].Target != "/etc/rabbitmq/conf.d/20-ingesta.conf" {
		t.Fatalf("rabbitmq is given %v: want a file in /etc/rabbitmq/conf.d, which it reads by itself", rabbitmq.Configs)
	}
	name, value, _ := strings.Cut(strings.TrimSpace(project.Configs[rabbitmq.Configs[0].Source].Content), " = ")
	watermark, err := units.RAMInBytes(value)
	if limit := int64(rabbitmq.Deploy.Resources.Limits.MemoryBytes); name != "vm_memory_high_watermark.absolute" || err != nil || watermark > limit*2/3 {
		t.Errorf("rabbitmq is told %s = %s (%v), of %d bytes: want an absolute watermark of two thirds at most", name, value, err, limit)
	}
}

func TestRedisKeepsWhatItIsGiven(t *testing.T) {
	project := load(t, map[string]string{"REDIS_PASSWORD": "a secret"})
	redis := service(t, project, "redis")
	if len(redis.Configs) != 1 || !slices.Contains(redis.Command, redis.Configs[0].Target) {
		t.Fatalf("redis is started as %q and given %v: want it to read its configuration", redis.Command, redis.Configs)
	}
	lines := strings.Split(strings.TrimSpace(project.Configs[redis.Configs[0].Source].Content), "\n")
	equal(t, "the configuration of redis", lines,
		[]string{`requirepass "a secret"`, "appendonly yes", "appendfsync everysec", "maxmemory 256mb", "maxmemory-policy noeviction"})
}
