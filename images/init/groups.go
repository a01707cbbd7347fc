package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const groupRoot = "/sys/fs/cgroup"

// boxGroup is the control group that is given to edged whole, as Delegate=yes gives it.
const boxGroup = groupRoot + "/tocsin"

// groupEnd is how long what edged left behind may take to die.
const groupEnd = time.Second

// makeGroups makes a group for init and one for edged. A group that hands controllers on
// holds no process itself (Documentation/admin-guide/cgroup-v2.rst, no internal process).
func makeGroups() error {
	self := filepath.Join(groupRoot, "init")
	if err := os.MkdirAll(self, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(self, "cgroup.procs"), []byte("1"), 0); err != nil {
		return err
	}
	for _, c := range []string{"cpu", "memory", "pids"} {
		if err := os.WriteFile(filepath.Join(groupRoot, "cgroup.subtree_control"), []byte("+"+c), 0); err != nil {
			return fmt.Errorf("controller %s: %w", c, err)
		}
	}
	return makeBoxGroup()
}

// makeBoxGroup makes edged's group, which is edged's.
func makeBoxGroup() error {
	if err := os.MkdirAll(boxGroup, 0o755); err != nil {
		return err
	}
	for _, f := range []string{"", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"} {
		if err := os.Chown(filepath.Join(boxGroup, f), boxUser, boxUser); err != nil {
			return err
		}
	}
	return nil
}

// clearBoxGroup ends what edged left behind and makes its group anew: the old one hands its
// controllers on, so that nothing may start in it. Its processes are killed one by one. By
// cgroup.kill Linux 6.12 ends everything that is started straight into the group for ever
// after: it compares the group's count of kills with that of the starter's own group.
func clearBoxGroup() error {
	if _, err := os.Stat(boxGroup); err != nil {
		return nil // this board has none
	}
	var err error
	for end := time.Now().Add(groupEnd); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, pid := range processesIn(boxGroup) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if err = removeGroup(boxGroup); err == nil {
			return makeBoxGroup()
		}
	}
	return err
}

// processesIn lists the processes of a group and of those below it.
func processesIn(group string) (pids []int) {
	_ = filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		t, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil {
			return nil
		}
		for w := range strings.FieldsSeq(string(t)) {
			if pid, err := strconv.Atoi(w); err == nil && pid > 1 {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids
}

// removeGroup removes a group and those below it, the deepest first.
func removeGroup(group string) error {
	var dirs []string
	_ = filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	slices.Reverse(dirs)
	for _, d := range dirs {
		if err := unix.Rmdir(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("group %s: %w", d, err)
		}
	}
	return nil
}
