package serial

import (
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Ports lists the serial ports of this board: by the socket that they are
// plugged into first, since numbers change after a restart.
func Ports() []string { return ports("/") }

func ports(root string) []string {
	byPath, _ := filepath.Glob(filepath.Join(root, "dev/serial/by-path/*"))
	slices.Sort(byPath)
	out, known := byPath, map[string]bool{}
	for _, p := range byPath {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			known[filepath.Base(real)] = true
		}
	}
	names, _ := filepath.Glob(filepath.Join(root, "sys/class/tty/*/device"))
	slices.Sort(names)
	for _, n := range names {
		dir := filepath.Dir(n)
		name := filepath.Base(dir)
		// The 8250 driver makes ttyS0… whether or not there is a chip: type 0.
		if b, err := os.ReadFile(filepath.Join(dir, "type")); err == nil && strings.TrimSpace(string(b)) == "0" {
			continue
		}
		dev := filepath.Join(root, "dev", name)
		if _, err := os.Stat(dev); err == nil && !known[name] {
			out = append(out, dev)
		}
	}
	return out
}

// Holders lists the other programs that have a port open, as far as this user
// may see.
func Holders(path string) []Holder { return holders("/proc", path) }

func holders(proc, path string) []Holder {
	var want unix.Stat_t
	if unix.Stat(path, &want) != nil {
		return nil
	}
	fds, _ := filepath.Glob(filepath.Join(proc, "[0-9]*/fd/*"))
	var out []Holder
	for _, fd := range fds {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(fd))))
		if err != nil {
			continue
		}
		// By the name first: to follow each link costs a stat and could wait
		// on a file system that hangs.
		if to, err := os.Readlink(fd); err != nil || !strings.HasPrefix(to, "/dev/") {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(fd, &st) != nil || st.Rdev != want.Rdev || st.Mode&unix.S_IFMT != unix.S_IFCHR {
			continue
		}
		if slices.ContainsFunc(out, func(h Holder) bool { return h.PID == pid }) {
			continue
		}
		name, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "comm"))
		if err != nil {
			name = []byte("an unknown program")
		}
		out = append(out, Holder{PID: pid, Program: strings.TrimSpace(string(name))})
	}
	return out
}

// owner gives this user's name and the group that may open the port.
func owner(path string) (name, group string) {
	name, group = strconv.Itoa(os.Getuid()), "dialout"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	var st unix.Stat_t
	if unix.Stat(path, &st) == nil && st.Gid != 0 {
		if g, err := user.LookupGroupId(strconv.Itoa(int(st.Gid))); err == nil {
			group = g.Name
		}
	}
	return name, group
}
