// Command versitygw is the local stack's S3 server: Versity's gateway over a folder.
//
//	versitygw -address HOST:PORT -data FOLDER    serves until SIGTERM
//	versitygw -address HOST:PORT -bucket NAME    creates the bucket on a running server, if need be
//
// The root account comes from the usual AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "versitygw:", err)
		os.Exit(1)
	}
}

// account is the root account, the only one there is.
type account struct {
	access, secret, region string
}

func run(ctx context.Context) error {
	address := flag.String("address", "127.0.0.1:7070", "where the server listens")
	data := flag.String("data", "", "existing folder for objects and their metadata")
	bucket := flag.String("bucket", "", "create this bucket on the running server, then exit")
	flag.Parse()

	root := account{
		access: os.Getenv("AWS_ACCESS_KEY_ID"),
		secret: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		region: os.Getenv("AWS_REGION"),
	}
	switch {
	case *bucket != "":
		return createBucket(ctx, *address, *bucket, root)
	case *data != "":
		return serve(ctx, *address, *data, root)
	default:
		return errors.New("one of -data and -bucket is needed")
	}
}
