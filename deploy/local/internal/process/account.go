package process

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Account is the user a server runs as. The zero Account is the present user.
type Account struct {
	credential *syscall.Credential
}

// System is the named system user when the present user is root, who may become it; else the present
// user, under whom then every server runs.
func System(name string) (Account, error) {
	if os.Geteuid() != 0 {
		return Account{}, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return Account{}, fmt.Errorf("looking up user %s: %w", name, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return Account{}, fmt.Errorf("parsing the uid of %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return Account{}, fmt.Errorf("parsing the gid of %s: %w", name, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return Account{}, fmt.Errorf("listing the groups of %s: %w", name, err)
	}
	groups := make([]uint32, 0, len(ids))
	for _, id := range ids {
		group, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return Account{}, fmt.Errorf("parsing a group of %s: %w", name, err)
		}
		groups = append(groups, uint32(group))
	}
	return Account{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: groups}}, nil
}

// attributes are those of a process that runs as the account in a session of its own.
func (a Account) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Credential: a.credential}
}

// Own gives a file or folder to the account.
func (a Account) Own(path string) error {
	if a.credential == nil {
		return nil
	}
	if err := os.Lchown(path, int(a.credential.Uid), int(a.credential.Gid)); err != nil {
		return fmt.Errorf("giving %s to its server's user: %w", path, err)
	}
	return nil
}

// MkdirAll makes the folder, private to the account.
func (a Account) MkdirAll(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("making a server's folder: %w", err)
	}
	return a.Own(path)
}

// WriteFile writes a file that only the account may read or write.
func (a Account) WriteFile(path, text string, mode os.FileMode) error {
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		return fmt.Errorf("writing a server's file: %w", err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("closing a server's file: %w", err)
	}
	return a.Own(path)
}
