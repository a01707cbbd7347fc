package gauge

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/hwtest/line"
)

func ask(t *testing.T, u line.Unit, pdu string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(pdu, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	out, x := u.Answer(b, time.Now())
	if x != 0 {
		return []byte{b[0] | 0x80, byte(x)}
	}
	return out
}

func want(t *testing.T, u line.Unit, pdu, answer string) {
	t.Helper()
	w, err := hex.DecodeString(strings.ReplaceAll(answer, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, u, pdu); !bytes.Equal(got, w) {
		t.Errorf("%s: answered % X, want % X", pdu, got, w)
	}
}

func TestRainTipsRollsOverAndClogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRain()
		want(t, r, "03 0000 0001", "03 02 0000")
		r.Pour(36) // 0.2 mm in 20 s
		time.Sleep(19 * time.Second)
		want(t, r, "03 0000 0001", "03 02 0000")
		time.Sleep(time.Second)
		want(t, r, "03 0000 0001", "03 02 0002")
		if !r.Tipped().Equal(time.Now()) {
			t.Errorf("tipped at %v, is %v", r.Tipped(), time.Now())
		}
		r.Clog(true)
		time.Sleep(100 * time.Second)
		want(t, r, "03 0000 0001", "03 02 0002")
		if f := r.Fell(); math.Abs(f-1.2) > 1e-6 {
			t.Errorf("%v mm fell", f)
		}
		r.Clog(false)
		r.Pour(0)
		r.SetTotal(6553.4)
		r.Tip(1)
		want(t, r, "03 0000 0001", "03 02 0000") // 65536 is 0 again
		r.Tip(2)
		want(t, r, "03 0000 0001", "03 02 0004")
		want(t, r, "03 0001 0001", "83 02")
		want(t, r, "04 0000 0001", "84 01")
		if r.Tips() != 3 {
			t.Errorf("%d tips", r.Tips())
		}
	})
}

func TestRadarSaysLevelAndWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRadar(2.5) // 0x40200000
		want(t, r, "03 0000 0003", "03 06 4020 0000 0000")
		r.Ramp(3.5, 10*time.Second)
		time.Sleep(5 * time.Second)
		want(t, r, "03 0000 0002", "03 04 4040 0000")
		r.LoseEcho(true)
		time.Sleep(10 * time.Second)
		want(t, r, "03 0000 0003", "03 06 4040 0000 0001") // the level is held
		r.LoseEcho(false)
		want(t, r, "03 0000 0003", "03 06 4060 0000 0000")
		r.Surge(0.5, time.Second)
		want(t, r, "03 0000 0002", "03 04 4080 0000")
		time.Sleep(time.Second)
		want(t, r, "03 0000 0002", "03 04 4060 0000")
		r.Freeze(true)
		r.Set(9)
		want(t, r, "03 0000 0003", "03 06 4060 0000 0000")
		if r.Level() != 9 || r.Says() != 3.5 {
			t.Errorf("water %v, says %v", r.Level(), r.Says())
		}
		r.Fault(true)
		want(t, r, "03 0000 0003", "03 06 7FC0 0000 0002")
	})
}

func TestGasWarmsUpAndFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGas(0.5)
		want(t, g, "03 0000 0002", "03 04 0032 0000")
		g.WarmUp(time.Minute)
		want(t, g, "03 0000 0002", "03 04 0000 0001")
		time.Sleep(time.Minute)
		g.Ramp(25, time.Second)
		time.Sleep(2 * time.Second)
		want(t, g, "03 0000 0002", "03 04 09C4 0000")
		g.Fault(true)
		want(t, g, "03 0000 0002", "03 04 FFFF 0002")
	})
}

func TestTheTalkersSentenceHasItsSum(t *testing.T) {
	// 'R'^'A'^'I'^'N' = 0x14; ",12.4,62" reckoned by hand: 2C 31 32 2E 34 2C 36 32.
	sum := byte('R' ^ 'A' ^ 'I' ^ 'N')
	for _, c := range []byte{0x2C, 0x31, 0x32, 0x2E, 0x34, 0x2C, 0x36, 0x32} {
		sum ^= c
	}
	if got, w := string(Sentence(12.4, 62)), "$RAIN,12.4,62*"+strings.ToUpper(hex.EncodeToString([]byte{sum}))+"\r\n"; got != w {
		t.Errorf("%q, want %q", got, w)
	}
}
