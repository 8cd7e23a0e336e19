package jobstore

import (
	"bufio"
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Durability returns what is wrong with the server's settings for a store of jobs, in sentences
// for the log: none when it is fine. What the server does not let us see is one of them.
func (s *Store) Durability(ctx context.Context) ([]string, error) {
	const doing = "inspecting redis"
	ctx, cancel := s.bounded(ctx)
	defer cancel()

	settings := map[string]string{}
	for _, section := range []string{"persistence", "memory"} {
		text, err := s.client.Info(ctx, section).Result()
		if err != nil && !forbidden(err) {
			return nil, wrap(ctx, doing, err)
		}
		lines := bufio.NewScanner(strings.NewReader(text))
		for lines.Scan() {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
				settings[name] = value
			}
		}
	}
	for _, name := range []string{"appendonly", "appendfsync", "maxmemory-policy"} {
		values, err := s.client.ConfigGet(ctx, name).Result()
		if err != nil && !forbidden(err) {
			return nil, wrap(ctx, doing, err)
		}
		if value, ok := values[name]; ok {
			settings[name] = value
		}
	}
	return complaints(settings), nil
}

// forbidden reports whether the server understood the question and will not answer it: managed
// servers rename or forbid CONFIG.
func forbidden(err error) bool {
	return redis.HasErrorPrefix(err, "NOPERM") || redis.HasErrorPrefix(err, "unknown command")
}

// complaints judges settings by the names that INFO and CONFIG give them.
func complaints(settings map[string]string) []string {
	var found []string
	either := func(info, config string) string {
		for _, name := range []string{info, config} {
			if value, ok := settings[name]; ok {
				return value
			}
		}
		return ""
	}
	switch either("aof_enabled", "appendonly") {
	case "":
		found = append(found, "redis does not tell whether it keeps an append-only file (let its user run INFO)")
	case "0", "no":
		found = append(found, "redis keeps no append-only file: a restart loses the jobs since the last snapshot (set appendonly yes)")
	default:
		if settings["appendfsync"] == "no" {
			found = append(found, "redis leaves writing its append-only file to the operating system: a power failure loses up to half a minute of jobs (set appendfsync everysec or always)")
		}
	}
	if settings["aof_last_write_status"] == "err" {
		found = append(found, "redis could not write its append-only file the last time it tried: look at its disk")
	}
	switch policy := either("maxmemory_policy", "maxmemory-policy"); policy {
	case "noeviction":
	case "":
		found = append(found, "redis does not tell what it evicts when memory runs out (let its user run INFO)")
	default:
		found = append(found, "redis evicts keys when memory runs out (maxmemory-policy "+policy+"): jobs would vanish (set noeviction)")
	}
	return found
}
