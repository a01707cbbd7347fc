package main

import "fmt"

// target is a kind of board.
type target struct {
	name string
	// hardware are the names in manifests that its slots are for.
	hardware []string
	goarch   string
	goarm    string
	debian   string // architecture of the packages
	// kernel is a pinned module or, where it has no version, a Debian package.
	kernel kernel
	slot   int64 // MiB of each slot's partition; the last of them is the header's
}

type kernel struct {
	module, version, sum string
	dtbs                 []string // names in the module, as path.Match has them
	debian               string
	modules              []string
}

// rpi is the kernel that Raspberry Pi's own ports need, and that the emulator boots too.
var rpi = kernel{module: "github.com/gokrazy/kernel.rpi", version: "v0.0.0-20251127164438-9778ec0261de", sum: "h1:RSLWj1Ska9s4cl+n/bC5LY4s8vLr+tZoO2vMm/wGP64=", dtbs: []string{"bcm27*.dtb", "bcm28*.dtb"}}

// targets are the boards that images are made for. The board that the emulator is (virt)
// has the slots of the Raspberry Pi: what CI boots is what is on the pole.
var targets = map[string]target{
	"virt": {name: "virt", hardware: []string{"virt", "pi3", "pi4"}, goarch: "arm64", debian: "arm64", kernel: rpi, slot: 160},
	"pi":   {name: "pi", hardware: []string{"virt", "pi3", "pi4"}, goarch: "arm64", debian: "arm64", kernel: rpi, slot: 160},
}

func targetOf(name string) (target, error) {
	t, ok := targets[name]
	if !ok {
		return t, fmt.Errorf("no target is called %q", name)
	}
	return t, nil
}
