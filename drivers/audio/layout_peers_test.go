//go:build linux && peers

package audio

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

// TestTheLayoutIsThatOfTheKernelsHeader has a C compiler read <sound/asound.h>:
// our numbers and the places of the members, here; and the numbers for 32-bit
// ARM where a compiler for it is there.
func TestTheLayoutIsThatOfTheKernelsHeader(t *testing.T) {
	if _, err := os.Stat("/usr/include/sound/asound.h"); err != nil {
		t.Skip("no kernel headers: apt-get install linux-libc-dev")
	}
	var p hwParams
	var s swParams
	var x xferi
	var id elemID
	var l elemList
	var in elemInfo
	var v elemValue
	asserts := func(wide bool) string {
		var b strings.Builder
		b.WriteString("#include <stddef.h>\n#include <time.h>\n#include <sys/ioctl.h>\n#include <sound/asound.h>\n")
		for _, c := range ioctls {
			n := c.at64
			if !wide {
				n = c.at32
			}
			line(&b, c.cPattern, n)
		}
		return b.String()
	}
	here := asserts(unsafe.Sizeof(uintptr(0)) == 8)
	var b strings.Builder
	for _, o := range []struct {
		c    string
		ours uintptr
	}{
		{"struct snd_pcm_hw_params, masks", unsafe.Offsetof(p.masks)},
		{"struct snd_pcm_hw_params, intervals", unsafe.Offsetof(p.intervals)},
		{"struct snd_pcm_hw_params, rmask", unsafe.Offsetof(p.rmask)},
		{"struct snd_pcm_hw_params, info", unsafe.Offsetof(p.info)},
		{"struct snd_pcm_hw_params, fifo_size", unsafe.Offsetof(p.fifo)},
		{"struct snd_pcm_sw_params, period_step", unsafe.Offsetof(s.periodStep)},
		{"struct snd_pcm_sw_params, avail_min", unsafe.Offsetof(s.availMin)},
		{"struct snd_pcm_sw_params, start_threshold", unsafe.Offsetof(s.startThreshold)},
		{"struct snd_pcm_sw_params, stop_threshold", unsafe.Offsetof(s.stopThreshold)},
		{"struct snd_pcm_sw_params, boundary", unsafe.Offsetof(s.boundary)},
		{"struct snd_pcm_sw_params, proto", unsafe.Offsetof(s.proto)},
		{"struct snd_xferi, buf", unsafe.Offsetof(x.buf)},
		{"struct snd_xferi, frames", unsafe.Offsetof(x.frames)},
		{"struct snd_ctl_elem_id, iface", unsafe.Offsetof(id.iface)},
		{"struct snd_ctl_elem_id, name", unsafe.Offsetof(id.name)},
		{"struct snd_ctl_elem_id, index", unsafe.Offsetof(id.index)},
		{"struct snd_ctl_elem_list, count", unsafe.Offsetof(l.count)},
		{"struct snd_ctl_elem_list, pids", unsafe.Offsetof(l.ids)},
		{"struct snd_ctl_elem_info, access", unsafe.Offsetof(in.access)},
		{"struct snd_ctl_elem_info, count", unsafe.Offsetof(in.count)},
		{"struct snd_ctl_elem_info, value", unsafe.Offsetof(in.value)},
		{"struct snd_ctl_elem_value, value", unsafe.Offsetof(v.value)},
	} {
		line(&b, "offsetof("+o.c+")", o.ours)
	}
	for c, n := range map[string]uintptr{
		"SNDRV_PCM_HW_PARAM_CHANNELS": paramChannels, "SNDRV_PCM_HW_PARAM_RATE": paramRate,
		"SNDRV_PCM_HW_PARAM_PERIOD_SIZE": paramPeriodSize, "SNDRV_PCM_HW_PARAM_PERIODS": paramPeriods,
		"SNDRV_PCM_HW_PARAM_BUFFER_SIZE": paramBufferSize, "SNDRV_PCM_HW_PARAM_FIRST_INTERVAL": firstInterval,
		"SNDRV_PCM_HW_PARAM_ACCESS": paramAccess, "SNDRV_PCM_HW_PARAM_FORMAT": paramFormat,
		"(long)SNDRV_PCM_ACCESS_RW_INTERLEAVED": accessInterleaved, "(long)SNDRV_PCM_FORMAT_S16_LE": formatS16LE,
		"(long)SNDRV_CTL_ELEM_TYPE_BOOLEAN": elemBoolean, "(long)SNDRV_CTL_ELEM_TYPE_INTEGER": elemInteger,
		"(long)SNDRV_CTL_ELEM_IFACE_MIXER": ifaceMixer, "SNDRV_CTL_ELEM_ACCESS_WRITE": accessWrite,
	} {
		line(&b, c, n)
	}
	compilers := []struct {
		cc, source string
		args       []string
	}{
		{"gcc", here + b.String(), nil},
		{"arm-linux-gnueabihf-gcc", asserts(false), nil},
	}
	if runtime.GOARCH == "amd64" {
		// The same compiler lays out structures as 32-bit ARM does when longs
		// have 32 bits and 64-bit integers are aligned to 8. The C library's
		// list of stubs for 32 bits is not needed to read headers.
		compilers = append(compilers, struct {
			cc, source string
			args       []string
		}{"gcc", asserts(false), []string{"-m32", "-malign-double", "-I", "/usr/include/x86_64-linux-gnu"}})
	}
	compiled := 0
	for _, c := range compilers {
		path, err := exec.LookPath(c.cc)
		if err != nil {
			continue
		}
		compiled++
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "gnu"), 0o755); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "layout.c")
		for name, text := range map[string]string{file: c.source, filepath.Join(dir, "gnu", "stubs-32.h"): ""} {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.Command(path, append(c.args, "-I", dir, "-fsyntax-only", file)...).CombinedOutput(); err != nil {
			t.Errorf("%s %v: %v\n%s", c.cc, c.args, err, out)
		}
	}
	if compiled == 0 {
		t.Skip("no C compiler")
	}
}

func line(b *strings.Builder, c string, n uintptr) {
	const digits = "0123456789abcdef"
	var s []byte
	for ; n > 0; n /= 16 {
		s = append([]byte{digits[n%16]}, s...)
	}
	b.WriteString("_Static_assert((" + c + ") == 0x0" + string(s) + "ul, \"" + strings.NewReplacer(`"`, "").Replace(c) + "\");\n")
}
