package serial

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
)

func starter(t *testing.T) drivers.Starter {
	return func(name string, run func()) {
		ended := make(chan struct{})
		go func() { defer close(ended); run() }()
		t.Cleanup(func() {
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Errorf("%s did not end", name)
			}
		})
	}
}

func openPort(t *testing.T, path string, o Opts) *Port {
	t.Helper()
	if o.Start == nil {
		o.Start = starter(t)
	}
	p, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// hear takes n bytes or fails after ten seconds.
func hear(t *testing.T, p *Port, n int) []byte {
	t.Helper()
	var got []byte
	end := time.After(10 * time.Second)
	for len(got) < n {
		select {
		case c, ok := <-p.Received():
			if !ok {
				t.Fatalf("port ended: %v", p.Err())
			}
			got = append(got, c.B...)
		case <-end:
			t.Fatalf("heard %q, want %d bytes", got, n)
		}
	}
	return got
}

// Fault T1: the shortest read timeout is 100 ms and a longer one is rounded
// down. We always ask for 100 ms; deadlines are made elsewhere.
func TestT1TheReadTimeoutIsCoarse(t *testing.T) {
	if readTimeout != 100*time.Millisecond {
		t.Fatal("a read timeout of anything but 100 ms is not what is got")
	}
	y := drivertest.OpenPTY(t)
	n, err := openTTY(y.Path, 9600, format{8, 'N', 1})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	start := time.Now()
	_, err = n.Read(make([]byte, 1))
	if d := time.Since(start); err != io.EOF || d < 80*time.Millisecond {
		t.Errorf("naive read: %v after %v", err, d)
	}
	// Through the port, what comes is there at once, not in ticks of 100 ms,
	// and its time is that of its coming: two bytes 30 ms apart stay apart.
	p := openPort(t, y.Path, Opts{})
	y.Far.Write([]byte("a"))
	hear(t, p, 1)
	y.Far.Write([]byte("b"))
	if got := hear(t, p, 1); string(got) != "b" {
		t.Errorf("%q", got)
	}
}

// Fault T2: a timeout looks like the end of the file. The naive reader stops;
// the port goes on.
func TestT2ATimeoutIsNoEnd(t *testing.T) {
	y := drivertest.OpenPTY(t)
	naive, err := openTTY(y.Path, 9600, format{8, 'N', 1})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(naive); err != nil || len(b) != 0 {
		t.Errorf("naive: %q, %v: it was to end at the first silence", b, err)
	}
	naive.Close()
	p := openPort(t, y.Path, Opts{})
	time.Sleep(250 * time.Millisecond) // at least two timeouts
	y.Far.Write([]byte("still here"))
	if got := hear(t, p, 10); string(got) != "still here" {
		t.Errorf("%q", got)
	}
	if p.Err() != nil {
		t.Error(p.Err())
	}
}

// Fault T3: without a read timeout Close waits for a Read that never returns.
func TestT3CloseNeverHangs(t *testing.T) {
	y := drivertest.OpenPTY(t)
	p := openPort(t, y.Path, Opts{})
	start := time.Now()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > closeWait {
		t.Errorf("took %v", d)
	}
	if _, ok := <-p.Received(); ok {
		t.Error("still open")
	}
	if err := p.Err(); drivers.KindOf(err) != drivers.FaultGone || !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if _, err := p.Write([]byte("x")); drivers.KindOf(err) != drivers.FaultGone {
		t.Errorf("write after close: %v", err)
	}
	openPort(t, y.Path, Opts{}) // and it is free
}

// The same while a Write waits, since nobody takes what is sent.
func TestT3CloseEndsAWriteThatWaits(t *testing.T) {
	y := drivertest.OpenPTY(t)
	p := openPort(t, y.Path, Opts{})
	wrote := make(chan error, 1)
	go func() { _, err := p.Write(make([]byte, 1<<20)); wrote <- err }()
	time.Sleep(50 * time.Millisecond)
	p.Close()
	select {
	case err := <-wrote:
		if err == nil {
			t.Error("a MiB was written to nobody")
		}
	case <-time.After(10 * time.Second):
		t.Error("the write still waits")
	}
}

// Fault T4: a port that was pulled out reads as a timeout, millions of times a
// second.
func TestT4APulledPortIsGone(t *testing.T) {
	y := drivertest.OpenPTY(t)
	naive, err := openTTY(y.Path, 9600, format{8, 'N', 1})
	if err != nil {
		t.Fatal(err)
	}
	defer naive.Close()
	p := openPort(t, y.Path, Opts{Shared: true})
	y.Pull()
	for range 1000 {
		if _, err := naive.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("naive read of a pulled port: %v", err)
		}
	}
	select {
	case _, ok := <-p.Received():
		if ok {
			t.Error("heard something")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("not noticed")
	}
	if err := p.Err(); drivers.KindOf(err) != drivers.FaultGone || !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), y.Path) {
		t.Error(err)
	}
}

// Fault T5: no RS-485 direction. It goes to the second descriptor; a pseudo
// terminal knows none, and says so with a mend.
func TestT5RS485IsSetOnTheSecondDescriptor(t *testing.T) {
	y := drivertest.OpenPTY(t)
	_, err := Open(y.Path, Opts{Start: starter(t), RS485: &RS485{}})
	if err == nil || !strings.Contains(err.Error(), "rs485") {
		t.Errorf("%v", err)
	}
	openPort(t, y.Path, Opts{}) // the failed open let go of it
	for _, c := range []struct {
		o    RS485
		want rs485
	}{
		{RS485{}, rs485{flags: 3}},
		{RS485{RTSLowOnSend: true, Before: time.Millisecond, After: 2 * time.Millisecond}, rs485{flags: 5, before: 1, after: 2}},
	} {
		if got := c.o.kernel(); got != c.want {
			t.Errorf("%+v: %+v", c.o, got)
		}
	}
}

// Fault T6: rates only from a list.
func TestT6AnyRateCanBeSet(t *testing.T) {
	for _, c := range []struct {
		baud   int
		format string
		naive  bool
	}{{14400, "8N1", false}, {250000, "8E1", false}, {9600, "8N2", true}, {115200, "7E1", true}} {
		y := drivertest.OpenPTY(t)
		openPort(t, y.Path, Opts{Baud: c.baud, Format: c.format})
		if got := y.Termios(t).Ospeed; got != uint32(c.baud) {
			t.Errorf("%d Bd: got %d", c.baud, got)
		}
		if listed[c.baud] != c.naive {
			t.Errorf("%d Bd listed: %v", c.baud, !c.naive)
		}
	}
	for _, f := range []string{"9N1", "8M1", "8N3", "8N", "4E1"} {
		y := drivertest.OpenPTY(t)
		if _, err := Open(y.Path, Opts{Format: f, Start: starter(t)}); err == nil || !strings.Contains(err.Error(), f) {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// Fault T7: two programs may open one port, and the second changes its rate.
func TestT7APortHasOneHolder(t *testing.T) {
	y := drivertest.OpenPTY(t)
	a, err := openTTY(y.Path, 9600, format{8, 'N', 1})
	if err != nil {
		t.Fatal(err)
	}
	b, err := openTTY(y.Path, 115200, format{8, 'N', 1})
	if err != nil {
		t.Fatalf("the naive way was to open it twice: %v", err)
	}
	a.Close()
	b.Close()

	openPort(t, y.Path, Opts{Baud: 9600})
	_, err = Open(y.Path, Opts{Baud: 115200, Start: starter(t)})
	var held *Held
	if !errors.As(err, &held) || drivers.KindOf(err) != drivers.FaultGone {
		t.Fatalf("%v", err)
	}
	if len(held.By) == 0 || held.By[0].PID != os.Getpid() || !strings.Contains(err.Error(), y.Path) {
		t.Errorf("%v", err)
	}
	if got := y.Termios(t).Ospeed; got != 9600 {
		t.Errorf("the second open changed the rate to %d", got)
	}
}

// Fault T8: parity is made and not checked. With parity on, a wrong character
// arrives as NUL. (A pseudo terminal makes no parity errors: the setting is
// what can be seen here.)
func TestT8ParityIsChecked(t *testing.T) {
	for f, want := range map[string]uint32{"8N1": unix.IGNPAR, "8E1": unix.INPCK, "7O1": unix.INPCK} {
		y := drivertest.OpenPTY(t)
		openPort(t, y.Path, Opts{Format: f})
		if got := y.Termios(t).Iflag & (unix.IGNPAR | unix.INPCK | unix.PARMRK); got != want {
			t.Errorf("%s: %#x, want %#x", f, got, want)
		}
	}
}

// Fault T10: nothing is discarded at open.
func TestT10WhatCameBeforeOpenIsDropped(t *testing.T) {
	y := drivertest.OpenPTY(t)
	y.Far.Write([]byte("before"))
	naive, err := openTTY(y.Path, 9600, format{8, 'N', 1})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 16)
	if n, _ := naive.Read(b); string(b[:n]) != "before" {
		t.Errorf("naive read %q", b[:n])
	}
	naive.Close()
	y.Far.Write([]byte("before"))
	p := openPort(t, y.Path, Opts{})
	y.Far.Write([]byte("after"))
	if got := hear(t, p, 5); string(got) != "after" {
		t.Errorf("%q", got)
	}
}

func TestAPortThatTalksWithoutEndStillOpens(t *testing.T) {
	y := drivertest.OpenPTY(t)
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				y.Far.Write([]byte("noise"))
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	defer func() { close(stop); <-ended }()
	p := openPort(t, y.Path, Opts{})
	hear(t, p, 5)
}

func TestAMissingPortNamesThoseThatAre(t *testing.T) {
	_, err := Open("/dev/ttyNONE", Opts{Start: starter(t)})
	var m *Missing
	if !errors.As(err, &m) || !errors.Is(err, fs.ErrNotExist) || drivers.KindOf(err) != drivers.FaultGone {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, f := range []string{"dev/ttyUSB0", "dev/ttyUSB1", "dev/ttyS0", "dev/ttyS1", "sys/class/tty/ttyUSB0/device/x", "sys/class/tty/ttyUSB1/device/x", "sys/class/tty/ttyS0/device/x", "sys/class/tty/ttyS1/device/x", "sys/class/tty/tty1/x"} {
		os.MkdirAll(root+"/"+f[:strings.LastIndex(f, "/")], 0o755)
		os.WriteFile(root+"/"+f, nil, 0o644)
	}
	os.WriteFile(root+"/sys/class/tty/ttyS0/type", []byte("4\n"), 0o644)
	os.WriteFile(root+"/sys/class/tty/ttyS1/type", []byte("0\n"), 0o644)
	os.MkdirAll(root+"/dev/serial/by-path", 0o755)
	os.Symlink("../../ttyUSB1", root+"/dev/serial/by-path/platform-usb-0:1.2")
	got := strings.ReplaceAll(strings.Join(ports(root), " "), root, "")
	if want := "/dev/serial/by-path/platform-usb-0:1.2 /dev/ttyS0 /dev/ttyUSB0"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestWhatIsNoPortSaysSo(t *testing.T) {
	var ns *NotSerial
	if _, err := Open("/dev/null", Opts{Start: starter(t)}); !errors.As(err, &ns) {
		t.Error(err)
	}
	var d *Denied
	if err := explain("/dev/null", fs.ErrPermission); !errors.As(err, &d) || !strings.Contains(err.Error(), "usermod -aG dialout") {
		t.Error(err)
	}
}

func TestNobodyTakingIsBounded(t *testing.T) {
	y := drivertest.OpenPTY(t)
	p := openPort(t, y.Path, Opts{Baud: 115200})
	b := make([]byte, 4096)
	for range 2560 { // 10 MiB
		if _, err := y.Far.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	y.Far.Write([]byte("end"))
	for end := time.Now().Add(10 * time.Second); p.Dropped() == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if len(p.rx) > queue || p.Dropped() == 0 {
		t.Errorf("%d chunks, %d bytes dropped", len(p.rx), p.Dropped())
	}
	var last []byte
	for !strings.HasSuffix(string(last), "end") {
		last = append(last[max(0, len(last)-8):], hear(t, p, 1)...)
	}
}
