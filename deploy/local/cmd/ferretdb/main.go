// Command ferretdb is the local stack's MongoDB server: FerretDB over SQLite, with authentication.
//
// The user and the password come from FERRETDB_USER and FERRETDB_PASSWORD, so that they show in no process list.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretauth"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	address := flag.String("address", "127.0.0.1:27017", "where to listen")
	data := flag.String("data", "", "existing folder for the data")
	flag.Parse()
	return ferretauth.Run(ctx, ferretauth.Config{
		Address:  *address,
		DataDir:  *data,
		User:     os.Getenv("FERRETDB_USER"),
		Password: os.Getenv("FERRETDB_PASSWORD"),
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}
