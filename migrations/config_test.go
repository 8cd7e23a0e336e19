package migrations

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/config"
)

// secret is in every password of these tests, and must be in nothing that is shown.
const secret = "s3cr3t"

func TestDatabaseURL(t *testing.T) {
	tests := []struct {
		name, url string
		shown     string // user@host:port/database
		password  string
		tls       string
	}{
		{"plain", "mysql://u:s3cr3t@db:3307/flowlite_db", "u@db:3307/flowlite_db", "s3cr3t", "preferred"},
		{"pymysql", "mysql+pymysql://u:s3cr3t@db:3307/flowlite_db", "u@db:3307/flowlite_db", "s3cr3t", "preferred"},
		{"aiomysql", "mysql+aiomysql://u:s3cr3t@db:3307/flowlite_db", "u@db:3307/flowlite_db", "s3cr3t", "preferred"},
		{"mysqldb", "mysql+mysqldb://u:s3cr3t@db:3307/flowlite_db", "u@db:3307/flowlite_db", "s3cr3t", "preferred"},
		{"asyncmy", "mysql+asyncmy://u:s3cr3t@db:3307/flowlite_db", "u@db:3307/flowlite_db", "s3cr3t", "preferred"},
		{"no port", "mysql://u:s3cr3t@db/x", "u@db:3306/x", "s3cr3t", "preferred"},
		{"no host", "mysql://u:s3cr3t@/x", "u@localhost:3306/x", "s3cr3t", "preferred"},
		{"no password", "mysql://root@db/x", "root@db:3306/x", "", "preferred"},
		{"escapes", "mysql://a%40b:s3cr3t%40%3A%2F%25+%C3%B1@db/x", "a@b@db:3306/x", "s3cr3t@:/%+ñ", "preferred"},
		{"what net/url refuses", "mysql://u:s3cr3t/?#[]:x@db/x", "u@db:3306/x", "s3cr3t/?#[]:x", "preferred"},
		{"IPv6", "mysql://u:s3cr3t@[::1]:3307/x", "u@[::1]:3307/x", "s3cr3t", "preferred"},
		{"IPv6 without port", "mysql://u:s3cr3t@[fe80::1]/x", "u@[fe80::1]:3306/x", "s3cr3t", "preferred"},
		{"charset", "mysql+pymysql://u:s3cr3t@db/x?charset=utf8mb4&connect_timeout=5", "u@db:3306/x", "s3cr3t", "preferred"},
		{"ssl", "mysql://u:s3cr3t@db/x?ssl=true", "u@db:3306/x", "s3cr3t", "true"},
		{"ssl off", "mysql://u:s3cr3t@db/x?ssl=false", "u@db:3306/x", "s3cr3t", "false"},
		{"ssl_mode", "mysql+mysqldb://u:s3cr3t@db/x?ssl_mode=REQUIRED", "u@db:3306/x", "s3cr3t", "skip-verify"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{URL: config.Secret(tt.url), TLS: "preferred", Host: "ignored", Port: -1}
			if err := cfg.Validate(); err != nil {
				t.Fatal(err)
			}
			a, _ := cfg.address()
			if cfg.String() != tt.shown || a.password != tt.password || a.tls != tt.tls {
				t.Errorf("got  %s, password %q, TLS %s\nwant %s, password %q, TLS %s", cfg, a.password, a.tls, tt.shown, tt.password, tt.tls)
			}
			if shown := fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, struct{ C Config }{cfg}); strings.Contains(shown, secret) {
				t.Errorf("the password is shown: %s", shown)
			}
			db, err := cfg.Open()
			if err != nil {
				t.Fatalf("the driver does not take it: %v", err)
			}
			_ = db.Close()
		})
	}
}

// Whatever is wrong with an address, nothing of its password comes to light: also where the
// password itself is what makes it wrong.
func TestBadDatabaseURLs(t *testing.T) {
	tests := []struct{ name, url, want string }{
		{"no URL", "s3cr3t", "is not of the form"},
		{"no scheme", "u:s3cr3t@db/x", "is not of the form"},
		{"another scheme", "postgresql://u:s3cr3t@db/x", "does not lead to a MySQL server"},
		{"another driver", "mysql+s3cr3t://u:p@db/x", "does not lead to a MySQL server"},
		{"a scheme in capitals", "s3cr3t://u:p@db/x", "does not lead to a MySQL server"},
		{"no user", "mysql://db:s3cr3t/x", "names no user"},
		{"password without user's @", "mysql://u:s3cr3t", "names no user"},
		{"@ in the password", "mysql://u:p@s3cr3t@db/x", "more than one @"},
		{"@ and ? in the password", "mysql://u:p@w?s3cr3t=1@db/x", "more than one @"},
		{"@ in user and password", "mysql://u@h:s3cr3t@db/x", "more than one @"},
		{"empty user", "mysql://:s3cr3t@db/x", "has an empty user"},
		{"% in the password", "mysql://u:s3cr3t%zz@db/x", "has a password with a %"},
		{"% at the password's end", "mysql://u:s3cr3t%@db/x", "has a password with a %"},
		{"% in the user", "mysql://s3cr3t%:p@db/x", "has a user with a %"},
		{"a word for a port", "mysql://u:p@db:s3cr3t/x", "has a port that is no number"},
		{"a port too high", "mysql://u:s3cr3t@db:70000/x", "has a port that is no number"},
		{"no database", "mysql://u:s3cr3t@db:3306", "names no database"},
		{"empty database", "mysql://u:s3cr3t@db:3306/", "names no database"},
		{"no end of IPv6", "mysql://u:s3cr3t@[::1/x", "is not of the form"},
		{"a control character", "mysql://u:s3cr3t@d\x7fb:a/x", "has a port that is no number"},
		{"a parameter that is not supported", "mysql://u:s3cr3t@db/x?ssl_ca=/ca.pem", `"ssl_ca", which is not supported`},
		{"password as a parameter", "mysql://u@db/x?passwd=s3cr3t", `"passwd", which is not supported`},
		{"a value that is not supported", "mysql://u:p@db/x?ssl=s3cr3t", `a value of the parameter "ssl"`},
		{"parameters that cannot be read", "mysql://u:p@db/x?a=%s3cr3t", "parameters (behind the question mark) that cannot be read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{URL: config.Secret(tt.url), TLS: "preferred"}
			err := cfg.Validate()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if _, openErr := cfg.Open(); openErr == nil || openErr.Error() != err.Error() {
				t.Errorf("Open: got %v, want what Validate says", openErr)
			}
			if shown := fmt.Sprintf("%v %v %+v %#v", err, cfg, cfg, cfg); strings.Contains(shown, secret) {
				t.Errorf("the password is shown: %s", shown)
			}
		})
	}
}

func TestValidateReportsEverything(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		want []string
	}{
		{"variables", Config{Port: 0, TLS: "maybe"}, []string{
			"MYSQL_TLS is none of false, preferred, true, skip-verify", "MYSQL_HOST is empty", "MYSQL_PORT is no port: 0", "MYSQL_USER is empty",
			"MYSQL_PASSWORD is required and not set (nor is DATABASE_URL)", "MYSQL_DATABASE is empty",
		}},
		{"URL", Config{URL: "mysql://:s3cr3t%@db:x/?a=b", TLS: "maybe"}, []string{
			"MYSQL_TLS is none of", "DATABASE_URL has an empty user", "DATABASE_URL has a password with", "DATABASE_URL has a port",
			"DATABASE_URL names no database", `DATABASE_URL has the parameter "a"`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.cfg.Validate()
			if err == nil || strings.Count(err.Error(), "\n") != len(tt.want)-1 {
				t.Fatalf("got %v\nwant %d lines", err, len(tt.want))
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwant a line with %s", err, want)
				}
			}
		})
	}
}

func TestConfigFromVariables(t *testing.T) {
	var cfg Config
	if _, err := config.Load(&cfg, []string{"MYSQL_PASSWORD=" + secret}); err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.String(), "flowlite_user@localhost:3306/flowlite_db"; got != want {
		t.Errorf("got %s, want the defaults: %s", got, want)
	}
	_, err := config.Load(&cfg, []string{"INGESTA_ENV=production", "DATABASE_URL=mysql+pymysql://flowlite_user:flowlite_password@localhost:3306/flowlite_db"})
	if err == nil || !strings.Contains(err.Error(), "DATABASE_URL holds a sample password") {
		t.Errorf("got %v, want the sample password refused in production", err)
	}
}
