package console

import (
	"net"
	"testing"
)

// line is a listener to which whoever is on it comes.
type line struct {
	net.Listener
	come chan net.Conn
}

func (l line) Accept() (net.Conn, error) {
	c, ok := <-l.come
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

type caught struct {
	net.Conn
	at     string
	closed bool
}

func (c *caught) Close() error         { c.closed = true; return nil }
func (c *caught) RemoteAddr() net.Addr { return place(c.at) }

type place string

func (place) Network() string  { return "tcp" }
func (p place) String() string { return string(p) }

func TestOneMachineDoesNotTakeAllOfThePagesConnections(t *testing.T) {
	l := line{come: make(chan net.Conn, 100)}
	k := newCrowd(l, 8, 3)
	come := func(at string) *caught {
		c := &caught{at: at}
		l.come <- c
		return c
	}
	accept := func() net.Conn {
		t.Helper()
		c, err := k.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var first net.Conn
	for i, at := range []string{"192.168.1.7:1", "192.168.1.7:2", "[::ffff:192.168.1.7]:3"} {
		come(at)
		if c := accept(); i == 0 {
			first = c
		}
	}
	turned := come("192.168.1.7:4")
	come("192.168.1.8:1")
	if c := accept(); !turned.closed || c.RemoteAddr().String() != "192.168.1.8:1" {
		t.Errorf("a fourth of one machine: closed %v, then %s", turned.closed, c.RemoteAddr())
	}
	// A place that is given back, twice too, is there once.
	first.Close()
	first.Close()
	come("192.168.1.7:5")
	accept()
	again := come("192.168.1.7:6")
	for _, at := range []string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"} { // a proxy here
		come(at)
		accept()
	}
	if !again.closed {
		t.Error("what was closed twice made room for two")
	}
	over := come("10.0.0.1:1")
	close(l.come)
	if _, err := k.Accept(); err == nil || !over.closed {
		t.Errorf("a ninth of eight: %v, closed %v", err, over.closed)
	}
}

func TestAnAddressOfIPv6StandsForItsNetwork(t *testing.T) {
	a, _ := machine(place("[2001:db8::1]:1"))
	b, _ := machine(place("[2001:db8::ffff]:2"))
	c, _ := machine(place("[2001:db8:0:1::1]:2"))
	if a != b || a == c {
		t.Errorf("%s %s %s", a, b, c)
	}
}
