package whep

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bounds of what one system call sends: the kernel takes 64 segments (udp(7),
// UDP_SEGMENT), and more than a dozen at once may overrun a small receive buffer.
const (
	gatherBytes   = 16 << 10
	gatherPackets = 12
	socketBuffer  = 1 << 20
)

// socket is the UDP socket of all sessions. Media packets to an address that has a
// cork are gathered until it is flushed, and go out with one system call where the
// kernel can cut them apart (UDP_SEGMENT, Linux 4.18); all else goes out at once.
type socket struct {
	*net.UDPConn
	plain atomic.Bool // this kernel or interface cannot cut

	mu    sync.RWMutex
	corks map[netip.AddrPort]*cork
}

func newSocket(c *net.UDPConn) *socket {
	c.SetReadBuffer(socketBuffer)
	c.SetWriteBuffer(socketBuffer)
	return &socket{UDPConn: c, corks: map[netip.AddrPort]*cork{}}
}

// ReadFromAddrPort and WriteToAddrPort are what ICE reads and writes by.
func (s *socket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, from, err := s.ReadFromUDPAddrPort(b)
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
}

func (s *socket) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if media(b) {
		s.mu.RLock()
		c := s.corks[to]
		s.mu.RUnlock()
		if c != nil {
			return len(b), c.add(b)
		}
	}
	return s.WriteToUDPAddrPort(b, to)
}

// media says that a packet is RTP, not RTCP, STUN or DTLS (RFC 5764 5.1.2, RFC 5761 4).
func media(b []byte) bool {
	return len(b) > 12 && b[0]>>6 == 2 && (b[1]&0x7f < 64 || b[1]&0x7f >= 96)
}

// cork gathers what goes to an address from now on.
func (s *socket) cork(to netip.AddrPort) *cork {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.corks[to]
	if c == nil {
		c = &cork{s: s, to: to}
		s.corks[to] = c
	}
	c.users++
	return c
}

// cork is of one address; two sessions never share one, but a new one may come before
// the old has ended.
type cork struct {
	s     *socket
	to    netip.AddrPort
	users int

	mu      sync.Mutex
	buf     []byte
	segment int
	n       int
}

// pull ends it.
func (c *cork) pull() {
	c.flush()
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.users--; c.users == 0 {
		delete(c.s.corks, c.to)
	}
}

func (c *cork) add(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.s.plain.Load() {
		_, err := c.s.WriteToUDPAddrPort(b, c.to)
		return err
	}
	var err error
	if c.n > 0 && (len(b) > c.segment || len(c.buf)+len(b) > gatherBytes || c.n == gatherPackets) {
		err = c.send()
	}
	if c.n == 0 {
		if c.buf == nil {
			c.buf = make([]byte, 0, gatherBytes)
		}
		c.segment = len(b)
	}
	c.buf = append(c.buf, b...)
	if c.n++; len(b) < c.segment { // only the last may be shorter
		err = c.send()
	}
	return err
}

func (c *cork) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.send()
}

// send sends what is gathered. The caller holds mu.
func (c *cork) send() (err error) {
	if c.n == 0 {
		return nil
	}
	b, n := c.buf, c.n
	c.buf, c.n = c.buf[:0], 0
	if n == 1 {
		_, err = c.s.WriteToUDPAddrPort(b, c.to)
		return err
	}
	if !c.s.plain.Load() {
		var oob [24]byte
		if _, _, err = c.s.WriteMsgUDPAddrPort(b, segments(&oob, c.segment), c.to); err == nil || !cannotCut(err) {
			return err
		}
		c.s.plain.Store(true)
	}
	for len(b) > 0 {
		k := min(c.segment, len(b))
		if _, e := c.s.WriteToUDPAddrPort(b[:k], c.to); e != nil {
			err = e
		}
		b = b[k:]
	}
	return err
}

// segments is the control message that has the kernel cut a datagram (udp(7)).
func segments(oob *[24]byte, size int) []byte {
	n := unix.CmsgSpace(2)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(oob[unix.CmsgLen(0):], uint16(size))
	return oob[:n]
}

// cannotCut says that the kernel or the interface refuses UDP_SEGMENT as such.
func cannotCut(err error) bool {
	for _, e := range []unix.Errno{unix.EIO, unix.EINVAL, unix.ENOPROTOOPT, unix.EOPNOTSUPP} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
