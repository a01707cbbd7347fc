package line

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openPty gives a master's descriptor, not blocking, and the path of its other
// end, which nobody has open: like a port that no program uses.
func openPty() (fd int, path string, err error) {
	fd, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, "", fmt.Errorf("open /dev/ptmx: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return -1, "", fmt.Errorf("unlock pty: %w", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return -1, "", fmt.Errorf("number of pty: %w", err)
	}
	path = fmt.Sprintf("/dev/pts/%d", n)
	// Once open and closed, the kernel reports "nobody there" on the master.
	s, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, "", fmt.Errorf("open %s: %w", path, err)
	}
	return fd, path, unix.Close(s)
}

// link puts a symbolic link at name in one step, whatever was there.
func link(target, name string) error {
	tmp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".new")
	os.Remove(tmp)
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}
