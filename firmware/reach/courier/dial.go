package courier

import (
	"context"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/phrase"
)

// Dialer gives a dialer whose connections leave by one interface only, so that “4G is up but
// the hub is not behind it” is seen as such and not answered over the fibre
// (SO_BINDTODEVICE: socket(7)). What the far end does not acknowledge in time ends the
// connection (TCP_USER_TIMEOUT: tcp(7)). An empty device binds to none.
func Dialer(device string, timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout:         timeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: timeout, Interval: timeout / 3, Count: 3},
		ControlContext: func(_ context.Context, network, _ string, raw syscall.RawConn) error {
			var err error
			if e := raw.Control(func(fd uintptr) {
				if device != "" {
					if e := unix.BindToDevice(int(fd), device); e != nil {
						err = phrase.Wrap(e, "courier.no_device", "device", device)
						return
					}
				}
				if len(network) >= 3 && network[:3] == "tcp" {
					err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(timeout.Milliseconds()))
				}
			}); e != nil {
				return e
			}
			return err
		},
	}
}
