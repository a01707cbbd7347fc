package guard

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWhatIsDelegatedIsShared makes a folder like a control group's and reads what is
// written there; a kernel's own is asked below.
func TestWhatIsDelegatedIsShared(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is := func(name, want string) {
		t.Helper()
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q %v, want %q", name, b, err, want)
		}
	}
	put("cgroup.controllers", "cpuset cpu io pids\n") // no memory: then none is asked for
	put("cgroup.subtree_control", "")
	put("box/cgroup.procs", "")
	put("video-relay/cpu.weight", "")
	s, err := takeGroups(dir, 4711)
	if err != nil {
		t.Fatal(err)
	}
	is("box/cgroup.procs", "4711")
	is("cgroup.subtree_control", "+cpu")
	at, err := s.open("video", "relay", Caps{Memory: 1 << 20, Weight: 50})
	if err != nil || at != filepath.Join(dir, "video-relay") {
		t.Fatal(at, err)
	}
	is("video-relay/cpu.weight", "50")
	if _, err := os.Stat(filepath.Join(dir, "video-relay", "memory.max")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a limit was set that nobody gave on")
	}
	if _, err := takeGroups(filepath.Join(dir, "nowhere"), 1); err == nil {
		t.Error("a group that is not there was taken")
	}
}

// TestAChildHasAControlGroupOfItsOwn begins a box in a group that is marked as delegated,
// as systemd does, where this machine lets us make one.
func TestAChildHasAControlGroupOfItsOwn(t *testing.T) {
	mount := ""
	for _, at := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(at, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			mount = at
		}
	}
	if mount == "" {
		t.Skip("no control groups of the second version here")
	}
	dir, err := os.MkdirTemp(mount, "tocsin-test-")
	if err != nil {
		t.Skip("none can be made here: ", err)
	}
	t.Cleanup(func() {
		_ = setGroup(dir, "cgroup.kill", "1")
		below, _ := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs"))
		for _, p := range below {
			_ = os.Remove(filepath.Dir(p))
		}
		_ = os.Remove(dir)
	})
	if err := unix.Setxattr(dir, "user.delegate", []byte("1"), 0); err != nil {
		if err := unix.Setxattr(dir, "trusted.delegate", []byte("1"), 0); err != nil {
			t.Skip("none can be marked here: ", err)
		}
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, out := child("box")
	c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(f.Fd())}
	if err := c.Run(); err != nil {
		if out.Len() == 0 {
			t.Skip("a process cannot be begun in one here: ", err)
		}
		t.Fatal(err, out)
	}
	for _, want := range []string{"/" + filepath.Base(dir) + "/box\n", "/" + filepath.Base(dir) + "/video-relay\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "video-relay")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the group outlives its child")
	}
}
