package courier

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/phrase"
)

func TestADialerLeavesByItsInterfaceAlone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dialer("lo", 5*time.Second).DialContext(context.Background(), "tcp", l.Addr().String())
	if errors.Is(err, syscall.EPERM) {
		t.Skip("binding to an interface is not permitted here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if dev, err := unix.GetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE); err != nil || dev != "lo" {
			t.Errorf("bound to %q, %v", dev, err)
		}
		if ms, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); err != nil || ms != 5000 {
			t.Errorf("user timeout %d ms, %v", ms, err)
		}
	})
}

func TestADialerToAnInterfaceThatIsNotThereSaysSo(t *testing.T) {
	_, err := Dialer("no-such0", time.Second).Dial("udp", "127.0.0.1:9")
	var e *phrase.Error
	if !errors.As(err, &e) || e.Code != "courier.no_device" {
		t.Errorf("%v", err)
	}
}
