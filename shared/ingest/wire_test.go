package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

var accepted = time.Date(2025, 1, 2, 15, 30, 45, 0, time.UTC)

// sample is a job with a dataset in every state.
func sample() Job {
	j := Job{
		ID: "0194-job", Database: MySQL, Status: Partial, RequestedBy: "system", CreatedAt: accepted, StartedAt: accepted, FinishedAt: accepted.Add(time.Minute), Attempt: 2,
		Results: Results{
			{Dataset: "users", Key: "mysql/users_20250102_153045.csv", State: Done, URL: "s3://b/mysql/users_20250102_153045.csv", Rows: 0, Bytes: 12, SHA256: "ab", Format: "CSV",
				Columns: []Column{{Name: "id", Type: "integer", SourceType: "bigint"}}, Withheld: []Withheld{{"password", "sensitive_name"}}, Snapshot: &Snapshot{At: accepted, Consistent: true}},
			{Dataset: "compras", Key: "k", State: Exporting, Rows: 7, Bytes: 70, EstimatedRows: 100, RowsPerSecond: 3.5},
			{Dataset: "b", Key: "k2", State: Broken, Code: TableNotFound, Error: `table "b" does not exist`},
			{Dataset: "a", Key: "k3", State: Pending},
		},
		Attempts: []Attempt{{Number: 1, Worker: "w", StartedAt: accepted, EndedAt: accepted, Outcome: OutcomeRetry, Code: SourceUnavailable}},
	}
	j.SumProgress()
	return j
}

// What the original's clients read stays where it was, and datasets keep the catalog's order.
func TestJobWire(t *testing.T) {
	data, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	var original struct {
		Status   string
		Database string
		Result   map[string]struct {
			URL       string
			Registros *int
			Error     string
			Code      string
		}
	}
	if err := json.Unmarshal(data, &original); err != nil {
		t.Fatal(err)
	}
	users := original.Result["users"]
	if original.Status != "partial" || original.Database != "mysql" || users.URL == "" || users.Registros == nil || *users.Registros != 0 {
		t.Errorf("the original's fields are not all there: %s", data)
	}
	if b := original.Result["b"]; b.Error == "" || b.Code != "table_not_found" || b.Registros != nil {
		t.Errorf("a failed dataset must tell its error and code, and no rows: %s", data)
	}
	if order := fmt.Sprint(strings.Index(string(data), `"users"`) < strings.Index(string(data), `"compras"`), strings.Index(string(data), `"b":{`) < strings.Index(string(data), `"a":{`)); order != "true true" {
		t.Errorf("datasets are out of order: %s", data)
	}

	var back Job
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, sample()) {
		t.Errorf("the job did not survive its wire form:\ngot  %+v\nwant %+v", back, sample())
	}
}

func TestResultsRefuseOtherJSON(t *testing.T) {
	for _, bad := range []string{`[]`, `3`, `{"a":3}`, `{"a":{"registros":"x"}}`, `{"a":`} {
		var r Results
		if err := json.Unmarshal([]byte(bad), &r); err == nil {
			t.Errorf("accepted %s as %+v", bad, r)
		}
	}
	var r Results
	if err := json.Unmarshal([]byte(`null`), &r); err != nil || r != nil {
		t.Errorf("null: got %v, %v", r, err)
	}
}

func TestCommandWire(t *testing.T) {
	const id = "0194f3c0-7b2e-7000-8000-00000000000a"
	cmd := sample().Command()
	cmd.JobID = id
	body, err := json.Marshal(cmd)
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeCommand(body)
	if err != nil || !reflect.DeepEqual(back, cmd) {
		t.Errorf("got %+v, %v\nwant %+v", back, err, cmd)
	}
	tests := []struct {
		name, body string
		want       Code
	}{
		{"not JSON", `hello`, MalformedCommand},
		{"empty", ``, MalformedCommand},
		{"wrong type", `{"version":"1"}`, MalformedCommand},
		{"no version", `{"job_id":"` + id + `","database":"mysql","datasets":[{"name":"a","key":"b"}]}`, MalformedCommand},
		{"of the future", `{"version":2,"job_id":"` + id + `"}`, UnsupportedVersion},
		{"no job", `{"version":1,"database":"mysql","datasets":[{"name":"a","key":"b"}]}`, MalformedCommand},
		{"another id", `{"version":1,"job_id":"pedido-7","database":"mysql","datasets":[{"name":"a","key":"b"}]}`, MalformedCommand},
		{"an id and more", `{"version":1,"job_id":"../` + id + `","database":"mysql","datasets":[{"name":"a","key":"b"}]}`, MalformedCommand},
		{"too large", string(body) + strings.Repeat(" ", MaxCommand), MalformedCommand},
		{"no database", `{"version":1,"job_id":"` + id + `","datasets":[{"name":"a","key":"b"}]}`, MalformedCommand},
		{"no dataset", `{"version":1,"job_id":"` + id + `","database":"mysql"}`, MalformedCommand},
		{"no key", `{"version":1,"job_id":"` + id + `","database":"mysql","datasets":[{"name":"a"}]}`, MalformedCommand},
		{"dataset twice", `{"version":1,"job_id":"` + id + `","database":"mysql","datasets":[{"name":"a","key":"b"},{"name":"a","key":"c"}]}`, MalformedCommand},
		{"key twice", `{"version":1,"job_id":"` + id + `","database":"mysql","datasets":[{"name":"a","key":"c"},{"name":"b","key":"c"}]}`, MalformedCommand},
	}
	for _, tt := range tests {
		if _, err := DecodeCommand([]byte(tt.body)); !HasCode(err, tt.want) || IsTransient(err) {
			t.Errorf("%s: got %v, want a permanent %s", tt.name, err, tt.want)
		}
	}
	if _, err := DecodeCommand([]byte(string(body) + strings.Repeat(" ", MaxCommand-len(body)))); err != nil {
		t.Errorf("a command of just the largest size was refused: %v", err)
	}
	if _, err := DecodeCommand([]byte(`{"version":1,"job_id":"` + id + `","database":"mysql","datasets":[{"name":"a","key":"b"}],"later":true}`)); err != nil {
		t.Errorf("a field of a later gateway was refused: %v", err)
	}
}

// forgedIDs are job ids that no gateway gives: a job's id becomes part of keys in Redis and S3.
var forgedIDs = []string{
	"a", "../../etc/passwd", "0194f3c0-7b2e-7000-8000-00000000000", "0194f3c0-7b2e-7000-8000-00000000000a\n",
	"0194F3C0-7B2E-7000-8000-00000000000A", "{0194f3c0-7b2e-7000-8000-00000000000a}", "urn:uuid:0194f3c0-7b2e-7000-8000-00000000000a",
	"0194f3c07b2e7000800000000000000a", " 0194f3c0-7b2e-7000-8000-00000000000a", "0194f3c0-7b2e-7000-8000-00000000000a/x",
	"0194f3c0-7b2e-7000-8000-0000000000\u0660\u0661", "0194f3c0-7b2e-7000-8000-00000000000a\x00",
}

func TestForgedJobIDs(t *testing.T) {
	cmd := sample().Command()
	for _, id := range forgedIDs {
		cmd.JobID = id
		body, err := json.Marshal(cmd)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeCommand(body); !HasCode(err, MalformedCommand) || IsTransient(err) {
			t.Errorf("job id %q: got %v, want a permanent %s", id, err, MalformedCommand)
		}
	}
}

func FuzzDecodeCommand(f *testing.F) {
	cmd := sample().Command()
	cmd.JobID = "0194f3c0-7b2e-7000-8000-00000000000a"
	body, _ := json.Marshal(cmd)
	f.Add(body)
	f.Add([]byte(`{"version":1}`))
	for _, id := range forgedIDs {
		cmd.JobID = id
		body, _ := json.Marshal(cmd)
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		cmd, err := DecodeCommand(body)
		if err == nil && (cmd.JobID == "" || cmd.Database == "" || len(cmd.Targets) == 0) {
			t.Errorf("accepted an incomplete command: %+v", cmd)
		}
		if id, parseErr := uuid.Parse(cmd.JobID); err == nil && (parseErr != nil || id.String() != cmd.JobID) {
			t.Errorf("accepted a command of job %q, an id that no gateway gives (%v)", cmd.JobID, parseErr)
		}
		if err != nil && !HasCode(err, MalformedCommand) && !HasCode(err, UnsupportedVersion) {
			t.Errorf("refused without a reason for the dead letters: %v", err)
		}
	})
}

// InsightService requires batch_id, status and userid, and acts on "completed".
func TestEventOf(t *testing.T) {
	tests := []struct {
		status     Status
		kind       EventKind
		id         string
		bodyStatus string
	}{
		{Queued, EventAccepted, "0194-job/accepted", "accepted"},
		{Running, EventStarted, "0194-job/started", "started"},
		{Success, EventSuccess, "0194-job/end", "completed"},
		{Partial, EventPartial, "0194-job/end", "partial"},
		{Failed, EventError, "0194-job/end", "error"},
		{Cancelled, EventCancelled, "0194-job/end", "cancelled"},
	}
	for _, tt := range tests {
		j := sample()
		j.Status = tt.status
		e := EventOf(j)
		if e.Kind != tt.kind || e.ID != tt.id || e.Subject != j.ID || e.RoutingKey() != "job.mysql."+string(tt.kind) {
			t.Errorf("%s: got kind %s, id %s, subject %s, routing key %s", tt.status, e.Kind, e.ID, e.Subject, e.RoutingKey())
		}
		body, err := json.Marshal(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		var insight struct {
			BatchID string `json:"batch_id"`
			Status  string `json:"status"`
			UserID  string `json:"userid"`
		}
		if err := json.Unmarshal(body, &insight); err != nil {
			t.Fatal(err)
		}
		if insight.BatchID != j.ID || insight.Status != tt.bodyStatus || insight.UserID != "system" {
			t.Errorf("%s: InsightService would read %+v", tt.status, insight)
		}
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("dial tcp 10.0.0.1: refused")
	e := fmt.Errorf("opening: %w", Transient(SourceUnavailable, cause, "the database cannot be reached"))
	if !IsTransient(e) || !HasCode(e, SourceUnavailable) || !errors.Is(e, cause) {
		t.Errorf("the failure lost its code, its nature or its cause: %v", e)
	}
	unknown := AsError(cause)
	if unknown.Code != Internal || unknown.Transient || strings.Contains(unknown.Message, "10.0.0.1") {
		t.Errorf("an unforeseen error must be permanent, internal and silent about its cause: %+v", unknown)
	}
	if AsError(nil) != nil || IsTransient(nil) || HasCode(nil, Internal) {
		t.Error("nil is no failure")
	}
}

func TestKeys(t *testing.T) {
	var template KeyTemplate
	if err := template.UnmarshalText([]byte(DefaultKeyTemplate)); err != nil || template != DefaultKeyTemplate {
		t.Errorf("the default template became %q: %v", template, err)
	}
	for _, bad := range []string{"", "{database}/{object}.csv", "{object}_{stamp}", "{database}_{stamp}", "/{database}/{object}_{stamp}", "{database}/../{object}_{stamp}", "{database}//{object}_{stamp}", "{database}/{object}_{stamp}_{user}", "{database}/{object} {stamp}"} {
		if err := template.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("accepted the key template %q", bad)
		}
	}
	for _, template := range []KeyTemplate{DefaultKeyTemplate, "{object}/{database}/{object}_{stamp}.csv", "a.b/{stamp}/{database}-{object}-{stamp}"} {
		recognizes := template.Recognizer(MySQL)
		for _, object := range []string{"users", "u", "ofertas_completo", "compras-2025", "users_20250102_153045"} {
			for _, number := range []int64{1, 2, 31} {
				key := ResolveKey(template.Key(MySQL, object), accepted, number)
				if !recognizes(key) {
					t.Errorf("%s does not recognise its own key %s", template, key)
				}
				if !strings.HasPrefix(key, template.Prefix(MySQL)) {
					t.Errorf("%s: the key %s does not begin with %q", template, key, template.Prefix(MySQL))
				}
				if template.Recognizer(PostgreSQL)(key) {
					t.Errorf("%s takes the key %s of MySQL for one of PostgreSQL", template, key)
				}
			}
		}
	}
	recognizes := DefaultKeyTemplate.Recognizer(MySQL)
	for _, foreign := range []string{
		"", "mysql/", "mysql/users.csv", "mysql/users_20250102.csv", "mysql/users_20250102_153045", "mysql/users_20250102_153045.csv.gz",
		"x/mysql/users_20250102_153045.csv", "mysql/a/users_20250102_153045.csv", "mysql/_20250102_153045.csv", "mysql/users_20251302_153045.csv",
		"mysql/users_20250102_153045_0.csv", "mysql/users_20250102_153045_2_3x.csv", "mysql/_manifests/0194f3c0.json", "mysql/users_20250102_153045xcsv",
	} {
		if recognizes(foreign) {
			t.Errorf("%q is taken for a key of a job", foreign)
		}
	}
	if twice := KeyTemplate("{object}/{database}/{object}_{stamp}.csv").Recognizer(MySQL); twice("users/mysql/compras_20250102_153045.csv") {
		t.Error("a key with two different objects is taken for a key of a job")
	}
	for template, want := range map[KeyTemplate]string{
		DefaultKeyTemplate: "mysql/", "{object}/{database}/{stamp}": "", "lake/{database}/{stamp}_{object}": "lake/mysql/",
	} {
		if got := template.Prefix(MySQL); got != want {
			t.Errorf("the keys of %s begin with %q, want %q", template, got, want)
		}
	}
	key := KeyTemplate("lake/{object}/{database}_{object}_{stamp}.csv").Key(MySQL, "users")
	for number, want := range map[int64]string{
		1: "lake/users/mysql_users_20250102_153045.csv",
		2: "lake/users/mysql_users_20250102_153045_2.csv",
	} {
		if got := ResolveKey(key, accepted.In(time.FixedZone("", -5*3600)), number); got != want {
			t.Errorf("number %d: got %s, want %s", number, got, want)
		}
	}
}
