package main

import (
	"fmt"
	"slices"
	"strings"
)

// target is a kind of board.
type target struct {
	name string
	// hardware are the names in manifests that its slots are for (configs/update.yaml).
	hardware []string
	goarch   string
	goarm    string
	debian   string // architecture of the packages
	kernel   kernel
	slot     int64 // MiB of each slot's partition; the last of them is the header's
	// loads is how the boot script has it loaded; where it is "" there is no script: the
	// board's own firmware chooses the slot.
	loads string
	// wifi are files of Debian's firmware packages that its network chips load.
	wifi []string
	// pi is what else a Raspberry Pi's card needs.
	pi *raspberry
}

// Where the boot script puts kernel, initramfs and the environment in memory, where the
// last words are kept, which disk that is to Linux, what its console is, and what starts the
// kernel. U-Boot knows its board's memory; on a Raspberry Pi its own places are too close
// together for this kernel, and the last words have theirs by an overlay (boardSettings).
const (
	loadsVirt = `setenv k ${kernel_addr_r}; setenv r ${ramdisk_addr_r}; setenv a 0x48000000; setenv keep 4a000000; setenv con "console=ttyAMA0,115200"; setenv go booti; setenv disk auto`
	loadsPi   = `setenv k 0x08000000; setenv r 0x10000000; setenv a 0x0f000000; setenv keep; setenv con "console=tty1"; setenv go booti; setenv disk auto
if test -e ${devtype} ${devnum}:1 uart.on; then setenv con "console=tty1 console=ttyAMA0,115200"; fi`
	loads64 = `setenv k ${kernel_addr_r}; setenv r ${ramdisk_addr_r}; setenv a ${pxefile_addr_r}; setexpr keep ${ramdisk_addr_r} + 4000000; setenv con; setenv go booti; setenv disk auto`
	loads32 = `setenv k ${kernel_addr_r}; setenv r ${ramdisk_addr_r}; setenv a ${pxefile_addr_r}; setexpr keep ${ramdisk_addr_r} + 4000000; setenv con; setenv go bootz; setenv disk auto`
)

// rpi is the kernel that Raspberry Pi's own ports need, and that the emulator boots too.
var rpi = kernel{module: "github.com/gokrazy/kernel.rpi", version: "v0.0.0-20251127164438-9778ec0261de", sum: "h1:RSLWj1Ska9s4cl+n/bC5LY4s8vLr+tZoO2vMm/wGP64=", drivers: "rpi",
	trees: []string{"bcm2710-rpi-3-b.dtb", "bcm2710-rpi-3-b-plus.dtb", "bcm2710-rpi-cm3.dtb", "bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb", "bcm2711-rpi-cm4.dtb", "bcm2711-rpi-cm4-io.dtb",
		"bcm2712-rpi-5-b.dtb", "bcm2712-d-rpi-5-b.dtb", "bcm2712d0-rpi-5-b.dtb", "bcm2712-rpi-500.dtb", "bcm2712-rpi-cm5-cm5io.dtb", "bcm2712-rpi-cm5-cm4io.dtb", "bcm2712-rpi-cm5l-cm5io.dtb"},
	// What stations put on the pins: clocks, RS-485 on the UARTs, sound cards, fans, a button.
	overlays: []string{"overlay_map.dtb", "disable-bt*.dtbo", "disable-wifi*.dtbo", "i2c-rtc*.dtbo", "i2c[0-6]*.dtbo", "i2c-sensor.dtbo", "spi[01]-?cs.dtbo", "uart[0-5]*.dtbo", "midi-uart0*.dtbo", "miniuart-bt.dtbo",
		"sc16is75*.dtbo", "hifiberry-dac*.dtbo", "hifiberry-amp*.dtbo", "iqaudio-dac*.dtbo", "i2s-dac.dtbo", "max98357a.dtbo", "ramoops*.dtbo", "gpio-*.dtbo", "pps-gpio.dtbo", "w1-gpio*.dtbo", "dwc2.dtbo", "mcp23017.dtbo", "mcp3008.dtbo", "ads1115.dtbo", "bcm2712d0.dtbo", "vc4-kms-v3d*.dtbo"}}

// piWiFi are the chips on Raspberry Pis.
var piWiFi = []string{"lib/firmware/brcm/brcmfmac43430-sdio.bin", "lib/firmware/brcm/brcmfmac43430-sdio.clm_blob", "lib/firmware/brcm/brcmfmac43430-sdio.raspberrypi,3-model-b.txt",
	"lib/firmware/brcm/brcmfmac43455-sdio.bin", "lib/firmware/brcm/brcmfmac43455-sdio.clm_blob", "lib/firmware/brcm/brcmfmac43455-sdio.raspberrypi,*.txt"}

// otherWiFi are those of other boards, and of USB adapters.
var otherWiFi = []string{"lib/firmware/brcm/brcmfmac43430-sdio.AP6212.txt", "lib/firmware/brcm/brcmfmac43430-sdio.bin", "lib/firmware/brcm/brcmfmac43455-sdio.bin", "lib/firmware/brcm/brcmfmac43455-sdio.clm_blob", "lib/firmware/ath9k_htc/htc_*.fw"}

// pis are the names of all Raspberry Pis' slots, which are one: and the emulator's, so that
// what is tried there is what is on the pole.
var pis = []string{"virt", "pi3", "pi4", "pi5"}

// targets are the boards that images are made for.
var targets = []target{
	{name: "virt", hardware: pis, goarch: "arm64", debian: "arm64", kernel: rpi, slot: 256, wifi: piWiFi, loads: loadsVirt},
	{name: "pi", hardware: pis, goarch: "arm64", debian: "arm64", kernel: rpi, slot: 256, wifi: piWiFi, loads: loadsPi, pi: &raspberry{config: configPi, uboot: true}},
	{name: "pi5", hardware: pis, goarch: "arm64", debian: "arm64", kernel: rpi, slot: 256, wifi: piWiFi, pi: &raspberry{config: autoboot()}},
	{name: "arm64", hardware: []string{"arm64"}, goarch: "arm64", debian: "arm64", kernel: kernel{debian: "linux-image-arm64", drivers: "arm64"}, slot: 256, wifi: otherWiFi, loads: loads64},
	{name: "armv7", hardware: []string{"armv7"}, goarch: "arm", goarm: "7", debian: "armhf", kernel: kernel{debian: "linux-image-armmp", drivers: "armv7"}, slot: 256, wifi: otherWiFi, loads: loads32},
}

func targetOf(name string) (target, error) {
	n := slices.IndexFunc(targets, func(t target) bool { return t.name == name })
	if n < 0 {
		var known []string
		for _, t := range targets {
			known = append(known, t.name)
		}
		return target{}, fmt.Errorf("no target is called %q; there are %s", name, strings.Join(known, ", "))
	}
	return targets[n], nil
}
