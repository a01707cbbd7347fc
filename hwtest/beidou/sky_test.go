package beidou

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// host is the near end of a terminal's port.
type host struct {
	net.Conn
	lines chan string
}

func at(t *testing.T, x *Terminal) *host {
	near, far := net.Pipe()
	h := &host{near, make(chan string, 100)}
	go x.Serve(far)
	go func() {
		s := bufio.NewScanner(near)
		for s.Scan() {
			h.lines <- s.Text()
		}
	}()
	t.Cleanup(func() { near.Close(); far.Close() })
	return h
}

// ask writes a published sentence and gives what is said within ten seconds.
func (h *host) ask(s string) string {
	io.WriteString(h, s+"\r\n")
	return h.hear()
}

func (h *host) hear() string {
	select {
	case l := <-h.lines:
		return l
	case <-time.After(10 * time.Second):
		return ""
	}
}

func TestPublishedSentencesAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sky := NewSky(1)
		own := at(t, sky.Terminal(BDS2, Card{Number: 4207733, Frequency: 60, Level: 2}))
		other := at(t, sky.Terminal(BDS2, Card{Number: 247718, Frequency: 60, Level: 2}))
		if got := own.ask("$CCICA,0,00*7B"); !strings.HasPrefix(got, "$BDICI,4207733,0,0000000,3,60,2,N,") {
			t.Errorf("%q", got)
		}
		own.ask("$CCRMO,BSI,2,1*27")
		if got := own.hear(); !strings.HasPrefix(got, "$BDBSI,01,03,3,2,0,") {
			t.Errorf("%q", got)
		}
		own.ask("$CCRMO,BSI,2,0*26")
		for own.hear() != "" {
		}
		if got := own.ask("$CCTXA,0247718,1,1,3132333435*70"); !strings.HasPrefix(got, "$BDFKI,TXA,Y,Y,0,0000*") {
			t.Errorf("%q", got)
		}
		if got := other.hear(); !strings.HasPrefix(got, "$BDTXR,1,4207733,1,,3132333435*") {
			t.Errorf("%q", got)
		}
		time.Sleep(10 * time.Second)
		if got := own.ask("$CCTXA,0247718,1,1,3132333435*70"); !strings.HasPrefix(got, "$BDFKI,TXA,N,N,0,00") || got[17:21] < "0030" || got[17:21] > "0050" {
			t.Errorf("%q", got)
		}
	})
}

func TestWhatIsNotItsOwnIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sky := NewSky(1)
		x := sky.Terminal(BDS3, Card{Number: 4204986, Frequency: 1, Level: 2})
		own := at(t, x)
		for _, s := range []string{
			"$CCICR,0,00*69", // wrong checksum
			"$CCICA,0,00*7B", // the other protocol's
			strings.TrimSpace(Frame("CCTCQ,4205116,2,1,2,41")), // a field too few
		} {
			if got := own.ask(s); got != "" {
				t.Errorf("%s: %q", s, got)
			}
		}
		for s, want := range map[string]string{
			"CCTCQ,4205116,2,1,3,41,0":                               ",TCQ,N,0,0", // mixed without its mark
			"CCTCQ,4205116,2,1,2,XY,0":                               ",TCQ,N,0,0",
			"CCTCQ,4205116,2,1,2," + strings.Repeat("41", 52) + ",0": ",TCQ,N,6,0", // more than level 2
			"CCTCQ,4205116,2,1,2," + strings.Repeat("41", 51) + ",0": ",TCQ,Y,0,0",
		} {
			if got := own.ask(strings.TrimSpace(Frame(s))); !strings.Contains(got, want) {
				t.Errorf("%s: %q", s, got)
			}
			time.Sleep(2 * time.Second)
		}
		x.Set(func(_ *Card, w *Ways) { w.Beams = nil })
		if got := own.ask(strings.TrimSpace(Frame("CCTCQ,4205116,2,1,2,41,0"))); !strings.Contains(got, ",TCQ,N,4,0") {
			t.Errorf("without a beam: %q", got)
		}
		if n := len(sky.Sent()); n != 1 {
			t.Errorf("%d radiated", n)
		}
	})
}

func TestTheSkyIsTheSameForTheSameSeed(t *testing.T) {
	lost := func() (out string) {
		synctest.Test(t, func(t *testing.T) {
			sky := NewSky(7)
			sky.Set(Weather{Lose: 0.3})
			sky.Terminal(BDS3, Card{Number: 2, Frequency: 1, Level: 2})
			for range 50 {
				sky.Radiate(Message{From: 1, To: 2, Content: "41", Coding: Code})
			}
			for _, m := range sky.Sent() {
				out += map[bool]string{true: "x", false: "."}[m.Lost]
			}
		})
		return out
	}
	if a, b := lost(), lost(); a != b || !strings.Contains(a, "x") || !strings.Contains(a, ".") {
		t.Errorf("%s\n%s", a, b)
	}
}
