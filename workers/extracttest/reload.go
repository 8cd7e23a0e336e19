package extracttest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pharmavida/ingesta/shared/stacktest"
)

// Reload returns the rows of a file without its header as a reader that is not ours sees them:
// PostgreSQL, which loads them by COPY … FROM STDIN WITH (FORMAT csv) into as many columns of text
// and gives them back in the file's order.
func Reload(t *testing.T, csv []byte, columns int) [][]Field {
	t.Helper()
	var server struct {
		Host     string `env:"POSTGRES_HOST"`
		Port     int    `env:"POSTGRES_PORT"`
		User     string `env:"POSTGRES_USER"`
		Password string `env:"POSTGRES_PASSWORD"`
		Database string `env:"POSTGRES_DATABASE"`
	}
	stacktest.Load(t, &server)
	cfg, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable",
		server.Host, server.Port, server.User, server.Password, server.Database))
	if err != nil {
		t.Fatalf("reading how to reach the reading server: %v", err)
	}
	conn, err := pgconn.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatalf("reaching the reading server: %v", err)
	}
	defer conn.Close(t.Context())

	names := make([]string, columns)
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i)
	}
	list := strings.Join(names, ", ")
	create := "CREATE TEMPORARY TABLE reloaded (n bigserial, " + strings.Join(names, " text, ") + " text)"
	if _, err := conn.Exec(t.Context(), create).ReadAll(); err != nil {
		t.Fatalf("making room for the file: %v", err)
	}
	if _, err := conn.CopyFrom(t.Context(), bytes.NewReader(csv), "COPY reloaded ("+list+") FROM STDIN WITH (FORMAT csv)"); err != nil {
		t.Fatalf("PostgreSQL cannot load the file: %v", err)
	}
	result := conn.ExecParams(t.Context(), "SELECT "+list+" FROM reloaded ORDER BY n", nil, nil, nil, nil).Read()
	if result.Err != nil {
		t.Fatalf("reading the file back: %v", result.Err)
	}
	records := make([][]Field, len(result.Rows))
	for i, row := range result.Rows {
		for _, value := range row {
			records[i] = append(records[i], Field{Null: value == nil, Text: string(value)})
		}
	}
	return records
}
