package main

import (
	"os"
	"path/filepath"
	"testing"
)

// tree makes a part of /sys: each device with the subsystem that it is of.
func tree(t *testing.T, devices [][2]string, port, number string) string {
	t.Helper()
	sys := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := filepath.Join(sys, "devices")
	for _, d := range devices {
		at = filepath.Join(at, d[0])
		must(os.MkdirAll(at, 0o755))
		if d[1] != "" {
			must(os.Symlink(filepath.Join(sys, "bus", d[1]), filepath.Join(at, "subsystem")))
		}
	}
	if number != "" {
		must(os.WriteFile(filepath.Join(at, "port_number"), []byte(number+"\n"), 0o644))
	}
	must(os.MkdirAll(filepath.Join(sys, "class/tty", port), 0o755))
	must(os.Symlink(at, filepath.Join(sys, "class/tty", port, "device")))
	return sys
}

// The names are those that udev gives on these boards.
func TestAPortIsNamedByItsSocketAsUdevDoes(t *testing.T) {
	for _, c := range []struct {
		board        string
		devices      [][2]string
		port, number string
		want         string
	}{
		{"Raspberry Pi 4", [][2]string{{"platform", ""}, {"scb", "platform"}, {"fd500000.pcie", "platform"}, {"pci0000:00", ""}, {"0000:00:00.0", "pci"}, {"0000:01:00.0", "pci"},
			{"usb1", "usb"}, {"1-1", "usb"}, {"1-1.3", "usb"}, {"1-1.3:1.0", "usb"}, {"ttyUSB0", "usb-serial"}}, "ttyUSB0", "0",
			"platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.3:1.0-port0"},
		{"Raspberry Pi 3", [][2]string{{"platform", ""}, {"soc", "platform"}, {"3f980000.usb", "platform"}, {"usb1", "usb"}, {"1-1", "usb"}, {"1-1.2", "usb"}, {"1-1.2:1.1", "usb"}, {"ttyUSB3", "usb-serial"}}, "ttyUSB3", "1",
			"platform-3f980000.usb-usb-0:1.2:1.1-port1"},
		{"Raspberry Pi 5", [][2]string{{"platform", ""}, {"axi", "platform"}, {"1000120000.pcie", "platform"}, {"1f00200000.usb", "platform"}, {"xhci-hcd.0", "platform"}, {"usb1", "usb"}, {"1-2", "usb"}, {"1-2:1.0", "usb"}}, "ttyACM0", "",
			"platform-xhci-hcd.0-usb-0:2:1.0"},
		{"a port of the board itself", [][2]string{{"platform", ""}, {"fe201000.serial", "platform"}}, "ttyAMA0", "", ""},
		{"a port on nothing that has a place", [][2]string{{"virtual", ""}, {"x", ""}}, "ttyUSB0", "", ""},
	} {
		if got := socketName(tree(t, c.devices, c.port, c.number), c.port); got != c.want {
			t.Errorf("%s: %q, want %q", c.board, got, c.want)
		}
	}
	for _, hostile := range []string{"", "../ttyUSB0", "ttyUSB", "ttyUSB0/..", "ttyUSB0\n"} {
		if got := socketName(t.TempDir(), hostile); got != "" {
			t.Errorf("%q is called %q", hostile, got)
		}
	}
}

func TestANameGoesWithItsPortAndComesBackWithAnotherNumber(t *testing.T) {
	devices := func(tty string) [][2]string {
		return [][2]string{{"0000:00:03.0", "pci"}, {"usb1", "usb"}, {"1-1", "usb"}, {"1-1:1.0", "usb"}, {tty, "usb-serial"}}
	}
	const name = "pci-0000:00:03.0-usb-0:1:1.0-port0"
	dev := t.TempDir()
	leads := func() string {
		to, _ := os.Readlink(filepath.Join(dev, byPath, name))
		return to
	}
	if err := nameBySocket(tree(t, devices("ttyUSB0"), "ttyUSB0", "0"), dev, "ttyUSB0"); err != nil || leads() != "../../ttyUSB0" {
		t.Fatal(leads(), err)
	}
	forgetSocket(dev, "ttyUSB1")
	if leads() == "" {
		t.Fatal("another port took its name away")
	}
	forgetSocket(dev, "ttyUSB0")
	if leads() != "" {
		t.Fatal("it is still named")
	}
	// Pulled and put back before anybody let go of it, and the end of the old one is told late.
	for _, tty := range []string{"ttyUSB0", "ttyUSB1"} {
		if err := nameBySocket(tree(t, devices(tty), tty, "0"), dev, tty); err != nil {
			t.Fatal(err)
		}
	}
	forgetSocket(dev, "ttyUSB0")
	if leads() != "../../ttyUSB1" {
		t.Fatal(leads())
	}
	if err := nameBySocket(t.TempDir(), dev, "ttyS0"); err != nil {
		t.Fatal(err)
	}
}
