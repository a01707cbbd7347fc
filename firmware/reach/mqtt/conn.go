package mqtt

import (
	"errors"
	"net"
	"sync"
	"time"
)

// errLong ends a connection whose broker sends more than it has reason to.
var errLong = errors.New("mqtt: a packet that is longer than this box takes")

// packetMost is how long a packet of the broker may be: it acknowledges and says why it refuses.
const packetMost = 16 << 10

// conn holds a connection to what may be read and how long a write may take. It is a sync.Locker: the library
// writes a packet in several pieces and locks what can be locked around them, so that lanes do not mix theirs.
type conn struct {
	net.Conn
	sync.Mutex
	write time.Duration
	f     framing
}

// Write is net.Conn's.
func (c *conn) Write(b []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.write)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Read is net.Conn's. It fails at the length of a packet that is too long, before its content is asked for.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.f.take(b[:n]) {
		return 0, errLong
	}
	return n, err
}

// framing follows the packets of a stream: a byte of type, then a length in groups of seven
// bits, then so many bytes (MQTT 5.0 section 2.1).
type framing struct {
	state  int // 0 type, 1 length, 2 content
	shift  uint
	length int
}

// take reads on, and tells whether the stream may go on.
func (f *framing) take(b []byte) bool {
	for len(b) > 0 {
		switch f.state {
		case 0:
			f.state, f.shift, f.length = 1, 0, 0
			b = b[1:]
		case 1:
			f.length |= int(b[0]&0x7f) << f.shift
			more := b[0]&0x80 != 0
			b = b[1:]
			if f.length > packetMost || more && f.shift >= 21 {
				return false
			}
			if more {
				f.shift += 7
				continue
			}
			if f.state = 2; f.length == 0 {
				f.state = 0
			}
		default:
			n := min(len(b), f.length)
			b, f.length = b[n:], f.length-n
			if f.length == 0 {
				f.state = 0
			}
		}
	}
	return true
}
