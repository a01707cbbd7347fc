//go:build linux

package audio

import (
	"testing"
	"unsafe"
)

// numbers of the ioctls as the kernel's header makes them on x86-64 and arm64
// (64) and on 32-bit ARM (32).
var ioctls = []struct {
	name     string
	ours     uintptr
	at64     uintptr
	at32     uintptr
	cPattern string
}{
	{"HW_PARAMS", pcmHWParams, 0xc2604111, 0xc25c4111, "SNDRV_PCM_IOCTL_HW_PARAMS"},
	{"SW_PARAMS", pcmSWParams, 0xc0884113, 0xc0684113, "SNDRV_PCM_IOCTL_SW_PARAMS"},
	{"DELAY", pcmDelay, 0x80084121, 0x80044121, "SNDRV_PCM_IOCTL_DELAY"},
	{"PREPARE", pcmPrepare, 0x4140, 0x4140, "SNDRV_PCM_IOCTL_PREPARE"},
	{"DROP", pcmDrop, 0x4143, 0x4143, "SNDRV_PCM_IOCTL_DROP"},
	{"DRAIN", pcmDrain, 0x4144, 0x4144, "SNDRV_PCM_IOCTL_DRAIN"},
	{"RESUME", pcmResume, 0x4147, 0x4147, "SNDRV_PCM_IOCTL_RESUME"},
	{"WRITEI", pcmWriteI, 0x40184150, 0x400c4150, "SNDRV_PCM_IOCTL_WRITEI_FRAMES"},
	{"ELEM_LIST", ctlElemList, 0xc0505510, 0xc0485510, "SNDRV_CTL_IOCTL_ELEM_LIST"},
	{"ELEM_INFO", ctlElemInfo, 0xc1105511, 0xc1105511, "SNDRV_CTL_IOCTL_ELEM_INFO"},
	{"ELEM_READ", ctlElemRead, 0xc4c85512, 0xc2c85512, "SNDRV_CTL_IOCTL_ELEM_READ"},
	{"ELEM_WRITE", ctlElemWrite, 0xc4c85513, 0xc2c85513, "SNDRV_CTL_IOCTL_ELEM_WRITE"},
}

func TestIoctlNumbersAreTheKernels(t *testing.T) {
	for _, c := range ioctls {
		want := c.at64
		if unsafe.Sizeof(uintptr(0)) == 4 {
			want = c.at32
		}
		if c.ours != want {
			t.Errorf("%s is %#x, want %#x", c.name, c.ours, want)
		}
	}
}
