// Package config turns the environment into typed structs, all problems reported at once.
//
// Each package owns a Config struct with `env` and `envDefault` tags; a program composes those it
// needs and loads them together. On top of the tags, Load knows the conventions of the system:
//
//   - X_FILE names a file that holds the value of X (a mounted secret); both set is an error.
//   - SOURCE_X falls back to X, because the two original systems used MYSQL_* for different servers.
//   - INGESTA_* variables that nothing reads are reported: they are usually typing errors.
//   - In production mode the sample passwords of the documentation, and secrets that
//     everybody knows, are refused.
//
// Values of secrets never appear in what it returns.
package config

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Mode is the setting of INGESTA_ENV.
type Mode string

// The modes. Production refuses whatever is convenient on a laptop and dangerous elsewhere.
const (
	Development Mode = "development"
	Production  Mode = "production"
)

// UnmarshalText accepts the names of the two modes.
func (m *Mode) UnmarshalText(text []byte) error {
	switch got := Mode(text); got {
	case Development, Production:
		*m = got
		return nil
	default:
		return fmt.Errorf("unknown mode %q: use %q or %q", text, Development, Production)
	}
}

// validator is a Config that can say what is wrong with its values.
type validator interface{ Validate() error }

// Load fills cfg, a pointer to a struct, from environ (as of os.Environ) and validates it: every
// struct in it that has a Validate method is asked. The error joins all problems; warnings name
// INGESTA_* variables that no program reads.
func Load(cfg any, environ []string) (warnings []string, err error) {
	vars := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			vars[name] = value
		}
	}
	for name := range vars {
		if strings.HasPrefix(name, "INGESTA_") && !slices.Contains(variables, strings.TrimSuffix(name, "_FILE")) {
			warnings = append(warnings, name+" is not a variable of this system: see .env.example")
		}
	}
	slices.Sort(warnings)

	fields, err := env.GetFieldParams(cfg)
	if err != nil {
		return warnings, fmt.Errorf("reading the configuration's form: %w", err)
	}
	var problems []error
	for _, field := range fields {
		problems = append(problems, resolve(vars, field.Key))
	}
	unread, unreadable := parse(cfg, vars, fields)
	problems = append(problems, unreadable...)
	for _, problem := range append(validate(reflect.ValueOf(cfg).Elem()), refuseSamples(vars, fields)...) {
		// What could not be read has been complained of, and its place is held by a default.
		if !slices.ContainsFunc(unread, func(name string) bool { return mentions(problem, name) }) {
			problems = append(problems, problem)
		}
	}
	return warnings, errors.Join(problems...)
}

// mentions reports whether the problem's text holds the variable's name as a word.
func mentions(problem error, name string) bool {
	partOfName := func(r rune) bool { return r == '_' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' }
	words := strings.FieldsFunc(problem.Error(), func(r rune) bool { return !partOfName(r) })
	return slices.Contains(words, name)
}

// resolve gives the variable its value from X_FILE or from its fallback.
func resolve(vars map[string]string, name string) error {
	if err := fromFile(vars, name); err != nil {
		return err
	}
	fallback, ok := strings.CutPrefix(name, "SOURCE_")
	if _, set := vars[name]; set || !ok {
		return nil
	}
	if err := fromFile(vars, fallback); err != nil {
		return err
	}
	if value, ok := vars[fallback]; ok {
		vars[name] = value
	}
	return nil
}

// fromFile gives the variable the content of the file that X_FILE names, if it is set.
func fromFile(vars map[string]string, name string) error {
	path, ok := vars[name+"_FILE"]
	if !ok {
		return nil
	}
	if _, both := vars[name]; both {
		return fmt.Errorf("%s and %s_FILE are both set: keep one", name, name)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s_FILE: %w", name, err)
	}
	vars[name] = strings.TrimRight(string(content), "\r\n")
	delete(vars, name+"_FILE")
	return nil
}

// parse fills cfg and returns each variable that is missing or whose value does not fit, and the
// complaint about it. In cfg a default, if there is one, takes the place of a value that does not fit.
func parse(cfg any, vars map[string]string, fields []env.FieldParams) (unread []string, problems []error) {
	err := env.ParseWithOptions(cfg, env.Options{Environment: vars})
	if err == nil {
		return nil, nil
	}
	for _, e := range flatten(err) {
		var missing env.VarIsNotSetError
		var empty env.EmptyVarError
		switch {
		case errors.As(e, &missing):
			unread = append(unread, missing.Key)
			problems = append(problems, fmt.Errorf("%s is required and not set", named(missing.Key)))
		case errors.As(e, &empty):
			unread = append(unread, empty.Key)
			problems = append(problems, fmt.Errorf("%s is required and empty", named(empty.Key)))
		}
	}
	// The library names the struct's field; people set variables. A variable parsed alone tells
	// whether it is the one to blame.
	readable := maps.Clone(vars)
	for _, field := range fields {
		value, ok := vars[field.Key]
		if !ok {
			continue
		}
		scratch := reflect.New(reflect.TypeOf(cfg).Elem()).Interface()
		alone := env.ParseWithOptions(scratch, env.Options{Environment: map[string]string{field.Key: value}})
		for _, e := range flatten(alone) {
			var unfit env.ParseError
			if errors.As(e, &unfit) {
				unread = append(unread, field.Key)
				delete(readable, field.Key)
				problems = append(problems, fmt.Errorf("%s: %w", field.Key, unfit.Err))
			}
		}
	}
	if len(problems) == 0 {
		return nil, []error{err}
	}
	_ = env.ParseWithOptions(cfg, env.Options{Environment: readable}) // complains only of what is missing
	return unread, problems
}

// named returns the variable and the one it falls back to.
func named(name string) string {
	if fallback, ok := strings.CutPrefix(name, "SOURCE_"); ok {
		return name + " (or " + fallback + ")"
	}
	return name
}

func flatten(err error) []error {
	var all env.AggregateError
	if errors.As(err, &all) {
		return all.Errors
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

// validate asks every struct within v that has a Validate method, and returns each problem apart.
func validate(v reflect.Value) []error {
	if v.Kind() != reflect.Struct || !v.CanAddr() {
		return nil
	}
	var problems []error
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() {
			problems = append(problems, validate(v.Field(i))...)
		}
	}
	if checked, ok := v.Addr().Interface().(validator); ok {
		problems = append(problems, apart(checked.Validate())...)
	}
	return problems
}

// apart returns each problem of a Validate method, which joins them: one to a line.
func apart(err error) []error {
	if err == nil {
		return nil
	}
	var problems []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		problems = append(problems, errors.New(line))
	}
	return problems
}

// samples are the passwords that the documentation shows, and the secret that the
// best-known example of a token is signed with.
var samples = []string{
	"pharmavida123", "flowlite_password", "flowlite_redis_pass_2024", "admin", "guest", "password", "password123",
	"tu_password_seguro", "tu_password_usuario", "tu_password_rabbitmq", "tu_password_redis",
	"a-string-secret-at-least-256-bits-long",
}

func refuseSamples(vars map[string]string, fields []env.FieldParams) []error {
	if Mode(vars["INGESTA_ENV"]) != Production {
		return nil
	}
	var problems []error
	for _, field := range fields {
		value, set := vars[field.Key]
		if !set {
			value = field.DefaultValue
		}
		if strings.HasSuffix(field.Key, "PASSWORD") && slices.Contains(samples, value) {
			problems = append(problems, fmt.Errorf("%s is a sample password: set one of your own in production", field.Key))
		}
		if strings.HasSuffix(field.Key, "_SECRET") && slices.Contains(samples, value) {
			problems = append(problems, fmt.Errorf("%s is a sample secret: set one of your own in production", field.Key))
		}
		address := strings.HasSuffix(field.Key, "_URI") || strings.HasSuffix(field.Key, "_URL")
		if address && slices.Contains(samples, passwordOf(value)) {
			problems = append(problems, fmt.Errorf("%s holds a sample password: set one of your own in production", field.Key))
		}
	}
	return problems
}

// passwordOf returns the password in a connection string, without its escapes. Such strings may name
// several hosts, which net/url does not read.
func passwordOf(uri string) string {
	_, rest, _ := strings.Cut(uri, "://")
	authority, _, _ := strings.Cut(rest, "/")
	user, _, _ := strings.Cut(authority, "@")
	_, password, _ := strings.Cut(user, ":")
	if plain, err := url.PathUnescape(password); err == nil {
		return plain
	}
	return password
}
