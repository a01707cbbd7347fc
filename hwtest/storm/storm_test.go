package storm

import (
	"context"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/hwtest/gauge"
	"tocsin/hwtest/line"

	"golang.org/x/sys/unix"
)

func TestStepsComeInOrderAtTheirTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var did []string
		step := func(at time.Duration, name string) Step {
			return Step{At: at, Name: name, Do: func() error { did = append(did, name); return nil }}
		}
		s := Script{step(3*time.Second, "c"), step(time.Second, "a"), step(time.Second, "b")}
		begin := time.Now()
		var at []time.Duration
		if err := s.Run(t.Context(), func(_ Step, when time.Time) { at = append(at, when.Sub(begin)) }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(did, []string{"a", "b", "c"}) || !slices.Equal(at, []time.Duration{time.Second, time.Second, 3 * time.Second}) {
			t.Errorf("did %v at %v", did, at)
		}
		if s.Length() != 3*time.Second {
			t.Errorf("length %v", s.Length())
		}
	})
}

func TestAStepThatFailsEndsTheScriptByName(t *testing.T) {
	sick := errors.New("sick")
	s := Script{{0, "bad", "", func() error { return sick }}, {0, "next", "", func() error { t.Error("went on"); return nil }}}
	if err := s.Run(t.Context(), nil); !errors.Is(err, sick) || !strings.Contains(err.Error(), `"bad"`) {
		t.Errorf("%v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := (Script{{time.Hour, "never", "", nil}}).Run(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestTheNightDoesWhatItTells runs the night on gauges alone, in virtual time.
func TestTheNightDoesWhatItTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := gauge.NewBoard(8, 8)
		v := &Village{
			RainA: gauge.NewRain(), RainB: gauge.NewRain(), RainText: gauge.NewRain(), River: gauge.NewRadar(2), Board: b,
			Horn: gauge.NewSiren(gauge.SirenConfig{Feed: b.Contact(RelayHorn), Contactor: b.Contact(RelayHornCutter)}),
		}
		at := Levels{Calm: 2, Prepare: 2.2, Evacuate: 2.5}
		check := map[string]func() bool{
			"surge":    func() bool { return v.River.Says() > 3.4 },
			"river":    func() bool { return v.River.Says() == 2 },
			"drowned":  func() bool { s := v.River.Says(); return s > at.Prepare && s < at.Evacuate },
			"key":      func() bool { return b.Input(InputKeyEvacuate) },
			"key back": func() bool { return !b.Input(InputKeyEvacuate) && v.River.Says() < v.River.Level() },
			"stop":     func() bool { return b.Input(InputStop) },
			"echo":     func() bool { return math.Abs(v.River.Says()-v.River.Level()) < 1e-6 && v.River.Level() > 2.4 },
			"rain ends": func() bool {
				return v.RainA.Total() > 5 && v.RainB.Total() < 1 && v.RainB.Fell() > 5 && v.RainText.Tips() == v.RainA.Tips()
			},
		}
		err := Night(v, at).Run(t.Context(), func(s Step, _ time.Time) {
			if f := check[s.Name]; f != nil && !f() {
				t.Errorf("%s: river says %v, is %v; rain %v and %v", s.Name, v.River.Says(), v.River.Level(), v.RainA.Total(), v.RainB.Total())
			}
			delete(check, s.Name)
		})
		if err != nil || len(check) > 0 {
			t.Errorf("%v, not seen: %v", err, check)
		}
		if v.River.Level() >= at.Evacuate {
			t.Error("the river reaches the evacuate level: then the key decides nothing")
		}
	})
}

func TestAVillageAnswersOnItsPorts(t *testing.T) {
	v, err := Build(Config{Dir: t.TempDir(), Baud: 115200, River: 2.5})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	fd := openRaw(t, v.Port(FieldPort))
	unix.Write(fd, line.Frame(UnitRiver, []byte{3, 0, 0, 0, 3}))
	want := hex.EncodeToString(line.Frame(UnitRiver, []byte{3, 6, 0x40, 0x20, 0, 0, 0, 0}))
	if got := hex.EncodeToString(readN(fd, 11)); got != want {
		t.Errorf("river: %s, want %s", got, want)
	}
	fd = openRaw(t, v.Port(OutPort))
	unix.Write(fd, line.Frame(UnitBoard, []byte{5, 0, RelayHorn, 0xFF, 0}))
	readN(fd, 8)
	if !v.Horn.Sounding() {
		t.Error("the horn is silent")
	}
	fd = openRaw(t, v.Port(TextPort))
	if got := string(readN(fd, 16)); got != "$RAIN,0.0,0*"+got[12:14]+"\r\n" {
		t.Errorf("text gauge: %q", got)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(v.Port(FieldPort)); !os.IsNotExist(err) {
		t.Errorf("a port is left: %v", err)
	}
}

func openRaw(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	x, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	x.Iflag, x.Oflag, x.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, x); err != nil {
		t.Fatal(err)
	}
	return fd
}

// readN reads n bytes, or what came within 10 s.
func readN(fd, n int) (out []byte) {
	buf := make([]byte, 256)
	for end := time.Now().Add(10 * time.Second); len(out) < n && time.Now().Before(end); time.Sleep(time.Millisecond) {
		if k, _ := unix.Read(fd, buf[:n-len(out)]); k > 0 {
			out = append(out, buf[:k]...)
		}
	}
	return append(out, make([]byte, max(0, n-len(out)))...)
}
