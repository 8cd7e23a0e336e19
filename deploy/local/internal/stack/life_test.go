package stack

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/deploy/local/internal/console"
	"github.com/pharmavida/ingesta/deploy/local/internal/packages"
	"github.com/pharmavida/ingesta/deploy/local/internal/state"
)

// clone is an empty folder whose stacks' data lies in another one, that every user can enter.
func clone(t *testing.T) (root string, getenv func(string) string) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers: left out by -short")
	}
	if missing := packages.Missing(t.Context()); len(missing) > 0 {
		t.Fatalf("the servers' packages are missing (%v): run make up", missing)
	}
	data, err := os.MkdirTemp("/var/tmp", "stack-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(data, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(data); err != nil {
			t.Error(err)
		}
	})
	return t.TempDir(), func(variable string) string {
		return map[string]string{DataVariable: filepath.Join(data, "data")}[variable]
	}
}

// only brings up one server of a stack, which is down again when the test ends.
func only(t *testing.T, root, name, server string, getenv func(string) string, con *console.Console) Layout {
	t.Helper()
	layout, err := NewLayout(root, name, getenv)
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := Only(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Down(context.WithoutCancel(t.Context()), layout, con, getenv); err != nil {
			t.Error(err)
		}
	})
	if err := Up(t.Context(), layout, con, getenv, wanted); err != nil {
		t.Fatal(err)
	}
	return layout
}

// stateOf is what status says of a server.
func stateOf(t *testing.T, layout Layout, server string) string {
	t.Helper()
	var table bytes.Buffer
	if err := Status(layout, &table); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(table.String()) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == server {
			return fields[1]
		}
	}
	return ""
}

// One server through its life. Redis stands for all: it comes up in a moment.
func TestOneServersLife(t *testing.T) {
	root, getenv := clone(t)
	con := console.New(io.Discard)
	defer con.Close()
	layout := only(t, root, "life", "redis", getenv, con)
	pid := func() int {
		t.Helper()
		st, err := state.Open(layout.Data)
		if err != nil {
			t.Fatal(err)
		}
		return st.Process("redis").ID.PID
	}
	expect := func(want string) {
		t.Helper()
		if got := stateOf(t, layout, "redis"); got != want {
			t.Errorf("redis is %s, want %s", got, want)
		}
	}
	expect("running")
	for _, other := range []string{"mariadb", "gateway"} {
		if got := stateOf(t, layout, other); got != "stopped" {
			t.Errorf("%s is %s; only redis was wanted", other, got)
		}
	}
	redis := []string{"redis"}

	first := pid()
	if err := Start(t.Context(), layout, con, getenv, redis); err != nil || pid() != first {
		t.Errorf("starting what runs: %v, and the process is %d after %d", err, pid(), first)
	}
	if err := Kill(t.Context(), layout, con, getenv, redis); err != nil {
		t.Fatal(err)
	}
	expect("died")
	if err := Start(t.Context(), layout, con, getenv, redis); err != nil {
		t.Fatal(err)
	}
	expect("running")
	if pid() == first {
		t.Error("the process killed and the one started are the same")
	}
	for range 2 { // the second time there is nothing to stop
		if err := Stop(t.Context(), layout, con, getenv, redis); err != nil {
			t.Fatal(err)
		}
		expect("stopped")
	}
	if err := Start(t.Context(), layout, con, getenv, redis); err != nil {
		t.Fatal(err)
	}
	expect("running")
	if err := Stop(t.Context(), layout, con, getenv, []string{"postgres"}); err == nil || !strings.Contains(err.Error(), "postgresql") {
		t.Errorf("stopping a server that there is not: %v; want an error that names those that there are", err)
	}
}

// Neither of two stacks of one clone is touched by what is done to the other.
func TestStacksOfOneCloneDoNotMeet(t *testing.T) {
	root, getenv := clone(t)
	con := console.New(io.Discard)
	defer con.Close()
	ports := func(l Layout) map[string]int {
		t.Helper()
		st, err := state.Open(l.Data)
		if err != nil {
			t.Fatal(err)
		}
		return st.Ports()
	}
	own := only(t, root, "", "redis", getenv, con)
	two := only(t, root, "two", "redis", func(variable string) string {
		if variable == "LOCAL_REDIS_PORT" {
			return "1" // is for the clone's own stack
		}
		return getenv(variable)
	}, con)
	for part, port := range ports(own) {
		for other, taken := range ports(two) {
			if port == taken {
				t.Errorf("%s of one stack and %s of the other have port %d", part, other, port)
			}
		}
	}

	if err := Down(t.Context(), own, con, getenv); err != nil {
		t.Fatal(err)
	}
	if got := stateOf(t, two, "redis"); got != "running" {
		t.Errorf("the named stack's redis is %s after the other went down", got)
	}
	only(t, root, "three", "redis", getenv, con)
	before := ports(own)
	only(t, root, "", "redis", getenv, con)
	if after := ports(own); after["redis"] != before["redis"] {
		t.Errorf("redis has moved from %d to %d: another stack has taken its port while it was down", before["redis"], after["redis"])
	}

	if err := Clean(t.Context(), own, con, getenv); err != nil {
		t.Fatal(err)
	}
	if got := stateOf(t, two, "redis"); got != "running" || !exists(two.Env()) || !exists(own.Bin) {
		t.Errorf("cleaning the clone's own stack has touched the named one: redis is %s, env there %v, bin there %v", got, exists(two.Env()), exists(own.Bin))
	}
	if exists(own.Data) || exists(own.Env()) {
		t.Error("the clone's own stack is cleaned, and its data or env is there")
	}
	if err := DownAll(t.Context(), own, con, getenv); err != nil {
		t.Fatal(err)
	}
	if got := stateOf(t, two, "redis"); got != "stopped" {
		t.Errorf("redis is %s after all stacks went down", got)
	}
	if err := CleanAll(t.Context(), own, con, getenv); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{two.Data, own.Local, own.Bin} {
		if exists(path) {
			t.Errorf("%s is there after everything was cleaned", path)
		}
	}
}
