package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

// healthPath answers 200 without credentials once the server serves; it masks a bucket of that name.
const healthPath = "/healthz"

// serve runs the gateway over data/objects until ctx ends. It changes the working directory.
func serve(ctx context.Context, address, data string, root account) error {
	objects := filepath.Join(data, "objects")
	if err := os.MkdirAll(objects, 0o700); err != nil {
		return fmt.Errorf("making the objects folder: %w", err)
	}
	storer, options, err := metadata(objects, filepath.Join(data, "metadata"))
	if err != nil {
		return err
	}
	backend, err := posix.New(objects, storer, options)
	if err != nil {
		return fmt.Errorf("opening the objects folder: %w", err)
	}
	err = embedgw.RunVersityGW(ctx, backend, &embedgw.Config{
		RootUserAccess:    root.access,
		RootUserSecret:    root.secret,
		Region:            root.region,
		Ports:             []string{address},
		MaxConnections:    4096,
		MaxRequests:       2048,
		MultipartMaxParts: 10_000,
		KeepAlive:         true,
		Quiet:             true,
		HealthPath:        healthPath,
	})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("running the gateway: %w", err)
	}
	return nil
}

// metadata keeps ETags, checksums and user metadata in extended attributes where the file system has
// them, else in a side-car folder. A side-car folder once begun stays in use: objects written with it
// have their metadata nowhere else.
func metadata(objects, sideCar string) (meta.MetadataStorer, posix.PosixOpts, error) {
	_, err := os.Stat(sideCar)
	begun := err == nil
	if !begun && (meta.XattrMeta{}).Test(objects) == nil {
		return meta.XattrMeta{}, posix.PosixOpts{}, nil
	}
	if err := os.MkdirAll(sideCar, 0o700); err != nil {
		return nil, posix.PosixOpts{}, fmt.Errorf("making the side-car folder: %w", err)
	}
	storer, err := meta.NewSideCar(sideCar)
	if err != nil {
		return nil, posix.PosixOpts{}, fmt.Errorf("opening the side-car folder: %w", err)
	}
	return storer, posix.PosixOpts{SideCarDir: sideCar}, nil
}
