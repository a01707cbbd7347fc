package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const groupRoot = "/sys/fs/cgroup"

// boxGroup is the control group that is given to edged whole, as Delegate=yes gives it.
const boxGroup = groupRoot + "/tocsin"

// makeGroups makes a group for init and one for edged. A group that hands controllers on
// holds no process itself (Documentation/admin-guide/cgroup-v2.rst, no internal process).
func makeGroups() error {
	self := filepath.Join(groupRoot, "init")
	for _, d := range []string{self, boxGroup} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(self, "cgroup.procs"), []byte("1"), 0); err != nil {
		return err
	}
	for _, c := range []string{"cpu", "memory", "pids"} {
		if err := os.WriteFile(filepath.Join(groupRoot, "cgroup.subtree_control"), []byte("+"+c), 0); err != nil {
			return fmt.Errorf("controller %s: %w", c, err)
		}
	}
	for _, f := range []string{"", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"} {
		if err := os.Chown(filepath.Join(boxGroup, f), boxUser, boxUser); err != nil {
			return err
		}
	}
	return nil
}
