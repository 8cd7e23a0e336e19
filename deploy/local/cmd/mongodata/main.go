// Command mongodata loads the demonstration data of PharmaVida's MongoDB: medicos and recetas.
//
// The same arguments give the same documents. A load that already stands is left alone; one of
// another size, of an older program, or cut short is dropped and made again. The address and the
// credentials come from the MONGO_* variables.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	medicos := flag.Int("medicos", 150, "how many medicos")
	recetas := flag.Int("recetas", 450, "how many recetas")
	flag.Parse()
	err := load(ctx, os.Stdout, os.Getenv, *medicos, *recetas)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mongodata:", err)
		os.Exit(1)
	}
}
