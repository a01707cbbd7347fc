package drivers_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
)

// modem answers each command that comes with what answers has for it.
func modem(d *drivertest.Duplex, answers map[string]string) {
	far := d.Far()
	b := make([]byte, 256)
	line := ""
	for {
		n, err := far.Read(b)
		if err != nil {
			return
		}
		line += string(b[:n])
		for {
			c, rest, ok := strings.Cut(line, "\r")
			if !ok {
				break
			}
			line = rest
			for i, part := range strings.Split(answers[c], "|") { // | is a pause
				if i > 0 {
					time.Sleep(100 * time.Millisecond)
				}
				far.Write([]byte(part))
			}
		}
	}
}

func TestADialogueKeepsAnswersResultsAndNewsApart(t *testing.T) {
	for _, c := range []struct {
		name, command, says string
		want                []string
		kind                drivers.FaultKind
		code                int
		heard               []string
	}{
		{"plain", "AT+CSQ", "\r\n+CSQ: 20,99\r\n\r\nOK\r\n", []string{"+CSQ: 20,99"}, 0, 0, nil},
		{"in pieces", "AT+CSQ", "\r\n+CS|Q: 20,9|9\r\n\r|\nO|K\r\n", []string{"+CSQ: 20,99"}, 0, 0, nil},
		{"with its echo", "AT+CSQ", "AT+CSQ\r\r\n+CSQ: 20,99\r\n\r\nOK\r\n", []string{"+CSQ: 20,99"}, 0, 0, nil},
		{"news between", "AT+CSQ", "\r\n+CMTI: \"SM\",3\r\n+CSQ: 1,9\r\nRING\r\nOK\r\n", []string{"+CSQ: 1,9"}, 0, 0, []string{`+CMTI: "SM",3`, "RING"}},
		{"a call that ends between", "AT+CSQ", "\r\nNO CARRIER\r\n+CSQ: 1,9\r\nBUSY\r\nOK\r\n", []string{"+CSQ: 1,9"}, 0, 0, []string{"NO CARRIER", "BUSY"}},
		{"a call that does not begin", "ATD123;", "\r\nNO CARRIER\r\n", nil, drivers.FaultRefused, 0, nil},
		{"an error", "AT+CSQ", "\r\nERROR\r\n", nil, drivers.FaultRefused, 0, nil},
		{"an error with a code", "AT+CPIN?", "\r\n+CME ERROR: 10\r\n", nil, drivers.FaultRefused, 10, nil},
		{"a message's error", "AT+CMGS=1", "\r\n+CMS ERROR: 500\r\n", nil, drivers.FaultRefused, 500, nil},
		{"silence", "AT+CSQ", "", nil, drivers.FaultTimeout, 0, nil},
		{"noise without end", "AT+CSQ", strings.Repeat("x", 5000) + "\r\nOK\r\n", []string{strings.Repeat("x", 1024)}, 0, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := drivertest.NewDuplex()
				defer d.Close()
				go modem(d, map[string]string{c.command: c.says})
				var heard []string
				a := &drivers.Attention{Port: d, Unsolicited: []string{"+CMTI:", "RING"}, Heard: func(l string, _ time.Time) { heard = append(heard, l) }}
				got, err := a.Ask(t.Context(), c.command, time.Second)
				if c.kind == 0 && err != nil || c.kind != 0 && drivers.KindOf(err) != c.kind || !reflect.DeepEqual(got, c.want) && c.name != "noise without end" || !reflect.DeepEqual(heard, c.heard) {
					t.Fatalf("%q, %v, heard %q", got, err, heard)
				}
				for _, l := range got {
					if len(l) > 1024 {
						t.Errorf("a line of %d bytes", len(l))
					}
				}
				if f, ok := err.(*drivers.Fault); ok && f.Code != c.code {
					t.Errorf("code %d", f.Code)
				}
			})
		})
	}
}

func TestALateResultIsNotTheNextOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := drivertest.NewDuplex()
		defer d.Close()
		go modem(d, map[string]string{"AT+SLOW": strings.Repeat("|", 25) + "\r\nlate\r\nOK\r\n", "AT": "\r\nOK\r\n", "AT+CSQ": "\r\n+CSQ: 7,9\r\nOK\r\n"})
		a := &drivers.Attention{Port: d}
		if _, err := a.Ask(t.Context(), "AT+SLOW", time.Second); drivers.KindOf(err) != drivers.FaultTimeout {
			t.Fatal(err)
		}
		// The modem is still at it: asked again too soon there is no answer either, but
		// never the late one.
		var got []string
		var err error
		for range 5 {
			if got, err = a.Ask(t.Context(), "AT+CSQ", time.Second); err == nil && strings.Join(got, "") == "+CSQ: 7,9" {
				break
			}
			if strings.Join(got, "") == "late" && err == nil {
				t.Fatalf("%q", got)
			}
		}
		if err != nil || len(got) != 1 {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// News of which half has come when something is asked must not be lost, and other halves
// must not stand before the answer.
func TestHalfALineOfNewsIsNotLost(t *testing.T) {
	for half, rest := range map[string]string{"\r\n+RXDT": "MF: 1\r\n", "\r\n": "+RXDTMF: 1\r\n", "\r\n+RXDTMF: ": "1\r\n", "+": "RXDTMF: 1\r\n", "\r\n> ": "\r\n+RXDTMF: 1\r\n", "\x00\xff+CMGL: 1,": "\r\n+RXDTMF: 1\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			d := drivertest.NewDuplex()
			defer d.Close()
			go modem(d, map[string]string{"AT+CSQ": rest + "\r\n+CSQ: 7,9\r\nOK\r\n"})
			var heard []string
			a := &drivers.Attention{Port: d, Unsolicited: []string{"RING", "+RXDTMF:"}, Heard: func(l string, _ time.Time) { heard = append(heard, l) }}
			d.Far().Write([]byte(half))
			got, err := a.Ask(t.Context(), "AT+CSQ", time.Second)
			if err != nil || !reflect.DeepEqual(got, []string{"+CSQ: 7,9"}) || !reflect.DeepEqual(heard, []string{"+RXDTMF: 1"}) {
				t.Errorf("%q: %q, %v, heard %q", half, got, err, heard)
			}
		})
	}
}

func TestPromptsAndBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := drivertest.NewDuplex()
		defer d.Close()
		go modem(d, map[string]string{"AT+CMGS=9": "\r\n|> ", "hex\x1a": "\r\n+CMGS: 5\r\nOK\r\n", "AT+SBDRB": "\x00\x02|\r\nxy", "AT+NO": "\r\nERROR\r\n"})
		a := &drivers.Attention{Port: d}
		if err := a.Prompt(t.Context(), "AT+CMGS=9", "> ", time.Second); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Tell(t.Context(), []byte("hex\x1a\r"), time.Second); err != nil || len(got) != 1 || got[0] != "+CMGS: 5" {
			t.Errorf("%q, %v", got, err)
		}
		b, err := a.Raw(t.Context(), "AT+SBDRB", func(b []byte) (int, bool) { return 6, len(b) >= 2 }, time.Second)
		if err != nil || string(b) != "\x00\x02\r\nxy" {
			t.Errorf("%q, %v", b, err)
		}
		if err := a.Prompt(t.Context(), "AT+NO", "> ", time.Second); drivers.KindOf(err) != drivers.FaultRefused {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.Ask(ctx, "AT+WHAT", time.Second); drivers.KindOf(err) != drivers.FaultCancelled {
			t.Error(err)
		}
		d.Pull()
		if _, err := a.Ask(t.Context(), "AT", time.Second); drivers.KindOf(err) != drivers.FaultGone {
			t.Error(err)
		}
	})
}

// deaf is a port that says what it holds and takes everything.
type deaf struct{ rx chan drivers.Chunk }

func (d *deaf) Write(p []byte) (int, error)    { return len(p), nil }
func (d *deaf) Received() <-chan drivers.Chunk { return d.rx }
func (d *deaf) Expect(int)                     {}
func (d *deaf) Discard()                       {}
func (d *deaf) Err() error                     { return fmt.Errorf("over") }
func (d *deaf) Close() error                   { return nil }
func (d *deaf) String() string                 { return "deaf" }

// FuzzAttention gives whatever a modem may say to each kind of question.
func FuzzAttention(f *testing.F) {
	f.Add([]byte("\r\n+CSQ: 20,99\r\n\r\nOK\r\n"), uint8(3), uint8(0))
	f.Add([]byte("\r\n> "), uint8(1), uint8(1))
	f.Add([]byte("\x00\x05hello\x02\x14"), uint8(2), uint8(2))
	f.Add([]byte("+CMS ERROR: 99999999999999999999\r\n"), uint8(9), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, step, kind uint8) {
		if len(b) > 1<<14 {
			return
		}
		ctx := context.Background()
		for _, late := range []bool{false, true} {
			d := &deaf{rx: make(chan drivers.Chunk, len(b)+1)}
			a := &drivers.Attention{Port: d, Unsolicited: []string{"RING"}, Heard: func(l string, _ time.Time) {
				if len(l) > 1024 || strings.ContainsAny(l, "\r\n") {
					t.Fatalf("%q", l)
				}
			}}
			say := func() {
				for in := b; len(in) > 0; {
					n := min(len(in), int(step)+1)
					d.rx <- drivers.Chunk{B: in[:n]}
					in = in[n:]
				}
				close(d.rx)
			}
			if !late {
				a.Listen(drivers.Chunk{B: b})
				continue
			}
			// As if it came after the command was written.
			d.rx <- drivers.Chunk{}
			<-d.rx
			go say()
			switch kind % 3 {
			case 0:
				if got, _ := a.Ask(ctx, "AT+CSQ", time.Second); len(got) > 512 {
					t.Fatalf("%d lines", len(got))
				}
			case 1:
				if a.Prompt(ctx, "AT+CMGS=1", "> ", time.Second) == nil {
					a.Tell(ctx, []byte("x"), time.Second)
				}
			case 2:
				if got, err := a.Raw(ctx, "AT+SBDRB", func(b []byte) (int, bool) {
					if len(b) < 2 {
						return 0, false
					}
					return int(b[0])<<8 | int(b[1]) + 4, true
				}, time.Second); err == nil && len(got) > 1024 {
					t.Fatalf("%d bytes", len(got))
				}
			}
		}
	})
}
