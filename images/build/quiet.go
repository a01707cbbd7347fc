package main

import (
	"os"
	"path/filepath"
)

// quietLibrary is libpcaudio's place in the root. espeak-ng links it to play sound by
// PulseAudio, ALSA or OSS, and Debian's draws in 35 more libraries, X11 and systemd's among
// them. A board's espeak-ng only ever writes files (edged plays them, and hears them), so
// in its place lies one that has no sound device: what is asked for one gets none.
const quietLibrary = "libpcaudio.so.0"

// quietWords are the functions that libespeak-ng takes of it (pcaudiolib, audio.h). All
// of them give nothing: a NULL device, or 0 for "done", as pcaudiolib's own do with a NULL
// device.
var quietWords = []string{"create_audio_device_object", "audio_object_open", "audio_object_close", "audio_object_destroy", "audio_object_write", "audio_object_drain", "audio_object_flush", "audio_object_strerror"}

// quiet makes the library for an architecture, of a few instructions of assembly.
func quiet(t target, work, to string) error {
	nothing, tools := "mov x0, #0\n\tret\n", "aarch64-linux-gnu-"
	if t.goarch == "arm" {
		nothing, tools = "mov r0, #0\n\tbx lr\n", "arm-linux-gnueabihf-"
	}
	src := ".text\n"
	if t.goarch == "arm" {
		src = ".syntax unified\n.arch armv7-a\n.arm\n" + src
	}
	for _, w := range quietWords {
		src += ".globl " + w + "\n.type " + w + ", %function\n" + w + ":\n\t" + nothing
	}
	src += ".section .note.GNU-stack,\"\",%progbits\n"
	s, o := filepath.Join(work, "quiet.s"), filepath.Join(work, "quiet.o")
	if err := os.WriteFile(s, []byte(src), 0o644); err != nil {
		return err
	}
	if _, err := run(nil, tools+"as", "-o", o, s); err != nil {
		return err
	}
	_, err := run(nil, tools+"ld", "-shared", "-s", "--build-id=none", "--hash-style=gnu", "-soname", quietLibrary, "-o", to, o)
	return err
}
