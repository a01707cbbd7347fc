package modem

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	"tocsin/hwtest/cell"
)

const (
	imsi  = "460001234567890"
	cadre = "+8613800138000"
)

type bench struct {
	*Device
	modem *cell.Modem
	port  atomic.Pointer[drivertest.Duplex]
}

func open(t *testing.T, o Opts) *bench {
	t.Helper()
	b := &bench{modem: cell.New()}
	d, err := New(func() (drivers.Port, error) {
		p := drivertest.NewDuplex()
		b.port.Store(p)
		go b.modem.Serve(p.Far())
		return p, nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	b.Device = d
	return b
}

func (b *bench) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { b.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	time.Sleep(2 * time.Second)
}

func (b *bench) take() *drivers.Incoming {
	select {
	case m := <-b.Received():
		return &m
	default:
		return nil
	}
}

func TestItDoesWhatATerminalPromises(t *testing.T) {
	for _, data := range []bool{false, true} {
		t.Run(fmt.Sprint("data ", data), func(t *testing.T) {
			drivertest.Terminal(t, func(t *testing.T, transmit bool) *drivertest.TerminalBench {
				b := open(t, Opts{Transmit: transmit, Buffer: 4, Data: data})
				return &drivertest.TerminalBench{
					Terminal: b.Device, To: cadre, Buffer: 4, Settle: 12 * time.Second, Pull: func() { b.port.Load().Pull() },
					Say: func(p []byte) { b.modem.Say(cell.SMS{Number: cadre, Data: p}) },
					Aired: func() (out [][]byte) {
						for _, m := range b.modem.Sent() {
							x := m.Data
							if !data {
								var err error
								if x, err = base64.StdEncoding.DecodeString(m.Text); err != nil {
									t.Errorf("%q: %v", m.Text, err)
								}
							}
							out = append(out, x)
						}
						return out
					},
				}
			})
		})
	}
}

func TestTextGoesToPeopleInAsManyPartsAsItNeeds(t *testing.T) {
	word := "山洪马上就到，请立即往高处转移，不要返回家中取东西！"
	for _, c := range []struct {
		name, text string
		parts      int
		kind       drivers.FaultKind
	}{
		{"one part", word, 1, 0},
		{"70 characters", strings.Repeat("水", 70), 1, 0},
		{"71 characters", strings.Repeat("水", 71), 2, 0},
		{"four parts", strings.Repeat("水", 4*67), 4, 0},
		{"too long", strings.Repeat("水", 4*67+1), 0, drivers.FaultTooLong},
		{"English", "Go to high ground now", 1, 0},
		{"long English", strings.Repeat("Go to high ground now. ", 10), 2, 0},
		{"beyond the basic plane", "𠮷野家" + word, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, Opts{Transmit: true})
				b.modem.Set(func(w *cell.Ways) { w.Echo = true })
				b.run(t)
				s, err := b.Send(t.Context(), drivers.Outgoing{To: cadre, Text: c.text})
				if c.kind != 0 {
					if drivers.KindOf(err) != c.kind || len(b.modem.Sent()) != 0 {
						t.Fatalf("%v, %d parts", err, len(b.modem.Sent()))
					}
					return
				}
				if err != nil || s.Stage != drivers.StageTaken || s.Ref == "" {
					t.Fatalf("%+v, %v", s, err)
				}
				got := ""
				for i, m := range b.modem.Sent() {
					got += m.Text
					if m.Number != cadre || c.parts > 1 && (int(m.Of) != c.parts || int(m.Part) != i+1) {
						t.Errorf("%+v", m)
					}
				}
				if got != c.text || len(b.modem.Sent()) != c.parts {
					t.Errorf("%q in %d parts", got, len(b.modem.Sent()))
				}
			})
		})
	}
}

func TestWhatComesIsReadAndDeleted(t *testing.T) {
	signed := bytes.Repeat([]byte{0x9A, 0x01, 0xFE}, 26) // 78 bytes, as a county's order is
	order := base64.StdEncoding.EncodeToString(signed)
	long := strings.Repeat("转移", 60)
	for _, c := range []struct {
		name  string
		says  []cell.SMS
		text  string
		bytes []byte
	}{
		{"text", []cell.SMS{{Number: cadre, Text: "收到"}}, "收到", nil},
		{"data", []cell.SMS{{Number: cadre, Data: []byte{1, 2, 0}}}, "", []byte{1, 2, 0}},
		{"base64", []cell.SMS{{Number: cadre, Text: order}}, order, signed},
		{"a word is no base64", []cell.SMS{{Number: cadre, Text: "stop"}}, "stop", nil},
		{"two parts, the second first", []cell.SMS{{Number: cadre, Text: long[60*3:], Ref: 7, Of: 2, Part: 2}, {Number: cadre, Text: long[:60*3], Ref: 7, Of: 2, Part: 1}}, long, nil},
		{"a part twice", []cell.SMS{{Number: cadre, Text: "a", Ref: 7, Of: 2, Part: 1}, {Number: cadre, Text: "a", Ref: 7, Of: 2, Part: 1}, {Number: cadre, Text: "b", Ref: 7, Of: 2, Part: 2}}, "ab", nil},
	} {
		for _, news := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, Opts{})
				b.modem.Set(func(w *cell.Ways) { w.NoNews = !news })
				b.run(t)
				for _, s := range c.says {
					b.modem.Say(s)
				}
				if !news {
					time.Sleep(31 * time.Second)
				}
				synctest.Wait()
				m := b.take()
				if held, _ := b.modem.Stored(); m == nil || m.Text != c.text || !bytes.Equal(m.Bytes, c.bytes) || m.From != cadre || held != 0 || b.take() != nil {
					t.Fatalf("%s: %+v, %d on the card, %+v", c.name, m, held, b.State())
				}
				if d := m.At.Sub(m.Sent); d < 0 || d > time.Minute {
					t.Errorf("%s: sent %v, heard %v", c.name, m.Sent, m.At)
				}
			})
		}
	}
}

func TestPartsThatNeverCompleteAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Opts{})
		b.run(t)
		for i := range byte(100) {
			b.modem.Say(cell.SMS{Number: cadre, Text: "half", Ref: i, Of: 3, Part: 1})
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := len(b.pending); n != mostPending || b.State().Dropped != 100-mostPending {
			t.Errorf("%d held, %+v", n, b.State())
		}
		time.Sleep(pendingFor + time.Minute)
		synctest.Wait()
		if n := len(b.pending); n != 0 || b.State().Dropped != 100 {
			t.Errorf("%d held, %+v", n, b.State())
		}
		if held, lost := b.modem.Stored(); held != 0 || lost != 0 {
			t.Errorf("%d on the card, %d found it full", held, lost)
		}
	})
}

func TestRefusalsSayWhatTheyAre(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*cell.Ways)
		text string
		kind drivers.FaultKind
		code int
	}{
		{"the network is congested", func(w *cell.Ways) { w.Fail = []int{42} }, "a", drivers.FaultRefused, 42},
		{"a part of several", func(w *cell.Ways) { w.Fail = []int{0, 42} }, strings.Repeat("水", 100), drivers.FaultTimeout, 42},
		{"the network went a moment ago", func(w *cell.Ways) { w.Unregistered = true }, "a", drivers.FaultRefused, 331},
		{"nothing is said", func(w *cell.Ways) { w.Silent = true }, "a", drivers.FaultTimeout, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, Opts{Transmit: true})
				b.run(t)
				b.modem.Set(c.set)
				_, err := b.Send(t.Context(), drivers.Outgoing{To: cadre, Text: c.text})
				var f *drivers.Fault
				if !errors.As(err, &f) || f.Kind != c.kind || f.Code != c.code {
					t.Fatalf("%v", err)
				}
				b.modem.Set(func(w *cell.Ways) { w.Silent, w.Unregistered = false, false })
				time.Sleep(time.Minute)
				if _, err := b.Send(t.Context(), drivers.Outgoing{To: cadre, Text: "b"}); err != nil {
					t.Errorf("the next one: %v, %+v", err, b.State())
				}
			})
		})
	}
}

func TestItTransmitsOnlyAsItMay(t *testing.T) {
	for _, o := range []Opts{{Transmit: true, Satellite: true}, {Transmit: true, Satellite: true, Card: imsi}, {Transmit: true, Satellite: true, Approval: "x"}, {Parts: 9}} {
		if _, err := New(nil, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	for _, c := range []struct {
		name string
		o    Opts
		set  func(*cell.Ways)
		bar  drivers.Bar
	}{
		{"receive-only", Opts{}, func(*cell.Ways) {}, drivers.BarReceiveOnly},
		{"no card", Opts{Transmit: true}, func(w *cell.Ways) { w.NoCard = true }, drivers.BarNoCard},
		{"another card", Opts{Transmit: true, Card: "460009999999999"}, func(*cell.Ways) {}, drivers.BarOtherCard},
		{"no network", Opts{Transmit: true}, func(w *cell.Ways) { w.Unregistered = true }, drivers.BarNoSignal},
		{"deaf", Opts{Transmit: true}, func(w *cell.Ways) { w.Deaf = true }, drivers.BarStarting},
		{"a satellite's own", Opts{Transmit: true, Satellite: true, Card: imsi, Approval: "x"}, func(*cell.Ways) {}, drivers.BarNone},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, c.o)
			b.modem.Set(c.set)
			b.run(t)
			_, err := b.Send(t.Context(), drivers.Outgoing{To: cadre, Text: "a"})
			if l := b.Limits(); l.Bar != c.bar || (err == nil) != (c.bar == drivers.BarNone) {
				t.Errorf("%s: %+v, %v", c.name, l, err)
			}
			// A card that is put in, a network that comes back.
			b.modem.Set(func(w *cell.Ways) { w.NoCard, w.Unregistered, w.Deaf = false, false, false })
			time.Sleep(time.Minute)
			if _, err := b.Send(t.Context(), drivers.Outgoing{To: cadre, Text: "a"}); (err == nil) != (c.bar != drivers.BarReceiveOnly && c.bar != drivers.BarOtherCard) {
				t.Errorf("%s, mended: %v", c.name, err)
			}
		})
	}
}

func TestSignalAndRegistration(t *testing.T) {
	for s, want := range map[string]int{"+CSQ: 0,99": 1, "+CSQ: 12,99": 3, "+CSQ: 31,0": 4, "+CSQ: 99,99": -1, "+CSQ: x": -1, "": -1} {
		if got := signal([]string{s}); got != want {
			t.Errorf("%q: %d", s, got)
		}
	}
	for s, want := range map[string]bool{"+CREG: 0,1": true, "+CREG: 2,5,\"1A\",\"2B\"": true, "+CEREG: 0,6": true, "+CREG: 0,2": false, "+CREG: 1": false, "+CREG: 0,3": false} {
		if got := isRegistered([]string{s}); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// The PDU of 3GPP's own form, written out by hand: from +8613800138000, 2020-01-01
// 08:00 at +8 h, UCS-2 警报.
func TestAPublishedForm(t *testing.T) {
	tp, err := read("0004" + "0D91683108108300F0" + "0008" + "02101080000023" + "04" + "8B6662A5")
	if err != nil {
		t.Fatal(err)
	}
	c, err := join([]*tpduType{tp})
	if err != nil || c.text != "警报" || c.from != cadre || !c.sent.Equal(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", c, err)
	}
}
