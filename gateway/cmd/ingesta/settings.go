package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/joho/godotenv"
	"go.yaml.in/yaml/v3"
)

// defaultURL is where a gateway listens that nobody has told otherwise.
const defaultURL = "http://localhost:8000"

// setting is a value and where it comes from.
type setting struct{ value, source string }

// settings are what every command needs to know. Of the places that may say one, the first that does
// counts: a flag, the environment, the configuration file, for URL and token the local stack's file.
type settings struct {
	url    setting
	token  setting
	output setting
	file   setting // the configuration file; an empty source: there is none
}

// configFile is the form of the configuration file.
type configFile struct {
	URL       string `yaml:"url"`
	Token     string `yaml:"token"`
	TokenFile string `yaml:"token_file"`
	Output    string `yaml:"output"`
}

// stackFiles are looked for where the program is started: what docker compose reads, else what make
// up has written. They also hold the settings of the commands token and events.
var stackFiles = []string{".env", ".local/env"}

// resolve finds the settings. What is wrong with them is a usageError.
func (t *tool) resolve() error {
	path, file, err := t.readConfig()
	if err != nil {
		return usageError{err}
	}
	stack, stackPath, err := readStackFile()
	if err != nil {
		return usageError{err}
	}
	t.stack = stack

	s := &t.settings
	if path != "" {
		s.file = setting{path, path}
	}
	envToken, err := t.fromEnvironment("INGESTA_TOKEN")
	if err != nil {
		return usageError{err}
	}
	fileToken, err := file.token(path)
	if err != nil {
		return usageError{err}
	}
	envURL, err := t.fromEnvironment("INGESTA_URL")
	if err != nil {
		return usageError{err}
	}
	s.url = first(setting{t.flags.url, "--url"}, envURL, setting{file.URL, path})
	s.token = first(setting{t.flags.token, "--token"}, envToken, fileToken)
	// A file that lies about in a folder must not get a token sent to whom it likes.
	if address := stack["INGESTA_URL"]; s.url.value == "" && s.token.value == "" && onThisMachine(address) {
		s.url = setting{address, stackPath}
		s.token = first(setting{stack["INGESTA_TOKEN"], stackPath})
	}
	s.url = first(s.url, setting{defaultURL, "the default"})

	envOutput, err := t.fromEnvironment("INGESTA_OUTPUT")
	if err != nil {
		return usageError{err}
	}
	s.output = first(setting{t.flags.output, "--output"}, envOutput, setting{file.Output, path}, setting{outputTable, "the default"})
	if s.output.value != outputTable && s.output.value != outputJSON {
		return usageError{fmt.Errorf("the output is %q (%s): use %s or %s", s.output.value, s.output.source, outputTable, outputJSON)}
	}
	return nil
}

// The forms of output.
const (
	outputTable = "table"
	outputJSON  = "json"
)

// first returns the first setting that says something.
func first(candidates ...setting) setting {
	for _, candidate := range candidates {
		if candidate.value != "" {
			return candidate
		}
	}
	return setting{source: "not set"}
}

// fromEnvironment returns a variable, or the content of the file that its _FILE form names.
func (t *tool) fromEnvironment(name string) (setting, error) {
	value, path := t.process.Getenv(name), t.process.Getenv(name+"_FILE")
	switch {
	case value != "" && path != "":
		return setting{}, fmt.Errorf("%s and %s_FILE are both set: keep one", name, name)
	case path != "":
		content, err := os.ReadFile(path)
		if err != nil {
			return setting{}, fmt.Errorf("%s_FILE: %w", name, err)
		}
		return setting{strings.TrimSpace(string(content)), name + "_FILE"}, nil
	default:
		return setting{value, name}, nil
	}
}

// readConfig reads the configuration file. That the one of the usual place is not there is no fault.
func (t *tool) readConfig() (path string, file configFile, err error) {
	path = t.flags.config
	asked := path != ""
	if !asked {
		folder := t.process.Getenv("XDG_CONFIG_HOME")
		if home := t.process.Getenv("HOME"); folder == "" && home != "" {
			folder = filepath.Join(home, ".config")
		}
		if folder == "" {
			return "", configFile{}, nil
		}
		path = filepath.Join(folder, "ingesta", "config.yaml")
	}
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !asked:
		return "", configFile{}, nil
	case err != nil:
		return "", configFile{}, fmt.Errorf("reading the configuration: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return "", configFile{}, fmt.Errorf("reading the configuration in %s: it knows url, token, token_file and output: %w", path, err)
	}
	if info, err := os.Stat(path); err == nil && file.Token != "" && info.Mode().Perm()&0o077 != 0 {
		t.note("others on this machine may read the token in %s: chmod 600 it", path)
	}
	return path, file, nil
}

// token returns the token of the configuration file, or of the file that it names, which a relative
// path takes from the folder of the former.
func (f configFile) token(path string) (setting, error) {
	switch {
	case f.Token != "" && f.TokenFile != "":
		return setting{}, fmt.Errorf("%s has token and token_file: keep one", path)
	case f.TokenFile == "":
		return setting{f.Token, path}, nil
	}
	named := f.TokenFile
	if !filepath.IsAbs(named) {
		named = filepath.Join(filepath.Dir(path), named)
	}
	content, err := os.ReadFile(named)
	if err != nil {
		return setting{}, fmt.Errorf("token_file of %s: %w", path, err)
	}
	return setting{strings.TrimSpace(string(content)), path}, nil
}

// readStackFile returns the variables of the first of stackFiles that is there, none when none is.
func readStackFile() (variables map[string]string, path string, err error) {
	for _, path := range stackFiles {
		variables, err := godotenv.Read(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil { // what it says of a line that it cannot read shows that line
			return nil, "", fmt.Errorf("reading the variables in %s: it is not a file of lines NAME=value", path)
		}
		return variables, path, nil
	}
	return nil, "", nil
}

// onThisMachine reports whether an address leads to this machine and nowhere else.
func onThisMachine(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// environ returns the environment, with the stack file's variables of those prefixes of which it has
// none: half of a server's settings from here and half from there would lead nowhere good.
func (t *tool) environ(prefixes ...string) []string {
	environ := t.process.Environ
	for _, prefix := range prefixes {
		if t.process.AnySet(prefix) {
			continue
		}
		for name, value := range t.stack {
			if strings.HasPrefix(name, prefix) {
				environ = append(environ, name+"="+value)
			}
		}
	}
	return environ
}
