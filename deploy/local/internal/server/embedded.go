package server

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
)

// FerretDB is the MongoDB server, built from cmd/ferretdb.
type FerretDB struct {
	Data     string
	Tools    string // folder of the stack's binaries
	Port     int
	User     string
	Password string
	Database string // PharmaVida's
}

// Environment is how a worker finds the server.
func (f FerretDB) Environment() []string {
	return []string{"MONGO_HOST=" + Host, "MONGO_PORT=" + strconv.Itoa(f.Port), "MONGO_USER=" + f.User,
		"MONGO_PASSWORD=" + f.Password, "MONGO_DATABASE=" + f.Database}
}

// Server describes the process. Whether log-ins work is proved by the load of the demo data, which comes next.
func (f FerretDB) Server() Server {
	return Server{
		Name: "mongodb",
		Port: f.Port,
		Prepare: func(context.Context) (Launch, error) {
			if err := os.MkdirAll(f.Data, 0o700); err != nil {
				return Launch{}, fmt.Errorf("making a server's folder: %w", err)
			}
			return Launch{Command: process.Command{
				Path: filepath.Join(f.Tools, "ferretdb"),
				Args: []string{"-address", net.JoinHostPort(Host, strconv.Itoa(f.Port)), "-data", f.Data},
				Env:  append(baseEnv(f.Data), "FERRETDB_USER="+f.User, "FERRETDB_PASSWORD="+f.Password),
				Dir:  f.Data,
			}}, nil
		},
		Ready:        func(ctx context.Context) error { return dial(ctx, f.Port) },
		StartTimeout: 30 * time.Second,
		Stop:         syscall.SIGTERM,
		Grace:        10 * time.Second,
	}
}

// VersityGW is the S3 server, built from cmd/versitygw.
type VersityGW struct {
	Data   string
	Tools  string
	Port   int
	Access string
	Secret string
	Region string
}

func (v VersityGW) command(args ...string) process.Command {
	return process.Command{
		Path: filepath.Join(v.Tools, "versitygw"),
		Args: append([]string{"-address", net.JoinHostPort(Host, strconv.Itoa(v.Port))}, args...),
		Env: append(baseEnv(v.Data), "AWS_ACCESS_KEY_ID="+v.Access, "AWS_SECRET_ACCESS_KEY="+v.Secret,
			"AWS_REGION="+v.Region, "AWS_EC2_METADATA_DISABLED=true"),
		Dir: v.Data,
	}
}

// Server describes the process.
func (v VersityGW) Server() Server {
	return Server{
		Name: "s3",
		Port: v.Port,
		Prepare: func(context.Context) (Launch, error) {
			if err := os.MkdirAll(v.Data, 0o700); err != nil {
				return Launch{}, fmt.Errorf("making a server's folder: %w", err)
			}
			return Launch{Command: v.command("-data", v.Data)}, nil
		},
		Ready: func(ctx context.Context) error {
			return getOK(ctx, "http://"+net.JoinHostPort(Host, strconv.Itoa(v.Port))+"/healthz", nil)
		},
		StartTimeout: 30 * time.Second,
		Stop:         syscall.SIGTERM,
		Grace:        10 * time.Second,
	}
}

// CreateBucket makes sure that the bucket exists, which also proves the credentials.
func (v VersityGW) CreateBucket(ctx context.Context, bucket string) error {
	_, err := v.command("-bucket", bucket).Run(ctx)
	return err
}
