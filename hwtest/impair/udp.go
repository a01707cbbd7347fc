package impair

import (
	"net"
	"sync"
)

// udpHeaders are IPv4's and UDP's.
const udpHeaders = 28

// UDP opens a port on loopback behind which target answers through the link, and gives its address. Each client
// has a socket of its own to the target.
func (l *Link) UDP(target string) (string, error) { return l.udp(loopback(), target) }

// udp does so at an address of this machine.
func (l *Link) udp(at *net.UDPAddr, target string) (string, error) {
	front, err := net.ListenUDP("udp", at)
	if err != nil {
		return "", err
	}
	if !l.owns(front) {
		return "", net.ErrClosed
	}
	var mu sync.Mutex
	back := map[string]net.Conn{}
	l.goes(func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := front.ReadFromUDP(buf)
			if err != nil {
				return
			}
			mu.Lock()
			c := back[from.String()]
			if c == nil {
				if c, err = net.Dial("udp", target); err != nil || !l.owns(c) {
					mu.Unlock()
					continue
				}
				back[from.String()] = c
				l.goes(func() { l.answers(front, from, c) })
			}
			mu.Unlock()
			b := append([]byte(nil), buf[:n]...)
			l.up.send(n+udpHeaders, func() { c.Write(b) })
		}
	})
	return front.LocalAddr().String(), nil
}

// answers brings back what the target says to one client.
func (l *Link) answers(front *net.UDPConn, to *net.UDPAddr, c net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		select {
		case <-l.done:
			return
		default:
		}
		if err != nil {
			continue // nobody listens there yet: the datagram is lost
		}
		b := append([]byte(nil), buf[:n]...)
		l.down.send(n+udpHeaders, func() { front.WriteToUDP(b, to) })
	}
}
