package loader

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
)

const program = "\x7fcode\x00\x00usage: bootcmd=x\x00a message\x00bootcmd=run distro_bootcmd\x00bootdelay=2\x00baudrate=115200\x00arch=arm\x00cpu=armv8\x00board=qemu-arm\x00mtdparts=\x00\x00more code\x00k=v\x00"

func TestTheLoadersOwnEnvironmentIsKeptButForThePause(t *testing.T) {
	e, err := Unattended([]byte(program), 512)
	if err != nil {
		t.Fatal(err)
	}
	if binary.LittleEndian.Uint32(e) != crc32.ChecksumIEEE(e[4:]) || len(e) != 512 {
		t.Fatal("the loader would not believe it")
	}
	text, _, _ := strings.Cut(string(e[4:]), "\x00\x00")
	got := strings.Split(text, "\x00")
	if len(got) != 7 || !strings.Contains(text, "bootcmd=run distro_bootcmd") || !strings.Contains(text, "bootdelay=-2") || strings.Contains(text, "bootdelay=2") || strings.Contains(text, "k=v") {
		t.Fatalf("%q", got)
	}
}

func TestAProgramWithoutAnEnvironmentIsRefused(t *testing.T) {
	for _, p := range []string{"", "bootcmd=x", "\x00bootcmd=x\x00", strings.Repeat("\x00bootcmd=x\x01", 50)} {
		if _, err := Unattended([]byte(p), 512); err == nil {
			t.Errorf("%q", p)
		}
	}
	if _, err := Unattended([]byte(program), 64); err == nil {
		t.Error("it does not fit and was made")
	}
}

func FuzzUnattended(f *testing.F) {
	f.Add([]byte(program))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := Unattended(b, 4096); err == nil && len(e) != 4096 {
			t.Fatal(len(e))
		}
	})
}
