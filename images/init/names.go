package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A serial port's number is that of its turn: of two adapters the one that was found first
// is ttyUSB0, and after the next start the other may be, whose instruments would then be
// taken for those of the first. So each port on a bus has a name by the socket that it is
// plugged into as well, the one that udev gives on other boards (its 60-serial.rules and
// path_id): /dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.3:1.0-port0.

const byPath = "serial/by-path"

// nameBySocket makes the name of a port that is there; dev is /dev, sys is /sys.
func nameBySocket(sys, dev, port string) error {
	name := socketName(sys, port)
	if name == "" {
		return nil
	}
	dir := filepath.Join(dev, byPath)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	link := filepath.Join(dir, name)
	_ = os.Remove(link) // of a port whose end nobody told
	return os.Symlink("../../"+port, link)
}

// forgetSocket takes the names of a port away that is gone.
func forgetSocket(dev, port string) {
	links, _ := filepath.Glob(filepath.Join(dev, byPath, "*"))
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && filepath.Base(to) == port {
			_ = os.Remove(l)
		}
	}
}

// socketPort is what has such a name: the ports on USB. Those of the board keep their numbers.
var socketPort = regexp.MustCompile(`^tty(USB|ACM)\d+$`)

// socketName gives where a port is plugged in, "" where it hangs on no USB socket.
func socketName(sys, port string) string {
	if !socketPort.MatchString(port) {
		return ""
	}
	at, err := filepath.EvalSymlinks(filepath.Join(sys, "class/tty", port, "device"))
	if err != nil {
		return ""
	}
	subsystem := func(dir string) string {
		to, err := os.Readlink(filepath.Join(dir, "subsystem"))
		if err != nil {
			return ""
		}
		return filepath.Base(to)
	}
	end := ""
	if t, err := os.ReadFile(filepath.Join(at, "port_number")); err == nil {
		end = "-port" + strings.TrimSpace(string(t))
	}
	var parts []string
	for before := ""; len(at) > len(sys); at = filepath.Dir(at) {
		s := subsystem(at)
		if s == "" || s == before { // of several of a kind, one in the other, the innermost names it
			continue
		}
		before = s
		base := filepath.Base(at)
		switch s {
		case "usb":
			_, socket, ok := strings.Cut(base, "-")
			if !ok {
				return ""
			}
			parts = append([]string{"usb-0:" + socket}, parts...)
		case "pci", "platform":
			parts = append([]string{s + "-" + base}, parts...)
		}
	}
	name := strings.Join(parts, "-") + end
	if !strings.Contains(name, "usb-") || strings.ContainsAny(name, "/ \n") {
		return ""
	}
	return name
}
