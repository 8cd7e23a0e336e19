package ingest

import (
	"encoding/json"
	"regexp"
	"time"
)

// CommandVersion is the version of the command's wire form that this code writes and reads.
const CommandVersion = 1

// MaxCommand is how many bytes a command may have on the wire: thousands of datasets.
const MaxCommand = 1 << 20

// jobID is the form of the ids that gateways give: a UUID. A command of another id is nobody's, and
// carrying it out would make a job of it.
var jobID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Command tells a worker to run a job. It names things and nothing more: never SQL, never a
// credential. The worker resolves the names in its own catalog.
type Command struct {
	Version       int       `json:"version"`
	JobID         string    `json:"job_id"`
	Database      Database  `json:"database"`
	Targets       []Target  `json:"datasets"`
	RequestedBy   string    `json:"requested_by"`
	RequestID     string    `json:"request_id,omitempty"` // of the HTTP request, for the logs
	RetryOf       string    `json:"retry_of,omitempty"`
	AcceptedAt    time.Time `json:"accepted_at"`
	CatalogDigest string    `json:"catalog_digest"` // of the gateway's catalog, see catalog.Digest
}

// Target is one dataset of a command and the key of the object it is exported to. Keys are fixed
// at acceptance: every attempt of a job writes the same ones, and two jobs never share one.
type Target struct {
	Dataset string `json:"name"`
	Key     string `json:"key"`
}

// DecodeCommand reads a command off the wire. Its errors are permanent and of code
// MalformedCommand or UnsupportedVersion; fields it does not know are ignored, so that a later
// version of the gateway may add some.
func DecodeCommand(body []byte) (Command, error) {
	if len(body) > MaxCommand { // before anything is spent on it
		return Command{}, Permanent(MalformedCommand, nil, "the command has %d bytes; at most %d are read", len(body), MaxCommand)
	}
	var c Command
	if err := json.Unmarshal(body, &c); err != nil {
		return Command{}, Permanent(MalformedCommand, err, "the command is not valid JSON of the expected form")
	}
	switch {
	case c.Version == 0:
		return Command{}, Permanent(MalformedCommand, nil, "the command has no version")
	case c.Version != CommandVersion:
		return Command{}, Permanent(UnsupportedVersion, nil, "the command is of version %d; known here is version %d", c.Version, CommandVersion)
	case c.JobID == "":
		return Command{}, Permanent(MalformedCommand, nil, "the command names no job")
	case !jobID.MatchString(c.JobID):
		return Command{}, Permanent(MalformedCommand, nil, "the command's job id %.60q is not a UUID", c.JobID)
	case c.Database == "":
		return Command{}, Permanent(MalformedCommand, nil, "the command names no database")
	case len(c.Targets) == 0:
		return Command{}, Permanent(MalformedCommand, nil, "the command names no dataset")
	}
	seen, keys := make(map[string]bool, len(c.Targets)), make(map[string]bool, len(c.Targets))
	for _, t := range c.Targets {
		if t.Dataset == "" || t.Key == "" {
			return Command{}, Permanent(MalformedCommand, nil, "a dataset of the command lacks its name or its key")
		}
		if seen[t.Dataset] {
			return Command{}, Permanent(MalformedCommand, nil, "the command names dataset %q twice", t.Dataset)
		}
		if keys[t.Key] { // the second would replace the first, whose result would then be a lie
			return Command{}, Permanent(MalformedCommand, nil, "the command exports two datasets to the key %q", t.Key)
		}
		seen[t.Dataset], keys[t.Key] = true, true
	}
	return c, nil
}
