package stacktest

import (
	"net"
	"testing"
)

// FreePort returns a port of 127.0.0.1 on which nobody listens.
func FreePort(t testing.TB) int {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("finding a free port: %v", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
