package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
)

// TerminalBench is one terminal at a simulator, in virtual time.
type TerminalBench struct {
	Terminal drivers.Terminal
	// To is somebody to whom it can send.
	To string
	// Say lets the far side send it a message.
	Say func(b []byte)
	// Aired gives what the terminal sent over the air so far.
	Aired func() [][]byte
	// Pull hangs its port up; the next opening succeeds.
	Pull func()
	// Deaf: without the right to send it cannot receive either, since every receiving
	// is a transmission too.
	Deaf bool
	// Buffer is how many messages it holds for whoever takes them.
	Buffer int
	// Settle is the longest that it needs to be ready, and a message its way.
	Settle time.Duration
}

// Terminal holds a driver to what drivers.Terminal promises. open is called within
// the bubble of each test, for a terminal that may transmit or may not.
func Terminal(t *testing.T, open func(t *testing.T, transmit bool) *TerminalBench) {
	each := func(name string, transmit bool, f func(t *testing.T, b *TerminalBench, ctx context.Context)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, transmit)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- b.Terminal.Run(ctx) }()
				defer func() {
					cancel()
					if err := <-ended; err != context.Canceled {
						t.Errorf("Run ended with %v", err)
					}
				}()
				time.Sleep(b.Settle)
				f(t, b, ctx)
			})
		})
	}
	message := func(b *TerminalBench, n int) drivers.Outgoing {
		return drivers.Outgoing{To: b.To, Bytes: pattern(n)}
	}
	t.Run("before it runs it sends nothing and does not hang", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, true)
			began := time.Now()
			_, err := b.Terminal.Send(t.Context(), message(b, 1))
			if k := drivers.KindOf(err); k != drivers.FaultGone && k != drivers.FaultBarred || time.Since(began) > 0 {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			if l := b.Terminal.Limits(); l.Transmit || l.Bar == drivers.BarNone {
				t.Errorf("%+v", l)
			}
		})
	})
	each("it sends exactly the bytes, up to its limit", true, func(t *testing.T, b *TerminalBench, ctx context.Context) {
		l := b.Terminal.Limits()
		if !l.Transmit || l.Bar != drivers.BarNone || l.Bytes < 1 {
			t.Fatalf("%+v, state %+v", l, b.Terminal.State())
		}
		for _, n := range []int{1, l.Bytes / 2, l.Bytes} {
			sent, err := b.Terminal.Send(ctx, message(b, n))
			if err != nil || sent.At.IsZero() {
				t.Fatalf("%d bytes: %v", n, err)
			}
			time.Sleep(max(time.Until(b.Terminal.Limits().Next), l.Every) + b.Settle)
		}
		got := b.Aired()
		if len(got) != 3 || !bytes.Equal(got[0], pattern(1)) || !bytes.Equal(got[1], pattern(l.Bytes/2)) || !bytes.Equal(got[2], pattern(l.Bytes)) {
			t.Errorf("aired %x", got)
		}
		if s := b.Terminal.State(); s.Aired != 3 || !s.Up || s.ID == "" {
			t.Errorf("%+v", s)
		}
	})
	each("it never cuts what is too long", true, func(t *testing.T, b *TerminalBench, ctx context.Context) {
		_, err := b.Terminal.Send(ctx, message(b, b.Terminal.Limits().Bytes+1))
		if drivers.KindOf(err) != drivers.FaultTooLong || len(b.Aired()) != 0 {
			t.Errorf("%v, aired %x", err, b.Aired())
		}
	})
	each("it sends nothing that it was not given the right to, and receives", false, func(t *testing.T, b *TerminalBench, ctx context.Context) {
		_, err := b.Terminal.Send(ctx, message(b, 1))
		if l := b.Terminal.Limits(); drivers.KindOf(err) != drivers.FaultBarred || l.Transmit || l.Bar != drivers.BarReceiveOnly || len(b.Aired()) != 0 {
			t.Errorf("%v, %+v, aired %x", err, l, b.Aired())
		}
		b.Say(pattern(9))
		time.Sleep(b.Settle)
		if m, ok := take(b.Terminal); b.Deaf && ok || !b.Deaf && (!ok || !bytes.Equal(m.Bytes, pattern(9)) || m.From == "" || m.At.IsZero()) {
			t.Errorf("%+v", m)
		}
	})
	each("a context that ended sends nothing", true, func(t *testing.T, b *TerminalBench, ctx context.Context) {
		over, cancel := context.WithCancel(ctx)
		cancel()
		_, err := b.Terminal.Send(over, message(b, 1))
		time.Sleep(b.Settle)
		if drivers.KindOf(err) != drivers.FaultCancelled || len(b.Aired()) != 0 {
			t.Errorf("%v, aired %x", err, b.Aired())
		}
	})
	each("many who send at once are each told what became of theirs", true, func(t *testing.T, b *TerminalBench, ctx context.Context) {
		const many = 4
		waits, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		told := make(chan error, many)
		for range many {
			go func() {
				_, err := b.Terminal.Send(waits, message(b, 1))
				told <- err
			}()
		}
		sent := 0
		for range many {
			switch err := <-told; drivers.KindOf(err) {
			case drivers.FaultOther:
				if err != nil {
					t.Error(err)
				}
				sent++
			case drivers.FaultEarly, drivers.FaultCancelled:
			default:
				t.Error(err)
			}
		}
		time.Sleep(b.Settle)
		if got := b.Aired(); sent == 0 || len(got) != sent {
			t.Errorf("%d were told that theirs was sent, and %d were", sent, len(got))
		}
	})
	each("what nobody takes is dropped and counted", true, func(t *testing.T, b *TerminalBench, ctx context.Context) {
		for i := range b.Buffer + 3 {
			b.Say([]byte{1, 2, byte(i)})
			time.Sleep(b.Settle)
		}
		s := b.Terminal.State()
		n, first := 0, drivers.Incoming{}
		for {
			m, ok := take(b.Terminal)
			if !ok {
				break
			}
			if n == 0 {
				first = m
			}
			n++
		}
		if n != b.Buffer || s.Dropped != 3 || s.Received != int64(b.Buffer+3) || !bytes.Equal(first.Bytes, []byte{1, 2, 0}) {
			t.Errorf("%d held, first %x, %+v", n, first.Bytes, s)
		}
	})
	each("a port that went is opened again", true, func(t *testing.T, b *TerminalBench, ctx context.Context) {
		b.Pull()
		synctest.Wait()
		if s := b.Terminal.State(); s.Up {
			t.Errorf("%+v", s)
		}
		if _, err := b.Terminal.Send(ctx, message(b, 1)); drivers.KindOf(err) != drivers.FaultGone && drivers.KindOf(err) != drivers.FaultBarred {
			t.Error(err)
		}
		time.Sleep(b.Settle + 10*time.Second)
		if _, err := b.Terminal.Send(ctx, message(b, 1)); err != nil {
			t.Error(err, fmt.Sprintf("%+v", b.Terminal.State()))
		}
		b.Say(pattern(5))
		time.Sleep(b.Settle)
		if m, ok := take(b.Terminal); !ok || !bytes.Equal(m.Bytes, pattern(5)) {
			t.Errorf("%+v", m)
		}
	})
	each("neither or both of bytes and text is refused", true, func(t *testing.T, b *TerminalBench, ctx context.Context) {
		for _, m := range []drivers.Outgoing{{To: b.To}, {To: b.To, Bytes: []byte{1}, Text: "a"}, {Bytes: []byte{1}}, {To: "1,2\r\n", Bytes: []byte{1}}} {
			if _, err := b.Terminal.Send(ctx, m); drivers.KindOf(err) != drivers.FaultRefused {
				t.Errorf("%+v: %v", m, err)
			}
		}
		if len(b.Aired()) != 0 {
			t.Errorf("aired %x", b.Aired())
		}
	})
}

func take(d drivers.Terminal) (drivers.Incoming, bool) {
	select {
	case m := <-d.Received():
		return m, true
	default:
		return drivers.Incoming{}, false
	}
}

// pattern gives n bytes of which no two neighbours are alike.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*37 + n)
	}
	return b
}
