// Package state remembers what must outlive one run: the ports chosen, the processes started, the
// secrets made.
//
// It lies in the data folder and not in the clone, because it must share the fate of the data and the
// servers: emptying the clone (git clean) loses neither the way to stop the servers nor the passwords.
// Every change is on disk before the method returns, whole or not at all.
package state

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
)

// FileName marks a folder as the data folder of a stack.
const FileName = "stack.json"

// State may be used from several goroutines, and by one process at a time.
type State struct {
	path string

	mu      sync.Mutex
	content content
}

type content struct {
	Stack     string                    `json:"stack"`
	Ports     map[string]int            `json:"ports"`
	Processes map[string]process.Record `json:"processes"`
	Secrets   map[string]string         `json:"secrets"`
}

// Open reads the state kept in the data folder; none yet is an empty state.
func Open(data string) (*State, error) {
	s := &State{path: filepath.Join(data, FileName), content: content{
		Ports: map[string]int{}, Processes: map[string]process.Record{}, Secrets: map[string]string{},
	}}
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the stack's state: %w", err)
	}
	if err := json.Unmarshal(text, &s.content); err != nil {
		return nil, fmt.Errorf("reading the stack's state from %s: %w", s.path, err)
	}
	return s, nil
}

// save must be called with the lock held.
func (s *State) save() error {
	text, err := json.MarshalIndent(s.content, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the stack's state: %w", err)
	}
	temporary := s.path + ".new"
	if err := os.WriteFile(temporary, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the stack's state: %w", err)
	}
	if err := os.Rename(temporary, s.path); err != nil {
		return fmt.Errorf("putting the stack's state in place: %w", err)
	}
	return nil
}

// Stack returns the ID of the stack whose state it is; "" if none has claimed it.
func (s *State) Stack() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.content.Stack
}

// Claim makes it the state of the stack with this ID.
func (s *State) Claim(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.content.Stack == id {
		return nil
	}
	s.content.Stack = id
	return s.save()
}

// Ports returns the last choice of ports.
func (s *State) Ports() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.content.Ports
}

// SetPorts remembers a choice; the map is the state's from then on.
func (s *State) SetPorts(chosen map[string]int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content.Ports = chosen
	return s.save()
}

// Process returns the record of a server; the zero Record if there is none.
func (s *State) Process(name string) process.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.content.Processes[name]
}

// SetProcess remembers a started server.
func (s *State) SetProcess(name string, record process.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content.Processes[name] = record
	return s.save()
}

// ForgetProcess removes the record of a stopped server.
func (s *State) ForgetProcess(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.content.Processes, name)
	return s.save()
}

// Secret returns the secret of that name, made at random when first asked for.
func (s *State) Secret(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if secret := s.content.Secrets[name]; secret != "" {
		return secret, nil
	}
	secret := rand.Text()
	s.content.Secrets[name] = secret
	return secret, s.save()
}
