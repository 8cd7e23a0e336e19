package jobstore

import (
	"strings"
	"testing"
)

func TestDurability(t *testing.T) {
	s := open(t)
	got, err := s.Durability(t.Context())
	if err != nil || len(got) != 0 {
		t.Errorf("the local stack's Redis: %v, %v; want no complaint", got, err)
	}
}

func TestComplaints(t *testing.T) {
	for _, c := range []struct {
		settings map[string]string
		want     []string // a word of each complaint
	}{
		{map[string]string{}, []string{"append-only", "evicts"}},
		{map[string]string{"maxmemory_policy": "noeviction"}, []string{"append-only"}},
		{map[string]string{"appendonly": "yes"}, []string{"evicts"}},
		{map[string]string{"aof_enabled": "1", "maxmemory_policy": "noeviction", "appendfsync": "everysec", "aof_last_write_status": "ok"}, nil},
		{map[string]string{"aof_enabled": "0", "maxmemory_policy": "noeviction"}, []string{"appendonly"}},
		{map[string]string{"appendonly": "no", "maxmemory_policy": "noeviction"}, []string{"appendonly"}},
		{map[string]string{"aof_enabled": "1", "maxmemory_policy": "noeviction", "appendfsync": "no"}, []string{"appendfsync"}},
		{map[string]string{"aof_enabled": "1", "maxmemory_policy": "noeviction", "aof_last_write_status": "err"}, []string{"disk"}},
		{map[string]string{"aof_enabled": "1", "maxmemory_policy": "allkeys-lru"}, []string{"evicts"}},
		{map[string]string{"maxmemory-policy": "volatile-ttl", "appendonly": "no"}, []string{"appendonly", "evicts"}},
	} {
		got := complaints(c.settings)
		if len(got) != len(c.want) {
			t.Errorf("%v: %q, want complaints of %v", c.settings, got, c.want)
			continue
		}
		for i, word := range c.want {
			if !strings.Contains(got[i], word) {
				t.Errorf("%v: complaint %q does not speak of %s", c.settings, got[i], word)
			}
		}
	}
}

func TestForbidden(t *testing.T) {
	for text, want := range map[string]bool{
		"NOPERM User default has no permissions to run the 'config|get' command": true,
		"ERR unknown command 'CONFIG', with args beginning with: 'GET'":          true,
		"LOADING Redis is loading the dataset in memory":                         false,
	} {
		if got := forbidden(serverError(text)); got != want {
			t.Errorf("reply %q: forbidden is %v, want %v", text, got, want)
		}
	}
}
