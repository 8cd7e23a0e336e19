// Command idle is what the containers of the test run: it waits, or ends with the given code.
package main

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

func main() {
	if len(os.Args) == 1 {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		<-asked
		return
	}
	code, err := strconv.Atoi(os.Args[1])
	if err != nil {
		code = 2
	}
	os.Exit(code)
}
