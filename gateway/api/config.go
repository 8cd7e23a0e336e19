package api

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config is how long clients may wait for the end of a job, how much they may ask, and whom the API
// believes what.
type Config struct {
	DefaultWait time.Duration `env:"INGESTA_DEFAULT_WAIT" envDefault:"0s"` // of a POST that does not say
	MaxWait     time.Duration `env:"INGESTA_MAX_WAIT" envDefault:"5m"`     // longer wishes are cut to it

	// What one caller may do: with routes that change something, and with all others.
	RateRun  Rate `env:"INGESTA_RATE_RUN" envDefault:"20/s,burst=500"`
	RateRead Rate `env:"INGESTA_RATE_READ" envDefault:"100/s,burst=1000"`

	// Origins are those of the pages, other than the gateway's own, whose scripts may use the API.
	Origins Origins `env:"INGESTA_CORS_ORIGINS"`

	// Proxies are believed what they say of the client's address (X-Forwarded-For).
	Proxies Networks `env:"INGESTA_TRUSTED_PROXIES"`
}

// Validate reports every value that cannot work.
func (c Config) Validate() error {
	if c.MaxWait < 0 || c.DefaultWait < 0 || c.DefaultWait > c.MaxWait {
		return fmt.Errorf("INGESTA_DEFAULT_WAIT (%s) must lie between 0 and INGESTA_MAX_WAIT (%s)", c.DefaultWait, c.MaxWait)
	}
	return nil
}

// Origins is a list of web origins, each as a browser writes it: https://app.example.com.
type Origins []string

// UnmarshalText reads a list with commas. No pattern stands for several origins: whoever may have the
// API called from a page is named.
func (o *Origins) UnmarshalText(text []byte) error {
	origins, err := listOf(string(text), func(s string) (string, error) {
		if s == "*" {
			return "", errors.New("* would let every page use the API: name each origin")
		}
		u, err := url.Parse(s)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Scheme+"://"+strings.ToLower(u.Host) != s {
			return "", fmt.Errorf("%q is not an origin as browsers write it, like https://app.example.com", s)
		}
		return s, nil
	})
	*o = origins
	return err
}

// Networks is a list of address ranges.
type Networks []netip.Prefix

// UnmarshalText reads a list of ranges in CIDR form, with commas.
func (n *Networks) UnmarshalText(text []byte) error {
	networks, err := listOf(string(text), func(s string) (netip.Prefix, error) {
		prefix, err := netip.ParsePrefix(s)
		if err != nil || prefix != prefix.Masked() {
			return netip.Prefix{}, fmt.Errorf("%q is not a range of addresses like 10.1.0.0/16", s)
		}
		return prefix, nil
	})
	*n = networks
	return err
}

// listOf reads each part of a list with commas. An empty text is an empty list.
func listOf[T comparable](text string, read func(string) (T, error)) ([]T, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var list []T
	for part := range strings.SplitSeq(text, ",") {
		element, err := read(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		if slices.Contains(list, element) {
			return nil, fmt.Errorf("%q is named twice", strings.TrimSpace(part))
		}
		list = append(list, element)
	}
	return list, nil
}
