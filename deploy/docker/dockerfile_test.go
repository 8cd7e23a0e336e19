package docker

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// stage is one image of the Dockerfile.
type stage struct{ base, entrypoint string }

func dockerfile(t *testing.T) (content string, stages map[string]stage) {
	t.Helper()
	file, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages = map[string]stage{}
	for part := range strings.SplitSeq(string(file), "\nFROM ") {
		from := regexp.MustCompile(`^(\S+) AS (\S+)\n`).FindStringSubmatch(part)
		if from == nil {
			continue
		}
		s := stage{base: from[1]}
		if entrypoint := regexp.MustCompile(`(?m)^ENTRYPOINT \["(\S+)"\]$`).FindStringSubmatch(part); entrypoint != nil {
			s.entrypoint = entrypoint[1]
		}
		stages[from[2]] = s
	}
	return string(file), stages
}

func TestDockerfileHasEveryImage(t *testing.T) {
	_, stages := dockerfile(t)
	project := load(t, nil, everything...)
	targets := []string{"build", "base"}
	for name := range programs {
		s := service(t, project, name)
		if !slices.Contains(targets, s.Build.Target) { // two services share one
			targets = append(targets, s.Build.Target)
		}
		made := stages[s.Build.Target]
		if made.base != "base" || made.entrypoint == "" {
			t.Errorf("the image of %s is %+v: want it on the base that all share, with the program as its entry point: docker run --rm <image> run", name, made)
		}
		if len(s.Entrypoint) > 0 {
			t.Errorf("%s is started as %q, want by its image", name, s.Entrypoint)
		}
		if s.HealthCheck != nil && !slices.Equal(s.HealthCheck.Test, []string{"CMD", made.entrypoint, "--healthcheck"}) {
			t.Errorf("the health check of %s is %q: want the program itself, %s: the image has nothing else", name, s.HealthCheck.Test, made.entrypoint)
		}
	}
	var made []string
	for name := range stages {
		made = append(made, name)
	}
	equal(t, "stages of the Dockerfile", made, targets)
}

func TestDockerfileIsForEveryBuilder(t *testing.T) {
	content, stages := dockerfile(t)
	for _, syntax := range []string{"# syntax=", "--mount", "--link", "--chmod", "<<"} {
		if strings.Contains(content, syntax) {
			t.Errorf("the Dockerfile uses %s, which a builder without BuildKit does not know", syntax)
		}
	}
	if stages["build"].base != "${GO_IMAGE}" || stages["base"].base != "${BASE_IMAGE}" {
		t.Errorf("built by %s on %s: want both to be replaceable", stages["build"].base, stages["base"].base)
	}
	for name, image := range map[string]string{"GO_IMAGE": "golang:1.26", "BASE_IMAGE": "gcr.io/distroless/static-debian12:nonroot"} {
		if !strings.Contains(content, "\nARG "+name+"="+image+"\n") {
			t.Errorf("the default of %s is not %s", name, image)
		}
		if got := load(t, nil).Services["gateway"].Build.Args[name]; got == nil || *got != image {
			t.Errorf("docker compose builds with %s=%v, and the Dockerfile with %s", name, got, image)
		}
	}
}

// What the engine gets to build from is a list of what it needs: a password in .env is not on it.
func TestBuildContext(t *testing.T) {
	content, err := os.ReadFile(root + "/.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, line)
		}
	}
	if patterns[0] != "*" {
		t.Fatalf(".dockerignore begins with %s: want everything left out, and then what is needed", patterns[0])
	}
	equal(t, "what .dockerignore lets in", slices.DeleteFunc(patterns, func(p string) bool { return !strings.HasPrefix(p, "!") }),
		[]string{"!go.mod", "!go.sum", "!gateway", "!migrations", "!shared", "!workers", "!deploy/demodata", "!deploy/rabbitmq"})
}
