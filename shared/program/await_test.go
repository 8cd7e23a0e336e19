package program

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestAwait(t *testing.T) {
	away, refused := errors.New("nobody listens"), errors.New("wrong password")

	t.Run("until the server is there", func(t *testing.T) {
		var log bytes.Buffer
		looks := 0
		err := Await(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), func(context.Context) (bool, error) {
			if looks++; looks < 3 {
				return true, away
			}
			return false, nil
		})
		if err != nil || looks != 3 {
			t.Errorf("after %d looks: %v; want 3 looks and no error", looks, err)
		}
		if n := strings.Count(log.String(), "nobody listens"); n != 1 {
			t.Errorf("the reason is logged %d times, want once:\n%s", n, &log)
		}
	})
	t.Run("not when it will not pass", func(t *testing.T) {
		looks := 0
		err := Await(t.Context(), slog.New(slog.DiscardHandler), func(context.Context) (bool, error) { looks++; return false, refused })
		if !errors.Is(err, refused) || looks != 1 {
			t.Errorf("after %d looks: %v; want one look and its error", looks, err)
		}
	})
	t.Run("not for ever", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		late := errors.New("two minutes have passed")
		looks := 0
		err := Await(ctx, slog.New(slog.DiscardHandler), func(context.Context) (bool, error) {
			if looks++; looks > 1 {
				cancel(late)
			}
			return true, away
		})
		if !errors.Is(err, late) || !errors.Is(err, away) {
			t.Errorf("%v; want why it waited no longer, and the last failure", err)
		}
	})
}
