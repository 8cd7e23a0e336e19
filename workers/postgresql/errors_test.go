package postgresql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pharmavida/ingesta/shared/ingest"
)

func TestFailure(t *testing.T) {
	refused := func(state string) error {
		return fmt.Errorf("copying: %w", &pgconn.PgError{Code: state, Message: "SELECT secreto FROM 10.0.0.1"})
	}
	tests := []struct {
		err       error
		code      ingest.Code
		transient bool
	}{
		{refused("42P01"), ingest.TableNotFound, false},
		{refused("42703"), ingest.ColumnNotFound, false},
		{refused("42501"), ingest.SourceDenied, false},
		{refused("28P01"), ingest.SourceDenied, false},
		{refused("3D000"), ingest.SourceDenied, false},
		{refused("22012"), ingest.QueryFailed, false},
		{refused("42601"), ingest.QueryFailed, false},
		{refused("25006"), ingest.QueryFailed, false},
		{refused("57P01"), ingest.SourceUnavailable, true},
		{refused("57P03"), ingest.SourceUnavailable, true},
		{refused("57014"), ingest.SourceUnavailable, true},
		{refused("53300"), ingest.SourceUnavailable, true},
		{refused("40001"), ingest.SourceUnavailable, true},
		{refused("08006"), ingest.SourceUnavailable, true},
		{refused("25P03"), ingest.SourceUnavailable, true},
		{fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), ingest.SourceUnavailable, true},
		{&net.OpError{Op: "read", Err: errors.New("connection reset")}, ingest.SourceUnavailable, true},
		{pgconn.ErrConnClosed, ingest.SourceUnavailable, true},
		{errors.New("nobody knows"), ingest.Internal, false},
		{ingest.Permanent(ingest.TableNotFound, refused("08006"), "table %q does not exist", "x"), ingest.TableNotFound, false},
	}
	for _, test := range tests {
		got := ingest.AsError(failure(t.Context(), test.err))
		if got.Code != test.code || got.Transient != test.transient {
			t.Errorf("%v became %s (transient: %t), want %s (transient: %t)", test.err, got.Code, got.Transient, test.code, test.transient)
		}
		if strings.Contains(got.Message, "secreto") || strings.Contains(got.Message, "10.0.0.1") {
			t.Errorf("the message %q shows what the server said", got.Message)
		}
	}
	for _, state := range []string{"22P02", "22003", "P0001"} { // whose words may quote a row
		if err := failure(t.Context(), refused(state)); strings.Contains(err.Error(), "secreto") {
			t.Errorf("the error %q, which is logged, quotes what the server read", err)
		}
	}
	if err := failure(t.Context(), nil); err != nil {
		t.Errorf("nil became %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := failure(over, refused("57014")); !errors.Is(err, context.Canceled) {
		t.Errorf("after a cancellation the error is %v, want the context's", err)
	}
}

func TestNewShowsNoPassword(t *testing.T) {
	_, err := New(Config{Host: "localhost", Port: 5432, User: "u", Password: "s3cr3ta", Database: "d", SSLMode: "maybe"}, slog.Default())
	if err == nil || strings.Contains(err.Error(), "s3cr3ta") || !strings.Contains(err.Error(), "maybe") {
		t.Errorf("got %v, want an error that names the wrong sslmode and no password", err)
	}
}
