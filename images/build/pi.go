package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"tocsin/firmware/update/slots"
	"tocsin/images/loader"
)

// raspberry is what the cards of Raspberry Pis have on their first partition.
type raspberry struct {
	config string // config.txt or autoboot.txt
	uboot  bool   // Pi 3 and 4 start U-Boot; a Pi 5's own firmware chooses the slot
}

// boardSettings are the lines of config.txt that all Raspberry Pis have
// (raspberrypi.com/documentation, config.txt; kernel_watchdog_timeout is recalled: firmware
// that does not know it passes it over). The UART on the pins is the good one, and
// the instruments': Bluetooth, which nobody uses here, gives it up. What the kernel says last
// is kept over a reset in a MiB between where U-Boot puts kernel and initramfs (loadsPi).
const boardSettings = `arm_64bit=1
disable_splash=1
dtparam=i2c_arm=on
dtparam=spi=on
dtparam=audio=on
dtparam=watchdog=on
kernel_watchdog_timeout=60
dtoverlay=disable-bt
dtoverlay=ramoops,base-addr=0x0e000000,total-size=0x100000,record-size=0x20000,console-size=0x40000
`

// configPi is the first partition's config.txt of Pi 3 and 4.
const configPi = `# Tocsin on Raspberry Pi 3 and 4. The firmware starts U-Boot, and that the slot which boot.scr chooses.
# What a station has on its pins goes into site.txt beside this file, which updates never touch:
#   dtoverlay=i2c-rtc,ds3231
# An empty file uart.on beside it makes the UART on pins 8 and 10 the console; without it, it is the instruments'.
kernel=u-boot.bin
gpu_mem=32
enable_uart=1
` + boardSettings + `include site.txt
`

// autoboot is the first partition's autoboot.txt of a Pi 5, as edged finds it again when it
// keeps a release (images/init, tryboot.go).
func autoboot() string {
	b, err := slots.Autoboot("A")
	if err != nil {
		panic(err) // of a constant: a test would have seen it
	}
	return string(b)
}

// configSlot5 is config.txt in a slot, read by a Pi 5 alone.
const configSlot5 = `# Tocsin on Raspberry Pi 5: read in the slot that autoboot.txt on the first partition chooses.
kernel=Image
initramfs initrd followkernel
cmdline=cmdline.txt
` + boardSettings

// cmdlineSlot5 is the kernel's: which slot it is in, init reads of the device tree, where
// the firmware says which partition it started.
const cmdlineSlot5 = "console=tty1 panic=3 oops=panic net.ifnames=0 loglevel=5 disk=auto\n"

// The firmware of Raspberry Pi 3 and 4 (Pi 5 has its own in flash).
const (
	piFirmware        = "github.com/gokrazy/firmware"
	piFirmwareVersion = "v0.0.0-20260522070551-527ce0ed43cf"
	piFirmwareSum     = "h1:WRmvIwhtcWJfHnrfpfXWPh3Xq6Lztn0y5l3li+NjaYw="
)

// piEnvironment is the size of U-Boot's own environment on a Raspberry Pi, the file
// uboot.env of the first partition (its rpi_arm64_defconfig, CONFIG_ENV_SIZE).
const piEnvironment = 0x4000

// file is a file of a FAT partition: its path there, and where it comes from.
type file struct{ to, from string }

// selector gives the first partition's files of a Raspberry Pi's card.
func (p raspberry) selector(o *options, t target, k *opened, work string) (files []file, parts []component, err error) {
	text := func(name, s string) error {
		at := filepath.Join(work, "selector-"+name)
		files = append(files, file{name, at})
		return os.WriteFile(at, []byte(s), 0o644)
	}
	if !p.uboot {
		return files, nil, text("autoboot.txt", p.config)
	}
	for _, f := range []struct{ name, s string }{{"config.txt", p.config}, {"site.txt", "# What this station has on its pins: see config.txt.\n"}} {
		if err := text(f.name, f.s); err != nil {
			return nil, nil, err
		}
	}
	dir, err := moduleDir(piFirmware, piFirmwareVersion, piFirmwareSum)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range []string{"bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat", "LICENSE.broadcom"} {
		files = append(files, file{n, filepath.Join(dir, n)})
	}
	parts = append(parts, component{Name: "raspberrypi-firmware", Version: piFirmwareVersion, Origin: piFirmware + "@" + piFirmwareVersion, Purl: "pkg:golang/" + piFirmware + "@" + piFirmwareVersion,
		Licence: "LicenseRef-broadcom", Texts: "licences/raspberrypi.txt"})
	d, err := openDebian(t.debian, []string{"u-boot-rpi"}, o.Cache, o.Stale)
	if err != nil {
		return nil, nil, err
	}
	const uboot = "usr/lib/u-boot/rpi_arm64/u-boot.bin"
	if d.owner[uboot] == nil {
		return nil, nil, fmt.Errorf("u-boot-rpi has no %s", uboot)
	}
	parts = append(parts, d.owner[uboot].component())
	files = append(files, file{"u-boot.bin", filepath.Join(d.dir, uboot)})
	program, err := os.ReadFile(filepath.Join(d.dir, uboot))
	if err != nil {
		return nil, nil, err
	}
	env, err := loader.Unattended(program, piEnvironment)
	if err != nil {
		return nil, nil, err
	}
	if err := text("uboot.env", string(env)); err != nil {
		return nil, nil, err
	}
	trees, err := matching(k.base, t.kernel.trees)
	if err != nil {
		return nil, nil, err
	}
	trees = slices.DeleteFunc(trees, pi5Tree)
	for _, f := range trees {
		files = append(files, file{filepath.Base(f), f})
	}
	overlays, err := k.overlayFiles()
	return append(files, overlays...), parts, err
}

// pi5Tree tells a Pi 5's device tree from others.
func pi5Tree(path string) bool {
	ok, _ := filepath.Match("bcm2712*", filepath.Base(path))
	return ok
}

// overlayFiles are the changes of device trees that stations may ask for.
func (k *opened) overlayFiles() (out []file, err error) {
	var globs []string
	for _, g := range k.overlays {
		globs = append(globs, filepath.Join("overlays", g))
	}
	m, err := matching(k.base, globs)
	for _, f := range m {
		out = append(out, file{"overlays/" + filepath.Base(f), f})
	}
	return out, err
}
