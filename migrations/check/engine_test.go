package check

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/stacktest"
)

// The states of all containers are told on a real engine: the one that DOCKER_HOST names or the
// usual one, if it answers. With -record its answers become the recording of TestContainers.
func TestContainersOfAnEngine(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a Docker engine: left out by -short")
	}
	host := os.Getenv("DOCKER_HOST")
	d := newDockerd(t, host)
	project := "check" + strings.ToLower(rand.Text()[:12])
	prefix := project + "."
	image := d.image(t, project)
	ids := map[string]string{}
	for _, s := range states {
		labels := map[string]string{"com.docker.compose.project": project, "com.docker.compose.service": s.service, "com.docker.compose.oneoff": "False"}
		if s.oneOff {
			labels["com.docker.compose.oneoff"] = "True"
		}
		config := map[string]any{
			"Image": image, "Entrypoint": []string{"/idle"}, "Cmd": s.command, "Labels": labels,
			"HostConfig": map[string]any{"NetworkMode": "none"},
		}
		if s.restart {
			config["HostConfig"] = map[string]any{"NetworkMode": "none", "RestartPolicy": map[string]any{"Name": "always"}}
		}
		if s.health != nil {
			config["Healthcheck"] = map[string]any{"Test": append([]string{"CMD", "/idle"}, s.health...), "Interval": s.every, "Retries": 1}
		}
		id := d.container(t, prefix+s.name, config)
		ids[s.name] = id
		if s.action != "none" {
			d.call(t, http.MethodPost, "/containers/"+id+"/start", nil, nil)
		}
		if s.action == "pause" {
			d.call(t, http.MethodPost, "/containers/"+id+"/pause", nil, nil)
		}
	}
	for _, s := range states {
		stacktest.Eventually(t, s.name+" is "+s.becomes, func() bool {
			c, err := d.engine.inspect(t.Context(), ids[s.name])
			if err != nil {
				t.Fatalf("inspecting %s: %v", s.name, err)
			}
			if s.restart && c.RestartCount < 5 { // by then it waits for seconds between its tries
				return false
			}
			return strings.TrimSpace(c.State.Status+" "+c.health()) == s.becomes
		})
	}
	checkStates(t, Run(t.Context(), []Check{containers(host, project)}, time.Minute), prefix)
	if *record {
		d.record(t, project, ids)
	}
}

// dockerd is a real engine, and what the test makes there.
type dockerd struct{ engine *engine }

// newDockerd skips the test when no engine answers.
func newDockerd(t *testing.T, host string) *dockerd {
	t.Helper()
	engine, err := newEngine(host)
	if err != nil {
		t.Skipf("no Docker engine: %v", err)
	}
	t.Cleanup(engine.close)
	if _, err := engine.containers(t.Context(), "none"); err != nil {
		t.Skipf("no Docker engine: %v", err)
	}
	return &dockerd{engine}
}

// image makes an image that holds nothing but the program idle, and removes it when the test ends.
func (d *dockerd) image(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "idle")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/idle")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program of the containers: %v\n%s", err, said)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var files bytes.Buffer
	archive := tar.NewWriter(&files)
	if err := archive.WriteHeader(&tar.Header{Name: "idle", Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	d.call(t, http.MethodPost, "/images/create?fromSrc=-&repo="+name, &files, nil)
	t.Cleanup(func() { d.call(t, http.MethodDelete, "/images/"+name+"?force=1", nil, nil) })
	return name
}

// container makes a container, not started, and removes it when the test ends.
func (d *dockerd) container(t *testing.T, name string, config map[string]any) (id string) {
	t.Helper()
	var made struct{ ID string }
	d.call(t, http.MethodPost, "/containers/create?name="+url.QueryEscape(name), bytes.NewReader(encode(t, config)), &made)
	t.Cleanup(func() { d.call(t, http.MethodDelete, "/containers/"+made.ID+"?force=1&v=1", nil, nil) })
	return made.ID
}

// call calls the engine and fails the test when it refuses.
func (d *dockerd) call(t *testing.T, method, path string, body io.Reader, into any) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Minute, fmt.Errorf("%s %s timed out", method, path))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, d.engine.base+path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(path, "/images/create") {
		request.Header.Set("Content-Type", "application/x-tar")
	}
	response, err := d.engine.client.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s %s: %s: %s (%v)", method, path, response.Status, said, err)
	}
	if into != nil {
		decode(t, said, into)
	}
}

// record writes what the engine answers, under the names that docker-compose.yml gives and without
// what the check does not read.
func (d *dockerd) record(t *testing.T, project string, ids map[string]string) {
	t.Helper()
	answers := map[string]any{}
	var list []map[string]any
	d.call(t, http.MethodGet, "/containers/json?all=1&filters="+url.QueryEscape(`{"label":["com.docker.compose.project=`+project+`"]}`), nil, &list)
	for i := range list {
		list[i] = pick(list[i], "Id", "Names", "Image", "Command", "Created", "Labels", "State", "Status")
	}
	answers["/containers/json"] = list
	for _, id := range ids {
		var details map[string]any
		d.call(t, http.MethodGet, "/containers/"+id+"/json", nil, &details)
		details = pick(details, "Id", "Created", "State", "Name", "RestartCount", "Config")
		details["Config"] = pick(details["Config"].(map[string]any), "Image", "Entrypoint", "Cmd", "Healthcheck", "Labels")
		answers["/containers/"+id+"/json"] = details
	}
	content, err := json.MarshalIndent(answers, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	named := strings.NewReplacer(project+".", "", project, composeProject).Replace(string(content))
	if err := os.WriteFile(recording, []byte(named+"\n"), 0o644); err != nil {
		t.Fatalf("writing the recording: %v", err)
	}
}
