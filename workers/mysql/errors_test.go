package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/pharmavida/ingesta/shared/ingest"
)

func TestFailure(t *testing.T) {
	refused := func(number uint16) error {
		return fmt.Errorf("reading rows: %w", &mysql.MySQLError{Number: number, SQLState: [5]byte([]byte("HY000")), Message: "SELECT secreto FROM 10.0.0.1"})
	}
	tests := []struct {
		err       error
		code      ingest.Code
		transient bool
	}{
		{refused(1146), ingest.TableNotFound, false},
		{refused(1054), ingest.ColumnNotFound, false},
		{refused(1045), ingest.SourceDenied, false},
		{refused(1142), ingest.SourceDenied, false},
		{refused(1049), ingest.SourceDenied, false},
		{refused(1064), ingest.QueryFailed, false},
		{refused(1792), ingest.QueryFailed, false},
		{refused(1040), ingest.SourceUnavailable, true},
		{refused(1053), ingest.SourceUnavailable, true},
		{refused(1317), ingest.SourceUnavailable, true},
		{refused(1927), ingest.SourceUnavailable, true},
		{refused(1412), ingest.SourceUnavailable, true},
		{&mysql.MySQLError{Number: 9999, SQLState: [5]byte([]byte("08S01"))}, ingest.SourceUnavailable, true},
		{mysql.ErrInvalidConn, ingest.SourceUnavailable, true},
		{driver.ErrBadConn, ingest.SourceUnavailable, true},
		{fmt.Errorf("reading rows: %w", mysql.ErrPktSync), ingest.SourceUnavailable, true},
		{fmt.Errorf("reading rows: %w", mysql.ErrMalformPkt), ingest.SourceUnavailable, true},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, ingest.SourceUnavailable, true},
		{mysql.ErrNoTLS, ingest.SourceDenied, false},
		{errors.New("nobody knows"), ingest.Internal, false},
		{ingest.Permanent(ingest.TableNotFound, refused(1317), "table %q does not exist", "x"), ingest.TableNotFound, false},
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
	if err := failure(t.Context(), nil); err != nil {
		t.Errorf("nil became %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := failure(over, refused(1317)); !errors.Is(err, context.Canceled) {
		t.Errorf("after a cancellation the error is %v, want the context's", err)
	}
}

func TestNewShowsNoPassword(t *testing.T) {
	_, err := New(Config{Host: "localhost", Port: 3306, User: "u", Password: "s3cr3ta", Database: "d", TLS: "maybe"}, slog.Default())
	if err == nil || strings.Contains(err.Error(), "s3cr3ta") || !strings.Contains(err.Error(), "maybe") {
		t.Errorf("got %v, want an error that names the wrong TLS setting and no password", err)
	}
}
