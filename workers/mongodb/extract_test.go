package mongodb

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
)

func TestTypesOverTheWire(t *testing.T) {
	s := newReplay(t,
		raw(t, bson.D{{Key: "a", Value: decimal(t, "1.50")}, {Key: "x", Value: 1}}),
		raw(t, bson.D{{Key: "a", Value: bson.MinKey{}}}),
		raw(t, bson.D{{Key: "a", Value: math.NaN()}}),
		raw(t, bson.D{{Key: "a", Value: math.Inf(-1)}}),
	)
	got, extraction, tally := s.export(t, "a", "b")
	if want := "1.50,\n\"{\"\"$minKey\"\":1}\",\nNaN,\n-Infinity,\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if extraction.EstimatedRows != 4 || tally.Rows != 4 {
		t.Errorf("%d rows, estimated %d; want 4 and 4", tally.Rows, extraction.EstimatedRows)
	}
	if len(tally.Warnings) != 1 {
		t.Errorf("warnings are %q; want one of the undeclared field", tally.Warnings)
	}
}

func TestBatchesFitTheDocuments(t *testing.T) {
	// The large documents come late: batches must shrink and grow with them, and no document may
	// be lost between two.
	var docs [][]byte
	var want strings.Builder
	for i := range 20_000 {
		text := "x"
		if i > 15_000 && i < 15_100 {
			text = strings.Repeat("y", 100_000)
		}
		docs = append(docs, raw(t, bson.D{{Key: "a", Value: int32(i)}, {Key: "b", Value: text}}))
		fmt.Fprintf(&want, "%d,%s\n", i, text)
	}
	got, _, tally := newReplay(t, docs...).export(t, "a", "b")
	if tally.Rows != int64(len(docs)) || got != want.String() {
		t.Errorf("%d rows in %d bytes; want %d rows in %d", tally.Rows, len(got), len(docs), want.Len())
	}
}

func TestSnapshotSessions(t *testing.T) {
	t.Run("on a replica set", func(t *testing.T) {
		s := newReplay(t, raw(t, bson.D{{Key: "a", Value: 1}}))
		s.replicaSet()
		_, extraction, _ := s.export(t, "a")
		if got := extraction.Snapshot; !got.Consistent || got.ID != "1735830000.7" || time.Since(got.At) > time.Minute {
			t.Errorf("the snapshot is %+v; want a consistent one as of the server's operation time", got)
		}
		for _, command := range s.commands {
			concern := command.Lookup("readConcern")
			level, _ := concern.Document().Lookup("level").StringValueOK()
			seconds, increment, _ := concern.Document().Lookup("atClusterTime").TimestampOK()
			if level != "snapshot" || seconds != 1735830000 || increment != 7 {
				t.Errorf("the read concern is %v; want a snapshot as of the server's operation time", concern)
			}
		}
	})
	t.Run("on a single server", func(t *testing.T) {
		s := newReplay(t, raw(t, bson.D{{Key: "a", Value: 1}}))
		_, extraction, _ := s.export(t, "a")
		if got := extraction.Snapshot; got.Consistent || got.ID != "" || time.Since(got.At) > time.Minute {
			t.Errorf("the snapshot is %+v; want none, and said so", got)
		}
	})
}

func TestFailuresOfTheServer(t *testing.T) {
	for _, c := range []struct {
		command   string
		code      int32
		want      ingest.Code
		transient bool
	}{
		{"ping", 91, ingest.SourceUnavailable, true},
		{"ping", 18, ingest.SourceDenied, false},
		{"listCollections", 13, ingest.SourceDenied, false},
		{"find", 13, ingest.SourceDenied, false},
		{"find", 26, ingest.TableNotFound, false},
		{"find", 2, ingest.QueryFailed, false},
		{"getMore", 43, ingest.SourceUnavailable, true},
		{"getMore", 11600, ingest.SourceUnavailable, true},
		{"getMore", 237, ingest.SourceUnavailable, true},
		{"getMore", 239, ingest.QueryFailed, false},
	} {
		t.Run(fmt.Sprint(c.command, " ", c.code), func(t *testing.T) {
			var docs [][]byte
			for range 2 * firstBatch {
				docs = append(docs, raw(t, bson.D{{Key: "a", Value: 1}}))
			}
			s := newReplay(t, docs...)
			refuse := bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: c.code}, {Key: "codeName", Value: "Name"}, {Key: "errmsg", Value: "the server's own words"}}
			s.fails[c.command] = refuse
			err := func() error {
				source := s.source(t)
				if err := source.Ping(t.Context()); err != nil {
					return err
				}
				session, err := source.Open(t.Context())
				if err != nil {
					return err
				}
				defer session.Close(t.Context())
				extraction, err := session.Prepare(t.Context(), dataset("a"))
				if err != nil {
					return err
				}
				_, err = extraction.Run(t.Context(), discard{io.Discard})
				return err
			}()
			failure, ok := errors.AsType[*ingest.Error](err)
			if !ok {
				t.Fatalf("the error is %v; want an ingest.Error", err)
			}
			if failure.Code != c.want || failure.Transient != c.transient {
				t.Errorf("the failure is %v (transient: %v); want %s (transient: %v)", failure, failure.Transient, c.want, c.transient)
			}
			if strings.Contains(failure.Message, "own words") {
				t.Errorf("the message %q shows the server's own words", failure.Message)
			}
		})
	}
}

func TestASessionThatLostItsServerIsOver(t *testing.T) {
	s := newReplay(t, raw(t, bson.D{{Key: "a", Value: 1}}))
	session, err := s.source(t).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close(t.Context())
	extraction, err := session.Prepare(t.Context(), dataset("a"))
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.fails["find"] = bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: 11600}}
	s.mu.Unlock()
	_, first := extraction.Run(t.Context(), discard{io.Discard})
	s.mu.Lock()
	delete(s.fails, "find")
	s.mu.Unlock()
	if _, err := session.Prepare(t.Context(), dataset("a")); first == nil || !errors.Is(err, first) {
		t.Errorf("Prepare returned %v after Run had returned %v; want the same", err, first)
	}
}

func TestAServerThatStopsAnsweringIsGivenUp(t *testing.T) {
	for _, command := range []string{"find", "getMore"} {
		t.Run(command, func(t *testing.T) {
			var docs [][]byte
			for range 2 * firstBatch {
				docs = append(docs, raw(t, bson.D{{Key: "a", Value: 1}}))
			}
			s := newReplay(t, docs...)
			s.stalls = command
			opened, err := s.source(t).Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close(t.Context())
			opened.(*session).patience = 100 * time.Millisecond
			extraction, err := opened.Prepare(t.Context(), dataset("a"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = extraction.Run(t.Context(), discard{io.Discard})
			if failure, ok := errors.AsType[*ingest.Error](err); !ok || failure.Code != ingest.SourceUnavailable || !failure.Transient || !errors.Is(err, errStalled) {
				t.Errorf("the error is %v; want a transient source_unavailable that names the stall", err)
			}
		})
	}
}

func TestConfigurationErrorsShowNoSecret(t *testing.T) {
	for _, uri := range []string{"mongodb://u:hunter2@:x:y/", "http://u:hunter2@h/", "mongodb://u:hunter2@h/?readPreference=hunter2"} {
		cfg := Config{Database: "d", URI: config.Secret(uri)}
		if _, err := New(cfg, slog.New(slog.DiscardHandler)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("New(%s) returned %v; want an error without the password", uri, err)
		}
	}
}

func BenchmarkExtract(b *testing.B) {
	const n = 200_000
	docs := make([][]byte, n)
	size := 0
	for i := range docs {
		docs[i] = raw(b, receta(i))
		size += len(docs[i])
	}
	s := newReplay(b, docs...)
	_, d := recetas(b, 0)
	session, err := s.source(b).Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close(b.Context())
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		extraction, err := session.Prepare(b.Context(), d)
		if err != nil {
			b.Fatal(err)
		}
		tally, err := extraction.Run(b.Context(), discard{io.Discard})
		if err != nil || tally.Rows != n {
			b.Fatalf("%d rows, %v; want %d", tally.Rows, err, n)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
