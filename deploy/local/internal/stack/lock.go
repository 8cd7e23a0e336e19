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

// lock keeps two commands from changing the same stack at once: the second waits. The kernel opens the
// lock when its holder ends, however it ends.
func (l Layout) lock(ctx context.Context, con *console.Console) (release func(), err error) {
	file, err := os.OpenFile(filepath.Join(l.Data, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the stack's lock: %w", err)
	}
	for told := false; ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if err != syscall.EWOULDBLOCK {
			file.Close()
			return nil, fmt.Errorf("locking the stack: %w", err)
		}
		if !told {
			con.Say("stack", "waiting for another make that is changing this stack")
			told = true
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("waiting for the stack's lock: %w", context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}
