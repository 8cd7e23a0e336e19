package jobstore

import (
	"context"
	"embed"
	"fmt"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var sources embed.FS

// scripts holds one script per transition or question. Each file says what it takes and returns.
type scripts struct {
	accept, discard, cancel, list                         *redis.Script
	claim, renew, check, commit, release, finish, restore *redis.Script
	progress, position, allow                             *redis.Script
	overdue, stalled, abandon, sweep, open                *redis.Script
	heartbeat, heartbeats, lead, resign                   *redis.Script
}

func loadScripts() scripts {
	prelude := source("prelude")
	load := func(name string) *redis.Script { return redis.NewScript(prelude + source(name)) }
	return scripts{
		accept: load("accept"), discard: load("discard"), cancel: load("cancel"), list: load("list"),
		claim: load("claim"), renew: load("renew"), check: load("check"), commit: load("commit"),
		release: load("release"), finish: load("finish"), restore: load("restore"),
		progress: load("progress"), position: load("position"), allow: load("allow"),
		overdue: load("overdue"), stalled: load("stalled"), abandon: load("abandon"), sweep: load("sweep"), open: load("open"),
		heartbeat: load("heartbeat"), heartbeats: load("heartbeats"), lead: load("lead"), resign: load("resign"),
	}
}

func source(name string) string {
	text, err := sources.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(fmt.Sprintf("jobstore: script %s is not part of the binary: %v", name, err))
	}
	return string(text)
}

// reply is the array that a script returned. Its accessors fail softly: a zero value stands for
// what is not there, and the callers' switches refuse outcomes they do not know.
type reply []any

// run executes a script and bounds the wait. The script may be executed more than once.
func (s *Store) run(ctx context.Context, doing string, script *redis.Script, args ...any) (reply, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	values, err := script.Run(ctx, s.client, []string{s.prefix}, args...).Slice()
	if err != nil {
		return nil, wrap(ctx, doing, err)
	}
	return values, nil
}

func (r reply) text(i int) string {
	if i >= len(r) {
		return ""
	}
	text, _ := r[i].(string)
	return text
}

func (r reply) number(i int) int64 {
	if i >= len(r) {
		return 0
	}
	n, _ := r[i].(int64)
	return n
}

func (r reply) list(i int) reply {
	if i >= len(r) {
		return nil
	}
	list, _ := r[i].([]any)
	return list
}

// fields reads an array of alternating names and values.
func (r reply) fields() map[string]string {
	m := make(map[string]string, len(r)/2)
	for i := 0; i+1 < len(r); i += 2 {
		m[r.text(i)] = r.text(i + 1)
	}
	return m
}

// unexpected reports an outcome that no version of the script gives.
func unexpected(doing, outcome string) error {
	return fmt.Errorf("%s: the script answered %q, which it never should", doing, outcome)
}
