package modem

import (
	"testing"
	"time"

	"github.com/warthog618/sms/encoding/tpdu"
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
