package storm

import (
	"encoding/hex"
	"os"
	"testing"
	"time"

	"tocsin/hwtest/line"

	"golang.org/x/sys/unix"
)

func TestAVillageAnswersOnItsPorts(t *testing.T) {
	v, err := Build(Config{Dir: t.TempDir(), Baud: 115200, River: 2.5})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	fd := openRaw(t, v.Port(FieldPort))
	unix.Write(fd, line.Frame(UnitRiver, []byte{3, 0, 0, 0, 3}))
	want := hex.EncodeToString(line.Frame(UnitRiver, []byte{3, 6, 0x40, 0x20, 0, 0, 0, 0}))
	if got := hex.EncodeToString(readN(fd, 11)); got != want {
		t.Errorf("river: %s, want %s", got, want)
	}
	fd = openRaw(t, v.Port(OutPort))
	unix.Write(fd, line.Frame(UnitBoard, []byte{5, 0, RelayHorn, 0xFF, 0}))
	readN(fd, 8)
	if !v.Horn.Sounding() {
		t.Error("the horn is silent")
	}
	fd = openRaw(t, v.Port(TextPort))
	if got := string(readN(fd, 16)); got != "$RAIN,0.0,0*"+got[12:14]+"\r\n" {
		t.Errorf("text gauge: %q", got)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(v.Port(FieldPort)); !os.IsNotExist(err) {
		t.Errorf("a port is left: %v", err)
	}
}

func openRaw(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	x, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	x.Iflag, x.Oflag, x.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, x); err != nil {
		t.Fatal(err)
	}
	return fd
}

// readN reads n bytes, or what came within 10 s.
func readN(fd, n int) (out []byte) {
	buf := make([]byte, 256)
	for end := time.Now().Add(10 * time.Second); len(out) < n && time.Now().Before(end); time.Sleep(time.Millisecond) {
		if k, _ := unix.Read(fd, buf[:n-len(out)]); k > 0 {
			out = append(out, buf[:k]...)
		}
	}
	return append(out, make([]byte, max(0, n-len(out)))...)
}
