package stack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pharmavida/ingesta/deploy/local/internal/console"
)

const lockName = "lock"

// lock keeps two commands from changing the same stack at once: the second waits.
func (l Layout) lock(ctx context.Context, con *console.Console) (release func(), err error) {
	file, err := os.OpenFile(filepath.Join(l.Data, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the stack's lock: %w", err)
	}
	return hold(ctx, con, file, "another make that is changing this stack")
}

// lockFolder keeps the stacks of one clone from doing something at once that concerns them all.
func lockFolder(ctx context.Context, con *console.Console, folder, doing string) (release func(), err error) {
	file, err := os.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("opening a folder to lock it: %w", err)
	}
	return hold(ctx, con, file, "another stack of this clone that is "+doing)
}

// hold waits until it alone holds the lock on the file, and says who it waits for. The kernel opens the
// lock when its holder ends, however it ends. It closes the file when it fails.
func hold(ctx context.Context, con *console.Console, file *os.File, holder string) (release func(), err error) {
	for told := false; ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if err != syscall.EWOULDBLOCK {
			file.Close()
			return nil, fmt.Errorf("locking %s: %w", file.Name(), err)
		}
		if !told {
			con.Say("stack", "waiting for %s", holder)
			told = true
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("waiting for a lock: %w", context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}
