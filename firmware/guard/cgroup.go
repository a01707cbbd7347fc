package guard

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrUndelegated says that whoever started this process left it no control groups of its
// own: no Delegate= in the unit, or a kernel without the second version of them.
var ErrUndelegated = errors.New("no control groups are delegated to this process")

// groups is the part of the control groups that is this process' own (cgroup v2,
// Documentation/admin-guide/cgroup-v2.rst; systemd's CGROUP_DELEGATION.md). This process
// sits in a leaf of it, and every child in another, so that the kernel shares the
// processor between them by weight, whatever each of them starts.
type groups struct {
	dir string
	// may are the controllers that children get.
	may []string
}

// leaf is where this process itself goes: a group that gives controllers on holds none.
const leaf = "box"

// UseGroups takes over the control groups that were delegated to this process: from then
// on each child has one of its own. An error leaves all as it was; children are then held
// by their limits and their priority alone.
func (g *Guard) UseGroups() error {
	dir, err := ownGroup()
	if err != nil {
		return err
	}
	if !delegated(dir) {
		return ErrUndelegated
	}
	s, err := takeGroups(dir, os.Getpid())
	if err != nil {
		return fmt.Errorf("control group %s: %w", dir, err)
	}
	g.groups.Store(s)
	return nil
}

// ownGroup finds the folder of this process' group.
func ownGroup() (string, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	path := ""
	for l := range strings.Lines(string(b)) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(l), "0::"); ok {
			path = p
		}
	}
	if path == "" {
		return "", ErrUndelegated
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	defer f.Close()
	// proc_pid_mountinfo(5): id parent dev root point options [optional] - type source options
	for s := bufio.NewScanner(f); s.Scan(); {
		has, rest, ok := strings.Cut(s.Text(), " - ")
		at := strings.Fields(has)
		if !ok || len(at) < 5 || !strings.HasPrefix(rest, "cgroup2 ") {
			continue
		}
		if below, err := filepath.Rel(at[3], path); err == nil && below != ".." && !strings.HasPrefix(below, "../") {
			return filepath.Join(at[4], below), nil
		}
	}
	return "", ErrUndelegated
}

// delegated reads systemd's mark of a group that it leaves alone.
func delegated(dir string) bool {
	var b [1]byte
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		if n, err := unix.Getxattr(dir, name, b[:]); err == nil && n == 1 && b[0] == '1' {
			return true
		}
	}
	return false
}

func takeGroups(dir string, pid int) (*groups, error) {
	own := filepath.Join(dir, leaf)
	if err := os.Mkdir(own, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := setGroup(own, "cgroup.procs", strconv.Itoa(pid)); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	s := &groups{dir: dir}
	for _, c := range []string{"cpu", "memory"} {
		if !slices.Contains(strings.Fields(string(b)), c) {
			continue
		}
		if err := setGroup(dir, "cgroup.subtree_control", "+"+c); err != nil {
			return nil, err
		}
		s.may = append(s.may, c)
	}
	return s, nil
}

// open makes a child's group; the child goes there itself, before it touches any foreign
// byte.
func (s *groups) open(owner, name string, c Caps) (dir string, err error) {
	dir = filepath.Join(s.dir, owner+"-"+strings.ReplaceAll(name, "/", "-"))
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	weight := c.Weight
	if weight == 0 {
		weight = childWeight
	}
	for _, set := range []struct{ controller, file, value string }{
		{"cpu", "cpu.weight", strconv.Itoa(weight)},
		// The child's own limit tells it in time; this one is for what it starts itself.
		{"memory", "memory.max", strconv.FormatInt(c.Memory+c.Memory/4, 10)},
		{"memory", "memory.oom.group", "1"},
	} {
		if !slices.Contains(s.may, set.controller) {
			continue
		}
		if err := setGroup(dir, set.file, set.value); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return dir, nil
}

// join moves this process there.
func join(dir string) error { return setGroup(dir, "cgroup.procs", "0") }

// childWeight is a child's share of a busy processor where 100 is this process'
// (cpu.weight, 1 to 10,000).
const childWeight = 25

// endGroup kills what a child has left behind and removes its group.
func endGroup(dir string) {
	_ = setGroup(dir, "cgroup.kill", "1")
	// Those that die hold it for a moment yet; the next child of the name takes it then.
	_ = os.Remove(dir)
}

// setGroup writes one value; files of control groups are never made.
func setGroup(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
