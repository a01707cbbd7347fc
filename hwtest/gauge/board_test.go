package gauge

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTheBoardObeysTheWikisFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBoard(8, 8)
		want(t, b, "01 0000 0008", "01 01 00")
		want(t, b, "05 0000 FF00", "05 0000 FF00")
		want(t, b, "01 0000 0008", "01 01 01")
		want(t, b, "05 0001 5500", "05 0001 5500")
		want(t, b, "01 0000 0008", "01 01 03")
		want(t, b, "05 00FF 5500", "05 00FF 5500")
		want(t, b, "01 0000 0008", "01 01 FC")
		want(t, b, "05 00FF FF00", "05 00FF FF00")
		want(t, b, "01 0000 0008", "01 01 FF")
		want(t, b, "05 00FF 0000", "05 00FF 0000")
		want(t, b, "01 0000 0008", "01 01 00")
		want(t, b, "0F 0000 0008 01 A5", "0F 0000 0008")
		want(t, b, "01 0000 0008", "01 01 A5")
		want(t, b, "03 8000 0001", "03 02 00C8")
		want(t, b, "05 0000 1234", "85 03")
		want(t, b, "05 0008 FF00", "85 02")
		want(t, b, "05 0300 0001", "85 02")
		want(t, b, "0F 0004 0008 01 FF", "8F 02")
		want(t, b, "01 0000 0008", "01 01 A5") // nothing of it was done
		want(t, b, "01 0000 0009", "81 02")
		want(t, b, "06 0000 0001", "86 01")
	})
}

func TestAFlashEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBoard(8, 8)
		t0 := time.Now()
		want(t, b, "05 0200 0007", "05 0200 0007") // the wiki's example: 700 ms
		want(t, b, "05 0401 0003", "05 0401 0003") // off for 300 ms, then on
		time.Sleep(299 * time.Millisecond)
		want(t, b, "01 0000 0008", "01 01 01")
		time.Sleep(time.Millisecond)
		want(t, b, "01 0000 0008", "01 01 03")
		time.Sleep(399 * time.Millisecond)
		want(t, b, "01 0000 0008", "01 01 03")
		time.Sleep(time.Millisecond)
		want(t, b, "01 0000 0008", "01 01 02")
		if d := b.Coil(0).OnBetween(t0, t0.Add(time.Hour)); d != 700*time.Millisecond {
			t.Errorf("was on for %v", d)
		}
		want(t, b, "05 0200 0005", "05 0200 0005")
		time.Sleep(400 * time.Millisecond)
		want(t, b, "05 0200 0005", "05 0200 0005") // begins anew
		time.Sleep(400 * time.Millisecond)
		want(t, b, "01 0000 0001", "01 01 01")
		want(t, b, "05 0000 FF00", "05 0000 FF00") // ends the flash
		time.Sleep(time.Minute)
		want(t, b, "01 0000 0001", "01 01 01")
		want(t, b, "05 0200 0000", "85 03")
	})
}

func TestAWeldedContactOutlivesItsCoilUntilTheContactorOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBoard(8, 8)
		s := NewSiren(SirenConfig{Feed: b.Contact(0), Contactor: b.Contact(7), Sense: b, SenseInput: 3})
		var hooked []bool
		s.OnCurrent(func(on bool, _ time.Time) { hooked = append(hooked, on) })
		b.Weld(0)
		time.Sleep(time.Second)
		if s.Sounding() {
			t.Fatal("a weld alone sounds")
		}
		t0 := time.Now()
		want(t, b, "05 0000 FF00", "05 0000 FF00")
		time.Sleep(49 * time.Millisecond)
		want(t, b, "02 0000 0008", "02 01 00")
		time.Sleep(time.Millisecond)
		want(t, b, "02 0000 0008", "02 01 08")
		want(t, b, "05 0000 0000", "05 0000 0000")
		time.Sleep(time.Second)
		want(t, b, "01 0000 0001", "01 01 00") // the coil read back proves nothing
		want(t, b, "02 0000 0008", "02 01 08")
		if !s.Sounding() || !b.Contact(0).Closed() {
			t.Error("the welded contact opened")
		}
		want(t, b, "05 0007 FF00", "05 0007 FF00")
		if s.Sounding() {
			t.Error("sounds with the contactor open")
		}
		time.Sleep(50 * time.Millisecond)
		want(t, b, "02 0000 0008", "02 01 00")
		if d := s.SoundingBetween(t0, time.Now()); d != 1050*time.Millisecond {
			t.Errorf("sounded for %v", d)
		}
		if len(hooked) != 2 || !hooked[0] || hooked[1] {
			t.Errorf("hooks: %v", hooked)
		}
		b.Free(0)
		want(t, b, "05 0007 0000", "05 0007 0000")
		if s.Sounding() {
			t.Error("sounds after the contact is mended")
		}
		b.StickOpen(0)
		want(t, b, "05 0000 FF00", "05 0000 FF00")
		if s.Sounding() || b.Contact(0).Closed() {
			t.Error("a contact that sticks open closed")
		}
	})
}

func TestWhatIsWrongWithASirenShowsWhereItShould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBoard(8, 8)
		s := NewSiren(SirenConfig{Feed: b.Contact(0), Contactor: b.Contact(1)})
		want(t, b, "05 0000 FF00", "05 0000 FF00")
		see := func(name string, power, current, sound bool) {
			t.Helper()
			if s.Power().On() != power || s.Current().On() != current || s.Sounding() != sound {
				t.Errorf("%s: power %v, current %v, sound %v", name, s.Power().On(), s.Current().On(), s.Sounding())
			}
			time.Sleep(time.Second)
		}
		see("healthy", true, true, true)
		s.Jam(true)
		see("jammed", true, true, false)
		s.Jam(false)
		s.Break(true)
		see("broken", true, false, false)
		s.Break(false)
		s.Mains(false)
		see("no mains", false, false, false)
		s.Mains(true)
		see("mended", true, true, true)
		s.StickContactor(true)
		want(t, b, "05 0001 FF00", "05 0001 FF00")
		see("contactor stuck", true, true, true)
		s.StickContactor(false)
		see("contactor open", false, false, false)
		want(t, b, "05 0001 0000", "05 0001 0000")
		see("contactor closed", true, true, true)
		b.Power(false)
		see("board dark", false, false, false)
		if out := ask(t, b, "01 0000 0008"); out != nil {
			t.Errorf("a dark board answers % X", out)
		}
	})
}

func TestAMotorIsHeardByItsSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBoard(8, 8)
		s := NewSiren(SirenConfig{Feed: b.Contact(0), Motor: true, SpinUp: 4 * time.Second, SpinDown: 8 * time.Second})
		t0 := time.Now()
		want(t, b, "05 0000 FF00", "05 0000 FF00")
		time.Sleep(10 * time.Second)
		want(t, b, "05 0000 0000", "05 0000 0000")
		time.Sleep(2 * time.Second) // 3/4 of its speed
		want(t, b, "05 0000 FF00", "05 0000 FF00")
		time.Sleep(time.Second) // full again
		want(t, b, "05 0000 0000", "05 0000 0000")
		time.Sleep(20 * time.Second)
		ev := s.Sound().Events()
		if len(ev) != 2 || ev[0].At.Sub(t0) != 2*time.Second || ev[1].At.Sub(t0) != 17*time.Second {
			t.Errorf("heard %v", ev)
		}
		now := time.Now()
		if n := s.Current().Starts(t0, now); n != 2 {
			t.Errorf("%d starts", n)
		}
		if d := s.ShortestRun(t0.Add(-1), now); d != time.Second {
			t.Errorf("shortest run %v", d)
		}
		if d := s.ShortestRest(t0.Add(-1), now); d != 2*time.Second {
			t.Errorf("shortest rest %v", d)
		}
		if d := s.LongestSilence(t0, now); d != 16*time.Second {
			t.Errorf("longest silence %v", d)
		}
	})
}

func TestHandsMoveInputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBoard(8, 8)
		b.Press(0)
		b.Turn(1, true)
		want(t, b, "02 0000 0008", "02 01 03")
		time.Sleep(time.Second)
		want(t, b, "02 0000 0008", "02 01 02")
		b.Turn(1, false)
		want(t, b, "02 0000 0008", "02 01 00")
		if b.Input(1) {
			t.Error("input on")
		}
	})
}

func TestATraceIsCutAtBothEnds(t *testing.T) {
	t0 := time.Unix(1000, 0)
	s := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Second) }
	tr := &Trace{}
	tr.set(s(2), true)
	tr.set(s(3), true)
	tr.set(s(5), false)
	tr.set(s(8), true)
	if d := tr.OnBetween(s(0), s(10)); d != 5*time.Second {
		t.Errorf("on %v", d)
	}
	if d := tr.OnBetween(s(3), s(4)); d != time.Second {
		t.Errorf("on within %v", d)
	}
	if d := tr.LongestOff(s(0), s(10)); d != 3*time.Second {
		t.Errorf("off %v", d)
	}
	if at, ok := tr.FirstOn(s(5)); !ok || at != s(8) {
		t.Errorf("first on %v %v", at, ok)
	}
	if at, ok := tr.FirstOff(s(3)); !ok || at != s(5) {
		t.Errorf("first off %v %v", at, ok)
	}
	if _, ok := tr.FirstOff(s(8)); ok {
		t.Error("off after the last on")
	}
}
