package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Keys of the objects that references make.
const (
	pipeKey   = "reference/pipe.csv"
	pythonKey = "reference/python.csv"
)

// psqlNull is the fastest way of PostgreSQL's own: psql's \copy, thrown away.
func psqlNull(d dataset) subject {
	return subject{
		name: "psql > /dev/null", data: []dataset{d},
		measure: func(ctx context.Context, b *bench) (measurement, error) {
			psql, err := b.psql(ctx, d)
			if err != nil {
				return measurement{}, err
			}
			return pipe(psql)
		},
	}
}

// psqlPipe is the same into S3, by the client that everybody has.
func psqlPipe(d dataset) subject {
	return subject{
		name: "psql | aws s3 cp", data: []dataset{d}, packages: []string{"awscli"},
		measure: func(ctx context.Context, b *bench) (measurement, error) {
			psql, err := b.psql(ctx, d)
			if err != nil {
				return measurement{}, err
			}
			env := b.stack.env
			aws := exec.CommandContext(ctx, debian["awscli"], "s3", "cp", "-", fmt.Sprintf("s3://%s/%s", env["AWS_BUCKET_NAME"], pipeKey),
				"--endpoint-url", env["AWS_ENDPOINT_URL"], "--region", env["AWS_REGION"], "--only-show-errors")
			aws.Env = b.stack.environ()
			m, err := pipe(psql, aws)
			if err != nil {
				return measurement{}, err
			}
			return b.delivered(ctx, m, pipeKey)
		},
	}
}

// psql returns the command that copies a table to its standard output.
func (b *bench) psql(ctx context.Context, d dataset) (*exec.Cmd, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/psql") // not Debian's wrapper, which takes its time
	if err != nil || len(found) == 0 {
		return nil, errors.New("finding psql: it is not where Debian puts it")
	}
	env := b.stack.env
	cmd := exec.CommandContext(ctx, slices.Max(found), "-X", "-q", "-h", env["POSTGRES_HOST"], "-p", env["POSTGRES_PORT"], "-U", env["POSTGRES_USER"],
		"-d", env["POSTGRES_DATABASE"], "-c", fmt.Sprintf(`\copy (%s) to stdout with (format csv, header)`, d.query()))
	cmd.Env = b.stack.environ("PGPASSWORD=" + env["POSTGRES_PASSWORD"])
	return cmd, nil
}

// mariadbNull is the fastest way of MySQL's and MariaDB's own: the client's rows as it gets them,
// thrown away.
func mariadbNull(d dataset) subject {
	return subject{
		name: "mariadb > /dev/null", data: []dataset{d},
		measure: func(ctx context.Context, b *bench) (measurement, error) {
			env := b.stack.env
			cmd := exec.CommandContext(ctx, "mariadb", "--no-defaults", "--quick", "-B", "--default-character-set=utf8mb4", "--protocol=tcp",
				"--host="+env["SOURCE_MYSQL_HOST"], "--port="+env["SOURCE_MYSQL_PORT"], "--user="+env["SOURCE_MYSQL_USER"],
				"-e", d.query(), env["SOURCE_MYSQL_DATABASE"])
			cmd.Env = b.stack.environ("MYSQL_PWD=" + env["SOURCE_MYSQL_PASSWORD"])
			return pipe(cmd)
		},
	}
}

// python is the method of the original scripts, see original.py.
func python(name string, d dataset) subject {
	return subject{
		name: name, data: []dataset{d}, cold: true,
		packages: []string{"python3-pandas", "python3-sqlalchemy", "python3-psycopg2", "python3-pymysql", "python3-boto3"},
		measure: func(ctx context.Context, b *bench) (measurement, error) {
			const debians = "/usr/bin/python3" // another one lacks the packages
			cmd := exec.CommandContext(ctx, debians, filepath.Join(b.stack.root, "deploy", "bench", "original.py"),
				string(d.Database), d.Table, strings.Join(d.Columns, ","), pythonKey)
			cmd.Env = b.stack.environ()
			m, err := counted(d, cmd)
			if err != nil {
				return measurement{}, err
			}
			return b.delivered(ctx, m, pythonKey)
		},
	}
}

// driver is the reference program of this package, see driver.go.
func driver(d dataset) subject {
	return subject{
		name: "driver > /dev/null", data: []dataset{d},
		measure: func(ctx context.Context, b *bench) (measurement, error) {
			self, err := os.Executable()
			if err != nil {
				return measurement{}, fmt.Errorf("finding this program: %w", err)
			}
			args := append([]string{driverReference, fmt.Sprintf("mongodb://127.0.0.1:%d/", b.replay.Port()), recetasDatabase, d.Table}, d.Columns...)
			cmd := exec.CommandContext(ctx, self, args...)
			cmd.Env = b.stack.environ()
			return counted(d, cmd)
		},
	}
}

// mongoexport is MongoDB's own tool, where it is installed.
func mongoexport(path string, d dataset) subject {
	return subject{
		name: mongoexportNull, data: []dataset{d},
		measure: func(ctx context.Context, b *bench) (measurement, error) {
			cmd := exec.CommandContext(ctx, path, "--quiet", fmt.Sprintf("--uri=mongodb://127.0.0.1:%d/%s", b.replay.Port(), recetasDatabase),
				"--collection="+d.Table, "--type=csv", "--fields="+strings.Join(d.Columns, ","))
			cmd.Env = b.stack.environ()
			return pipe(cmd)
		},
	}
}

// counted runs a command that prints how many rows it has exported, which must be all.
func counted(d dataset, cmd *exec.Cmd) (measurement, error) {
	var rows bytes.Buffer
	cmd.Stdout = &rows
	m, err := pipe(cmd)
	if err != nil {
		return measurement{}, err
	}
	if got := strings.TrimSpace(rows.String()); got != strconv.Itoa(d.Rows) {
		return measurement{}, fmt.Errorf("%s has exported %s rows, not %d", cmd.Path, got, d.Rows)
	}
	m.Rows = d.Rows
	return m, nil
}

// delivered adds the size of the object that a reference made, and removes it.
func (b *bench) delivered(ctx context.Context, m measurement, key string) (measurement, error) {
	var err error
	if m.Bytes, err = b.lake.size(ctx, key); err != nil {
		return measurement{}, err
	}
	if m.Bytes == 0 {
		return measurement{}, fmt.Errorf("the object %s is empty", key)
	}
	return m, b.lake.clear(ctx)
}

// query reads the columns of the dataset.
func (d dataset) query() string {
	return fmt.Sprintf("select %s from %s", strings.Join(d.Columns, ", "), d.Table)
}
