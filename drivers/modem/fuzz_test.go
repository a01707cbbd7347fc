package modem

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/warthog618/sms/encoding/tpdu"

	"tocsin/drivers"
)

type tpduType = tpdu.TPDU

// FuzzPDU gives what a network may bring: nothing but a message may come of it,
// and little may be held.
func FuzzPDU(f *testing.F) {
	f.Add("00040D91683108108300F00008021010800000230" + "48B6662A5")
	f.Add("0044" + "0D91683108108300F0" + "0004" + "02101080000023" + "07" + "0500030702" + "01" + "41")
	f.Add("00040BD0" + "C8329BFD06" + "0000" + "02101080000023" + "05" + "E8329BFD06")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		p := pending{}
		now := time.Unix(1700000000, 0)
		for range 3 {
			x, err := read(s)
			if err != nil {
				return
			}
			whole, dropped := p.add(x, now)
			if len(p) > mostPending || dropped < 0 {
				t.Fatalf("%d held, %d dropped", len(p), dropped)
			}
			if whole == nil {
				continue
			}
			if c, err := join(whole); err == nil && (len(c.bytes)+len(c.text) == 0 || len(c.text) > 4*160 || len(c.bytes) > 160) {
				t.Fatalf("%+v", c)
			}
		}
	})
}

// FuzzList gives what a modem may say to the question for messages.
func FuzzList(f *testing.F) {
	f.Add("+CMGL: 1,0,,24", "0004")
	f.Add("+CMGL: 99999999999,0,,24", "+CMGL: 2")
	f.Fuzz(func(t *testing.T, a, b string) {
		lines := []string{a, b, b, a}
		for _, e := range entries(lines) {
			if e.index < 0 || e.index > 9999 {
				t.Fatalf("%+v", e)
			}
		}
		if n := signal(lines); n < -1 || n > 4 {
			t.Fatalf("%d bars", n)
		}
		isRegistered(lines)
		unbase64(a)
	})
}

// FuzzCallLines gives what a modem may say during a call: nothing is believed twice,
// and nothing grows.
func FuzzCallLines(f *testing.F) {
	p := profile(f, "sim7600")
	f.Add("VOICE CALL: BEGIN\n+RXDTMF: 1\nNO CARRIER\n+CLCC: 1,0,0,0,0,\"+86138\",145")
	f.Add("+CLCC: 1,0,3,0,0\n+CLCC: 1,1,0,0,0\nBUSY")
	f.Add("+RXDTMF: 12\n+RXDTMF:\n+CLCC:,,,,\n+CLCC: 1,0,99,0,0")
	f.Fuzz(func(t *testing.T, all string) {
		now := time.Unix(1700000000, 0)
		x := &talk{CallPlan: p.Call, call: drivers.Call{Keys: "1"}, seen: now}
		for i, l := range strings.Split(all, "\n") {
			was := x.r.Stage
			x.line(l, now)
			if i%2 == 1 {
				x.list([]string{l}, now)
			}
			if x.r.Stage < was || x.r.Stage > drivers.CallAnswered || len(x.r.Keys) > mostKeys {
				t.Fatalf("%+v", x.r)
			}
		}
		if x.key && !strings.Contains(x.r.Keys, "1") && len(x.r.Keys) < mostKeys {
			t.Fatalf("a key that nobody pressed: %+v", x.r)
		}
		x.end()
	})
}

// FuzzCallProfile gives a file that somebody may have changed.
func FuzzCallProfile(f *testing.F) {
	for _, n := range []string{"sim7600", "ec20", "tiantong"} {
		b, err := os.ReadFile("../../configs/terminals/modem-" + n + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProfile(b)
		if err != nil || p.Call == nil {
			return
		}
		for _, c := range append(p.Setup, p.Call.Dial, p.Call.HangUp, p.Call.List) {
			if strings.ContainsAny(c, "\r\n\x1a") {
				t.Fatalf("%q", c)
			}
		}
	})
}

// FuzzSoundKeys gives what a line may sound like, in pieces as a port gives it: no key is heard that no telephone
// has, and never more than one for two blocks of sound.
func FuzzSoundKeys(f *testing.F) {
	f.Add([]byte{0, 0x10, 0, 0xF0}, uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		if len(b) > 1<<12 {
			return
		}
		s := newSound(nil, nil, true)
		heard, rest := 0, []byte{}
		for all := strings.Repeat(string(b), min(64, 1+1<<14/max(1, len(b)))); len(all) > 0; {
			n := min(len(all), 1+int(step))
			rest = s.hear(append(rest, all[:n]...))
			if all = all[n:]; len(rest) > 1 {
				t.Fatalf("%d bytes are left", len(rest))
			}
			for len(s.keys) > 0 {
				if k := <-s.keys; !strings.ContainsRune("0123456789*#ABCD", rune(k)) {
					t.Fatalf("the key %q", k)
				}
				heard++
			}
		}
		if total := len(b) * min(64, 1+1<<14/max(1, len(b))); heard > total/2/toneBlock/toneBlocks {
			t.Fatalf("%d keys in %d bytes", heard, total)
		}
	})
}
