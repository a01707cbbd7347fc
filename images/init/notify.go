package main

import (
	"context"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

const notifyPath = "/run/notify.sock"

// notifySocket takes what edged tells of itself (sd_notify(3)): the kernel says who sent it.
type notifySocket struct{ c *net.UnixConn }

func listenNotify() (*notifySocket, error) {
	_ = os.Remove(notifyPath)
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notifyPath, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(notifyPath, 0o622); err != nil {
		return nil, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var e error
	if err := raw.Control(func(fd uintptr) { e = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) }); err != nil {
		return nil, err
	}
	return &notifySocket{c}, e
}

func (n *notifySocket) run(ctx context.Context, s *supervisor) {
	b, oob := make([]byte, 4096), make([]byte, 256)
	for ctx.Err() == nil {
		k, kk, _, _, err := n.c.ReadMsgUnix(b, oob)
		if err != nil {
			s.b.say("notify: %v", err)
			return
		}
		if pid := senderOf(oob[:kk]); pid > 0 {
			s.told(pid, string(b[:k]))
		}
	}
}

// senderOf reads who sent a message out of what the kernel put beside it.
func senderOf(oob []byte) int {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for i := range msgs {
		if c, err := unix.ParseUnixCredentials(&msgs[i]); err == nil {
			return int(c.Pid)
		}
	}
	return 0
}
