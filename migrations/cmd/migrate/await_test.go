package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestAwait(t *testing.T) {
	away, refused := errors.New("nobody listens"), errors.New("wrong password")
	log := slog.New(slog.DiscardHandler)

	t.Run("until the server is there", func(t *testing.T) {
		looks := 0
		err := await(t.Context(), "it", log, func(context.Context) (bool, error) {
			if looks++; looks < 3 {
				return true, away
			}
			return false, nil
		})
		if err != nil || looks != 3 {
			t.Errorf("after %d looks: %v; want 3 looks and no error", looks, err)
		}
	})
	t.Run("not when it cannot pass", func(t *testing.T) {
		looks := 0
		err := await(t.Context(), "it", log, func(context.Context) (bool, error) { looks++; return false, refused })
		if !errors.Is(err, refused) || looks != 1 {
			t.Errorf("after %d looks: %v; want one look and its error", looks, err)
		}
	})
	t.Run("not for ever", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		late := errors.New("two minutes have passed")
		err := await(ctx, "it", log, func(context.Context) (bool, error) { cancel(late); return true, away })
		if !errors.Is(err, late) || !errors.Is(err, away) || !strings.Contains(err.Error(), "waiting for it") {
			t.Errorf("%v; want what was waited for, why no longer, and the last error", err)
		}
	})
}
