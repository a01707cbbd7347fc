package line

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

func newTCP(t *testing.T) *TCP {
	t.Helper()
	g, err := NewTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	g.Attach(1, pattern(1))
	return g
}

func dial(t *testing.T, g *TCP) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", g.Addr(), enough)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func exchange(t *testing.T, c net.Conn, req []byte, n int, limit time.Duration) ([]byte, error) {
	t.Helper()
	if _, err := c.Write(req); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	c.SetReadDeadline(time.Now().Add(limit))
	got, err := io.ReadFull(c, b)
	return b[:got], err
}

var (
	tcpAsk  = []byte{0x12, 0x34, 0, 0, 0, 6, 1, 3, 0, 7, 0, 1}
	tcpGood = []byte{0x12, 0x34, 0, 0, 0, 5, 1, 3, 2, 0x03, 0xEF}
)

func TestAGatewaysFaults(t *testing.T) {
	swap := func(i int, v byte) []byte { b := bytes.Clone(tcpGood); b[i] = v; return b }
	for name, c := range map[string]struct {
		fault Fault
		heard []byte
	}{
		"healthy":    {Fault{}, tcpGood},
		"wrong unit": {Fault{WrongUnit: 2}, swap(6, 2)},
		"wrong id":   {Fault{BadCRC: true}, swap(1, 0x34^0x5A)},
		"exception":  {Fault{Exception: DeviceBusy}, []byte{0x12, 0x34, 0, 0, 0, 3, 1, 0x83, 6}},
		"half":       {Fault{HalfFrame: true}, tcpGood[:5]},
		"twice":      {Fault{Duplicate: true}, append(bytes.Clone(tcpGood), tcpGood...)},
		"garbage":    {Fault{Garbage: []byte{1, 2}}, append([]byte{1, 2}, tcpGood...)},
		"late":       {Fault{Late: 50 * time.Millisecond}, tcpGood},
	} {
		t.Run(name, func(t *testing.T) {
			g := newTCP(t)
			g.SetFault(1, c.fault)
			conn := dial(t, g)
			t0 := time.Now()
			b, err := exchange(t, conn, tcpAsk, len(c.heard), enough)
			if err != nil || !bytes.Equal(b, c.heard) {
				t.Errorf("heard % X, %v", b, err)
			}
			if d := time.Since(t0); d < c.fault.Late {
				t.Errorf("came after %v", d)
			}
			conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			if n, err := conn.Read(make([]byte, 9)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("then %d bytes, %v", n, err)
			}
		})
	}
}

func TestAGatewaySaysThatNobodyAnswersBehindIt(t *testing.T) {
	g := newTCP(t)
	ask := bytes.Clone(tcpAsk)
	ask[6] = 9
	b, err := exchange(t, dial(t, g), ask, 9, enough)
	if err != nil || !bytes.Equal(b, []byte{0x12, 0x34, 0, 0, 0, 3, 9, 0x83, 0x0B}) {
		t.Errorf("heard % X, %v", b, err)
	}
}

func TestAHalfOpenGatewayTakesAndNeverAnswers(t *testing.T) {
	g := newTCP(t)
	c := dial(t, g)
	g.HalfOpen(true)
	if b, err := exchange(t, c, tcpAsk, 1, quiet); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("heard % X, %v", b, err)
	}
	g.HalfOpen(false)
	if b, err := exchange(t, c, tcpAsk, len(tcpGood), enough); err != nil || !bytes.Equal(b, tcpGood) {
		t.Errorf("after: % X, %v", b, err)
	}
}

func TestKickResetAndUnplugEndConnections(t *testing.T) {
	g := newTCP(t)
	end := func(c net.Conn) error {
		c.SetReadDeadline(time.Now().Add(enough))
		_, err := c.Read(make([]byte, 1))
		return err
	}
	up := func() net.Conn {
		c := dial(t, g)
		if _, err := exchange(t, c, tcpAsk, len(tcpGood), enough); err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := up()
	g.Kick()
	if err := end(c); err != io.EOF {
		t.Errorf("kicked: %v", err)
	}
	c = up()
	g.RST()
	if err := end(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: %v", err)
	}
	c = up()
	if err := g.Unplug(); err != nil {
		t.Fatal(err)
	}
	if err := end(c); err == nil {
		t.Error("unplugged, still connected")
	}
	if _, err := net.DialTimeout("tcp", g.Addr(), time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("unplugged: %v", err)
	}
	if err := g.Replug(); err != nil {
		t.Fatal(err)
	}
	up()
}

func TestAGatewayForOneClientRefusesTheSecond(t *testing.T) {
	g := newTCP(t)
	g.MaxConns(1)
	a := dial(t, g)
	if _, err := exchange(t, a, tcpAsk, len(tcpGood), enough); err != nil {
		t.Fatal(err)
	}
	b := dial(t, g)
	b.SetReadDeadline(time.Now().Add(enough))
	if n, err := b.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the second client: %d, %v", n, err)
	}
	if n := g.Conns(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestAPacedLineAnswersNoSoonerThanAWireCould(t *testing.T) {
	g, err := NewRTUOverTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	g.Attach(1, pattern(1))
	g.Pace(1200)
	req := []byte{1, 3, 0, 0, 0, 2}
	req = binary.LittleEndian.AppendUint16(req, CRC(req))
	at := time.Now()
	b, err := exchange(t, dial(t, g), req, 9, enough)
	// 8 and 9 characters of 11 bits, and 3.5 of silence, at 1200 bits a second: 188 ms.
	if took := time.Since(at); err != nil || len(b) != 9 || took < 188*time.Millisecond {
		t.Fatal(took, b, err)
	}
}
