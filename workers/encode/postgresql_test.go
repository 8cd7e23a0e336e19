package encode_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers/encode"
)

// TestPostgreSQLReadsBack writes random texts and NULLs and lets PostgreSQL's COPY FROM load them
// into text columns: an independent reader that tells NULL from the empty string. PostgreSQL must
// also write the same bytes.
func TestPostgreSQLReadsBack(t *testing.T) {
	conn := connect(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for columns := 1; columns <= 3; columns++ {
		var want [][]*string
		for range 3000 {
			record := make([]*string, columns)
			for i := range record {
				if random.IntN(8) > 0 {
					text := randomText(random)
					record[i] = &text
				}
			}
			want = append(want, record)
		}
		csv := written(t, func(w *encode.Writer) error {
			for _, record := range want {
				for _, text := range record {
					if text == nil {
						w.Null()
					} else {
						w.String(*text)
					}
				}
				if err := w.EndRow(); err != nil {
					return err
				}
			}
			return nil
		})

		ctx := t.Context()
		table := fmt.Sprintf("leida_%d", columns)
		exec(t, conn, "CREATE TEMPORARY TABLE "+table+" (n serial, "+[]string{"a text", "a text, b text", "a text, b text, c text"}[columns-1]+")")
		list := []string{"a", "a, b", "a, b, c"}[columns-1]
		if _, err := conn.PgConn().CopyFrom(ctx, bytes.NewReader(csv), "COPY "+table+" ("+list+") FROM STDIN WITH (FORMAT csv)"); err != nil {
			t.Fatalf("PostgreSQL refuses the file: %v", err)
		}
		rows, err := conn.Query(ctx, "SELECT "+list+" FROM "+table+" ORDER BY n")
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]*string, error) {
			record := make([]*string, columns)
			into := make([]any, columns)
			for i := range record {
				into[i] = &record[i]
			}
			return record, row.Scan(into...)
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("PostgreSQL read %d records, want %d", len(got), len(want))
		}
		for i := range want {
			for c := range want[i] {
				if spell(got[i][c]) != spell(want[i][c]) {
					t.Fatalf("record %d, field %d: wrote %s, PostgreSQL read %s", i, c, spell(want[i][c]), spell(got[i][c]))
				}
			}
		}
		var back bytes.Buffer
		if _, err := conn.PgConn().CopyTo(ctx, &back, "COPY (SELECT "+list+" FROM "+table+" ORDER BY n) TO STDOUT WITH (FORMAT csv)"); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(back.Bytes(), csv) {
			t.Errorf("with %d columns PostgreSQL writes other bytes than the Writer", columns)
		}
	}
}

// randomText returns short texts that are rich in what the dialect treats in its own way.
func randomText(random *rand.Rand) string {
	pieces := []string{"", "a", ",", `"`, "\n", "\r", "\r\n", `\.`, `\N`, " ", "ñ", "💊", `""`, "NULL"}
	var text string
	for range random.IntN(4) {
		text += pieces[random.IntN(len(pieces))]
	}
	return text
}

func spell(text *string) string {
	if text == nil {
		return "NULL"
	}
	return fmt.Sprintf("%q", *text)
}

// connect returns a connection to the local stack's PostgreSQL.
func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	address := url.URL{
		Scheme: "postgres", Path: "postgres",
		Host: stacktest.Env(t, "POSTGRES_HOST") + ":" + stacktest.Env(t, "POSTGRES_PORT"),
		User: url.UserPassword(stacktest.Env(t, "LOCAL_POSTGRES_ADMIN_USER"), stacktest.Env(t, "LOCAL_POSTGRES_ADMIN_PASSWORD")),
	}
	conn, err := pgx.Connect(t.Context(), address.String())
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
