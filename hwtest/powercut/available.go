package powercut

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Available brings up a small rig, cuts it, and says why it cannot be done here:
// nil where it can.
func Available() error {
	r, err := New(16, 1)
	if err != nil {
		return err
	}
	return errors.Join(r.Cut(), r.Restore(), r.Close())
}

// tools says what is plainly missing.
func tools() error {
	if os.Geteuid() != 0 {
		return errors.New("powercut: mounting needs root")
	}
	for _, dev := range []string{"/dev/fuse", "/dev/loop-control"} {
		if _, err := os.Stat(dev); err != nil {
			return fmt.Errorf("powercut: this kernel gives no %s", dev)
		}
	}
	for _, name := range []string{"mkfs.ext4", "e2fsck"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("powercut: %s is missing; install e2fsprogs", name)
		}
	}
	return nil
}
