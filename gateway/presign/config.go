package presign

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Config says where objects are, in the words of the workers, and how long an address is good.
// Credentials come from the SDK's default chain and are not part of it.
type Config struct {
	Bucket string `env:"AWS_BUCKET_NAME"` // empty: there are no downloads
	Region string `env:"AWS_REGION"`      // empty: as the SDK finds it, else us-east-1

	// Endpoint is the URL of a server other than Amazon's. Empty: as the SDK finds it.
	Endpoint string `env:"AWS_ENDPOINT_URL"`

	// Public is the URL of the same server as browsers reach it. Empty: that of Endpoint. It is part of
	// what is signed: a proxy there must pass the host name on.
	Public string `env:"INGESTA_DOWNLOAD_ENDPOINT"`

	// PathStyle puts the bucket into the path instead of the host name. Unset: true when there
	// is an endpoint, since few other servers answer to a host name for each bucket.
	PathStyle *bool `env:"INGESTA_S3_PATH_STYLE"`

	TTL time.Duration `env:"INGESTA_DOWNLOAD_TTL" envDefault:"5m"` // how long an address is good
}

// The bounds of TTL. S3 counts whole seconds; a download that has begun outlives its address.
const (
	shortestTTL = time.Second
	longestTTL  = 12 * time.Hour
)

// Validate reports every value that cannot work.
func (c Config) Validate() error {
	var problems []error
	if c.TTL < shortestTTL || c.TTL > longestTTL {
		problems = append(problems, fmt.Errorf("INGESTA_DOWNLOAD_TTL (%s) must lie between %s and %s", c.TTL, shortestTTL, longestTTL))
	}
	if c.Public != "" {
		if err := checkEndpoint(c.Public); err != nil {
			problems = append(problems, fmt.Errorf("INGESTA_DOWNLOAD_ENDPOINT %w", err))
		}
	}
	return errors.Join(problems...)
}

func checkEndpoint(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("must be an address that begins with https:// or http://")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must be an address without user, password, query and fragment")
	}
	return nil
}
