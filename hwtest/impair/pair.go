package impair

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// mtu is what both ends' devices take.
const mtu = 1400

// Pair is two network namespaces of this process with the link between them, so that the kernel's own TCP and UDP
// meet it. The near end is 10.79.0.1, the far one 10.79.0.2. Use NewPair.
type Pair struct {
	*Link
	Near, Far *End
}

// End is one namespace.
type End struct {
	// Addr is its address.
	Addr string
	tun  *os.File
	work chan func()
}

// NewPair makes one. It needs root: an error says what was refused.
func NewPair(up, down Setting, seed uint64) (*Pair, error) {
	p := &Pair{Link: New(up, down, seed)}
	var err error
	if p.Near, err = p.end("10.79.0.1"); err == nil {
		p.Far, err = p.end("10.79.0.2")
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	p.goes(func() { p.carry(p.Near, p.Far, p.up) })
	p.goes(func() { p.carry(p.Far, p.Near, p.down) })
	return p, nil
}

// end starts a thread in a namespace of its own, which serves the end until the link is closed. The thread is
// never given back: its namespace ends with it.
func (p *Pair) end(addr string) (*End, error) {
	e := &End{Addr: addr, work: make(chan func())}
	ready := make(chan error, 1)
	p.goes(func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = e.device()
		}
		ready <- err
		if err != nil {
			return
		}
		for {
			select {
			case f := <-e.work:
				f()
			case <-p.done:
				return
			}
		}
	})
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("a namespace for %s: %w", addr, err)
	}
	if !p.owns(e.tun) {
		return nil, net.ErrClosed
	}
	return e, nil
}

// device makes the TUN device of this thread's namespace.
func (e *End) device() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	ifr, err := unix.NewIfreq("bad0")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		unix.Close(fd)
		return fmt.Errorf("TUNSETIFF: %w", err)
	}
	e.tun = os.NewFile(uintptr(fd), "tun "+e.Addr)
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	set := func(request uint, name string, fill func(*unix.Ifreq) error) error {
		r, err := unix.NewIfreq(name)
		if err == nil {
			err = fill(r)
		}
		if err == nil {
			err = unix.IoctlIfreq(s, request, r)
		}
		return err
	}
	ip := net.ParseIP(e.Addr).To4()
	up := func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }
	return errors.Join(
		set(unix.SIOCSIFADDR, "bad0", func(r *unix.Ifreq) error { return r.SetInet4Addr(ip) }),
		set(unix.SIOCSIFNETMASK, "bad0", func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) }),
		set(unix.SIOCSIFMTU, "bad0", func(r *unix.Ifreq) error { r.SetUint32(mtu); return nil }),
		set(unix.SIOCSIFFLAGS, "bad0", up), set(unix.SIOCSIFFLAGS, "lo", up))
}

// carry takes packets from one device to the other through the way. IPv6's own chatter stays at home.
func (p *Pair) carry(from, to *End, d *direction) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.tun.Read(buf)
		if err != nil {
			select {
			case <-p.done:
				return
			case <-time.After(time.Millisecond):
				continue
			}
		}
		if n < 20 || buf[0]>>4 != 4 {
			continue
		}
		b := append([]byte(nil), buf[:n]...)
		d.send(n, func() { to.tun.Write(b) })
	}
}

// Do runs f on a thread in the end's namespace: sockets that it opens belong there, wherever they are used.
func (e *End) Do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case e.work <- func() { f(); close(done) }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Listen opens a port there.
func (e *End) Listen(network, address string) (l net.Listener, err error) {
	ctx, end := context.WithTimeout(context.Background(), 10*time.Second)
	defer end()
	if busy := e.Do(ctx, func() { l, err = net.Listen(network, address) }); busy != nil {
		return nil, busy
	}
	return l, err
}

// ListenUDP opens a datagram port there.
func (e *End) ListenUDP(address string) (c net.PacketConn, err error) {
	ctx, end := context.WithTimeout(context.Background(), 10*time.Second)
	defer end()
	if busy := e.Do(ctx, func() { c, err = net.ListenPacket("udp4", address) }); busy != nil {
		return nil, busy
	}
	return c, err
}

// Dial dials an IP address from there; it fits where a dialer is asked for. The socket is made on the end's thread and
// connected from this one, so that a slow link does not hold the thread.
func (e *End) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	a, err := net.ResolveUDPAddr("udp4", address)
	if err != nil || a.IP == nil {
		return nil, fmt.Errorf("%s is no IPv4 address with a port: %w", address, err)
	}
	kind := map[string]int{"tcp": unix.SOCK_STREAM, "tcp4": unix.SOCK_STREAM, "udp": unix.SOCK_DGRAM, "udp4": unix.SOCK_DGRAM}[network]
	if kind == 0 {
		return nil, net.UnknownNetworkError(network)
	}
	var fd int
	if busy := e.Do(ctx, func() { fd, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0) }); busy != nil {
		return nil, busy
	}
	if err != nil {
		return nil, err
	}
	to := &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())}
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return nil, err
	}
	if err := connected(ctx, fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	f := os.NewFile(uintptr(fd), address)
	defer f.Close()
	return net.FileConn(f)
}

// connected waits until a connection stands.
func connected(ctx context.Context, fd int) error {
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(p, 50)
		if err != nil && err != unix.EINTR {
			return err
		}
		if n > 0 {
			no, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			if err == nil && no != 0 {
				err = unix.Errno(no)
			}
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// Forward opens a port of the far end that leads to a program outside of it, and gives its address there.
func (p *Pair) Forward(target string) (string, error) {
	ln, err := p.Far.Listen("tcp4", p.Far.Addr+":0")
	if err != nil {
		return "", err
	}
	if !p.owns(ln) {
		return "", net.ErrClosed
	}
	p.goes(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil || !p.owns(near) || !p.owns(far) {
				near.Close()
				continue
			}
			join := func(to, from net.Conn) {
				io.Copy(to, from)
				to.Close()
				from.Close()
			}
			p.goes(func() { join(far, near) })
			p.goes(func() { join(near, far) })
		}
	})
	return ln.Addr().String(), nil
}
