package program

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// stuck is set for the process that TestSecondInterrupt starts, which never stops by itself.
const stuck = "PROGRAM_TEST_STUCK"

func beStuck(ctx context.Context, _ Process) int {
	fmt.Println("runs")
	<-ctx.Done()
	fmt.Println("was told to stop")
	select {}
}

// A program that does not stop when it is told to ends when it is interrupted once more.
func TestSecondInterrupt(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), executable)
	cmd.Env = []string{stuck + "=yes"}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(stdout)
	for _, want := range []string{"runs", "was told to stop"} {
		if !said.Scan() || said.Text() != want {
			t.Fatalf("it says %q, %v; want %q", said.Text(), said.Err(), want)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	again := time.NewTicker(100 * time.Millisecond) // the second may have come before it was ready for it
	defer again.Stop()
	inVain := time.After(20 * time.Second)
	for {
		select {
		case err := <-ended:
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
				t.Errorf("it ended with %v, want the signal", err)
			}
			return
		case <-again.C:
			_ = cmd.Process.Signal(os.Interrupt) // an error says that it has ended
		case <-inVain:
			t.Fatal("it goes on after interrupts for 20 s")
		}
	}
}
