package beidou

import (
	"strings"
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/drivers"
	sim "tocsin/hwtest/beidou"
)

// FuzzHeard gives whatever comes on the port to a device of each profile. What
// comes out must be within bounds, and nothing may be sent by it.
func FuzzHeard(f *testing.F) {
	profiles := []*Profile{profile(f, "beidou-bds2"), profile(f, "beidou-bds3")}
	for _, p := range profiles {
		for _, x := range p.Proof {
			f.Add([]byte(x.Heard+"\r\n"), uint8(7))
		}
	}
	f.Add([]byte(sim.Frame("BDPWI,000000.00,64,01,51,40")+sim.Frame("BDICI,0,,,,,,")+"$$$*00"), uint8(1))
	f.Add([]byte(sim.Frame("BDTCI,1,2,2,999999,2,0,ABC")+sim.Frame("GNZDA,235960.00,31,02,2024,00,00")), uint8(200))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		for _, p := range profiles {
			d, err := New(nil, Opts{Profile: p, Transmit: true, Card: "4207733", Approval: "x", Buffer: 8, Tell: func(x Told) {
				if x.Dated && (x.UTC.Year() < 2000 || x.UTC.Year() > 2100) {
					t.Fatalf("told %v", x)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			at := time.Unix(1700000000, 0)
			d.pending = &job{Reply: make(drivers.Reply[drivers.Sent], 1), n: 1, at: at}
			for in := b; len(in) > 0; {
				n := min(len(in), int(step)+1)
				d.hear(drivers.Chunk{At: at, B: in[:n]})
				in, at = in[n:], at.Add(time.Second)
				if len(d.read.line) > longestSentence+1 {
					t.Fatalf("%d bytes held", len(d.read.line))
				}
				if d.pending == nil {
					d.pending = &job{Reply: make(drivers.Reply[drivers.Sent], 1), n: 1, at: at}
				}
			}
			if l := d.Limits(); l.Bytes < 0 || l.Bytes > longestContent/2 || l.Every < 0 || l.Every > mostFrequency || l.Next.Sub(at) > mostFrequency {
				t.Fatalf("%+v", l)
			}
			if s := d.State(); s.Bars < -1 || s.Bars > 4 || strings.Trim(s.ID, "0123456789") != "" {
				t.Fatalf("%+v", s)
			}
			for len(d.in) > 0 {
				if m := <-d.in; len(m.Bytes) == 0 || len(m.Bytes) > longestSentence || m.From == "" {
					t.Fatalf("%+v", m)
				}
			}
		}
	})
}

// FuzzProfile gives a file that somebody changed: it is refused, or reads and
// writes every sentence without harm.
func FuzzProfile(f *testing.F) {
	for _, n := range []string{"beidou-bds2", "beidou-bds3"} {
		b, err := configs.FS.ReadFile("terminals/" + n + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("version: 1\nproof: [{heard: \"$BDICI,1*00\"}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProfile(b)
		if err != nil {
			return
		}
		for variant := range p.orders() {
			if s := p.compose(variant, "1", codeCoding, []byte{1}); strings.ContainsAny(s, "\r\n$*") && strings.ContainsAny(strings.ReplaceAll(s, p.Send.Codings[codeCoding], ""), "\r\n$*") {
				t.Fatalf("%q", s)
			}
		}
		p.barsOf([]string{"1", "2", "3"})
		p.cardOf([]string{"1", "2", "3"})
		p.outcomeOf([]string{"1", "2", "3"})
	})
}
