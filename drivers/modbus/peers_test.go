//go:build peers

package modbus_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	"tocsin/drivers/modbus"
	"tocsin/drivers/serial"
)

const peers = "../../hwtest/peers/"

// start runs a peer until the test ends and waits until it is ready.
func startPeer(t *testing.T, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	ready := make(chan bool, 1)
	go func() {
		s := bufio.NewScanner(out)
		for s.Scan() {
			if s.Text() == "ready" {
				ready <- true
				break
			}
		}
		for s.Scan() {
		}
		close(ready) // it ended
	}()
	select {
	case ok := <-ready:
		if !ok {
			t.Fatalf("%s ended before it was ready", name)
		}
	case <-time.After(60 * time.Second):
		t.Fatalf("%s is not ready", name)
	}
}

func libmodbus(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "slave")
	if b, err := exec.Command("cc", "-O1", "-o", out, peers+"libmodbus_slave.c", "-I/usr/include/modbus", "-lmodbus").CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, b)
	}
	return out
}

// twoPorts joins two pseudo terminals by a wire: a program at each end. lose
// says whether to swallow what the slave says.
func twoPorts(t *testing.T) (ours, theirs string) {
	a, b := drivertest.OpenPTY(t), drivertest.OpenPTY(t)
	var wg sync.WaitGroup
	t.Cleanup(func() { a.Pull(); b.Pull(); wg.Wait() })
	move := func(from, to *os.File) {
		buf := make([]byte, 512)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	wg.Go(func() { move(a.Far, b.Far) })
	wg.Go(func() { move(b.Far, a.Far) })
	return a.Path, b.Path
}

func freePort(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return fmt.Sprint(ln.Addr().(*net.TCPAddr).Port)
}

// exercise holds a line to what a real slave can show. missing is a unit that
// is not there, 0 for none.
func exercise(t *testing.T, l drivers.Registers, units []uint8, missing uint8) {
	ctx := context.Background()
	for round := range 20 {
		for _, u := range units {
			addr := uint16(7 * round)
			a, err := l.Read(ctx, u, drivers.Holding, addr, 20)
			if err != nil || a.Doubt {
				t.Fatalf("unit %d from %d: %v, doubt %v", u, addr, err, a.Doubt)
			}
			for i := range 20 {
				if v := binary.BigEndian.Uint16(a.Data[2*i:]); v != uint16(u)*1000+addr+uint16(i) {
					t.Fatalf("unit %d register %d: %d", u, int(addr)+i, v)
				}
			}
		}
	}
	u := units[0]
	if _, err := l.Read(ctx, u, drivers.Input, 0, 125); err != nil {
		t.Errorf("125 registers: %v", err)
	}
	f, _ := second(l.Read(ctx, u, drivers.Holding, 500, 1)).(*drivers.Fault)
	if f == nil || f.Kind != drivers.FaultRefused || f.Code != 2 {
		t.Errorf("an address that is not there: %v", f)
	}
	for _, on := range []bool{true, false, true} {
		if err := l.WriteCoil(ctx, u, 5, on); err != nil {
			t.Fatal(err)
		}
		a, err := l.Read(ctx, u, drivers.Coil, 5, 1)
		if err != nil || (a.Data[0]&1 == 1) != on {
			t.Fatalf("coil %v: % x, %v", on, a.Data, err)
		}
	}
	if err := l.WriteSingle(ctx, u, drivers.Holding, 150, 4711); err != nil {
		t.Error(err)
	}
	if err := l.WriteRegisters(ctx, u, 151, []uint16{1, 2, 3}); err != nil {
		t.Error(err)
	}
	a, err := l.Read(ctx, u, drivers.Holding, 150, 4)
	if err != nil || string(a.Data) != "\x12\x67\x00\x01\x00\x02\x00\x03" {
		t.Errorf("written: % x, %v", a.Data, err)
	}
	if missing > 0 {
		if _, err := l.Read(ctx, missing, drivers.Holding, 0, 1); drivers.KindOf(err) != drivers.FaultTimeout {
			t.Errorf("unit %d, not there: %v", missing, err)
		}
		if _, err := l.Read(ctx, u, drivers.Holding, 10, 1); err != nil {
			t.Errorf("after it: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func rtuOn(t *testing.T, path string, baud int) *modbus.Line {
	var wg sync.WaitGroup
	l := modbus.NewRTU(func() (drivers.Port, error) {
		return serial.Open(path, serial.Opts{Baud: baud, Start: func(_ string, run func()) { wg.Go(run) }})
	}, modbus.RTUOpts{Baud: baud, Timeout: 2 * time.Second})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l
}

func TestPymodbusOverRTU(t *testing.T) {
	for _, baud := range []int{9600, 115200} {
		near, far := twoPorts(t)
		startPeer(t, "/usr/bin/python3", peers+"pymodbus_slave.py", "rtu", far, fmt.Sprint(baud))
		l := rtuOn(t, near, baud)
		exercise(t, l, []uint8{1, 2, 3}, 9)
		named(t, l)
	}
}

func TestPymodbusOverASCII(t *testing.T) {
	near, far := twoPorts(t)
	startPeer(t, "/usr/bin/python3", peers+"pymodbus_slave.py", "ascii", far, "9600")
	var wg sync.WaitGroup
	l := modbus.NewASCII(func() (drivers.Port, error) {
		return serial.Open(near, serial.Opts{Baud: 9600, Start: func(_ string, run func()) { wg.Go(run) }})
	}, modbus.RTUOpts{Baud: 9600, Timeout: 2 * time.Second})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	exercise(t, l, []uint8{1, 2, 3}, 9)
	named(t, l)
}

func TestPymodbusInSerialFramesOverTCP(t *testing.T) {
	for mode, made := range map[string]func(func() (drivers.Port, error), modbus.RTUOpts) *modbus.Line{"rtu-over-tcp": modbus.NewRTU, "ascii-over-tcp": modbus.NewASCII} {
		t.Run(mode, func(t *testing.T) {
			port := freePort(t)
			startPeer(t, "/usr/bin/python3", peers+"pymodbus_slave.py", mode, "127.0.0.1", port)
			var wg sync.WaitGroup
			l := made(func() (drivers.Port, error) {
				return modbus.DialStream(context.Background(), "127.0.0.1:"+port, modbus.StreamOpts{Start: func(_ string, run func()) { wg.Go(run) }})
			}, modbus.RTUOpts{Baud: 115200, Timeout: 2 * time.Second})
			t.Cleanup(func() { l.Close(); wg.Wait() })
			exercise(t, l, []uint8{1, 2, 3}, 0)
			named(t, l)
		})
	}
}

// named asks a peer what it is.
func named(t *testing.T, l *modbus.Line) {
	t.Helper()
	a, err := l.Identification(context.Background(), 1, 1, 0)
	if err != nil || !strings.Contains(string(a.Data), "Peer") || !strings.Contains(string(a.Data), "PM") {
		t.Errorf("function 43: %q, %v", a.Data, err)
	}
	if a, err := l.ServerID(context.Background(), 1); err != nil || len(a.Data) == 0 {
		t.Errorf("function 17: %q, %v", a.Data, err)
	}
}

func TestLibmodbusOverRTU(t *testing.T) {
	bin := libmodbus(t)
	for _, baud := range []int{9600, 115200} {
		near, far := twoPorts(t)
		startPeer(t, bin, "rtu", far, fmt.Sprint(baud), "3")
		exercise(t, rtuOn(t, near, baud), []uint8{3}, 9)
	}
}

func TestPymodbusOverTCP(t *testing.T) {
	port := freePort(t)
	startPeer(t, "/usr/bin/python3", peers+"pymodbus_slave.py", "tcp", "127.0.0.1", port)
	l := modbus.NewTCP("127.0.0.1:"+port, modbus.TCPOpts{Timeout: 2 * time.Second})
	defer l.Close()
	exercise(t, l, []uint8{1, 2, 3}, 0)
	named(t, l)
}

func TestLibmodbusOverTCP(t *testing.T) {
	port := freePort(t)
	startPeer(t, libmodbus(t), "tcp", "127.0.0.1", port)
	l := modbus.NewTCP("127.0.0.1:"+port, modbus.TCPOpts{Timeout: 2 * time.Second})
	defer l.Close()
	exercise(t, l, []uint8{1}, 0)
}

// mbpoll polls the same server all the time that we do.
func TestASecondMasterOnTCPDisturbsNothing(t *testing.T) {
	port := freePort(t)
	startPeer(t, "/usr/bin/python3", peers+"pymodbus_slave.py", "tcp", "127.0.0.1", port)
	c := exec.Command("mbpoll", "-m", "tcp", "-p", port, "-a", "1", "-0", "-r", "30", "-c", "5", "-t", "4", "-l", "100", "127.0.0.1")
	var out strings.Builder
	c.Stdout = &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	l := modbus.NewTCP("127.0.0.1:"+port, modbus.TCPOpts{Timeout: 2 * time.Second})
	defer l.Close()
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		a, err := l.Read(context.Background(), 1, drivers.Holding, 10, 5)
		if err != nil || binary.BigEndian.Uint16(a.Data) != 1010 {
			t.Fatalf("%v %v", a, err)
		}
	}
	c.Process.Signal(unix.SIGINT)
	c.Wait()
	if n := strings.Count(out.String(), "1030"); n < 3 {
		t.Errorf("the other master read %d times:\n%s", n, out.String())
	}
}
