package audio

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
)

var cd = drivers.Format{Rate: 48000, Channels: 2}

func sin1k(t float64) float64 { return math.Sin(2 * math.Pi * 1000 * t) }

func sine(f drivers.Format, d time.Duration) []int16 {
	n := int(d.Seconds() * float64(f.Rate))
	s := make([]int16, n*f.Channels)
	for i := range s {
		s[i] = int16(12000 * sin1k(float64(i/f.Channels)/float64(f.Rate)))
	}
	return s
}

func open(t *testing.T, p drivers.Player, f drivers.Format) drivers.Stream {
	t.Helper()
	s, err := p.Open(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func file(t *testing.T, o FileOpts) *File {
	t.Helper()
	p, err := NewFile(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stored gives the samples of a file and holds its header to its length.
func stored(t *testing.T, name string) []int16 {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < headerLen || string(b[:4]) != "RIFF" || string(b[36:40]) != "data" {
		t.Fatalf("%s: no header", name)
	}
	if n := int(binary.LittleEndian.Uint32(b[40:])); n != len(b)-headerLen {
		t.Errorf("%s: the header says %d bytes of samples, there are %d", name, n, len(b)-headerLen)
	}
	s := make([]int16, (len(b)-headerLen)/2)
	for i := range s {
		s[i] = int16(binary.LittleEndian.Uint16(b[headerLen+2*i:]))
	}
	return s
}

func TestASoundingIsWrittenWholeAtThePaceOfACard(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, file(t, FileOpts{Dir: dir}), cd)
		want, began := sine(cd, 2*time.Second), time.Now()
		for at := 0; at < len(want); at += 1920 {
			if err := s.Write(t.Context(), want[at:at+1920]); err != nil {
				t.Fatal(err)
			}
			if d := s.Delay(); d > fileBuffer {
				t.Fatalf("%v waiting", d)
			}
		}
		// All but the buffer has been heard when the last Write returns.
		if took := time.Since(began); took < 1880*time.Millisecond || took > 2*time.Second {
			t.Errorf("2 s were taken in %v", took)
		}
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 1960*time.Millisecond || took > 2040*time.Millisecond {
			t.Errorf("2 s were played in %v", took)
		}
		got := stored(t, filepath.Join(dir, "1.wav"))
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d samples were stored, %d written, or they differ", len(got), len(want))
		}
	})
}

func TestTheFirstPeriodIsInTheFileAtTheFirstWrite(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, file(t, FileOpts{Dir: dir}), cd)
		defer s.Drop()
		time.Sleep(700 * time.Millisecond) // no sound yet: no silence in the file
		if err := s.Write(t.Context(), sine(cd, 50*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(filepath.Join(dir, Latest))
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(headerLen + 960*4); fi.Size() != want {
			t.Errorf("%d bytes at the first Write, want %d", fi.Size(), want)
		}
	})
}

func TestADroppedSoundingEndsWhereItWasSilenced(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := file(t, FileOpts{Dir: dir})
		s := open(t, p, cd)
		done := make(chan error, 1)
		go func() { done <- s.Write(context.Background(), sine(cd, 10*time.Second)) }()
		time.Sleep(505 * time.Millisecond)
		if err := s.Drop(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; drivers.KindOf(err) != drivers.FaultCancelled {
			t.Errorf("Write: %v", err)
		}
		got := time.Duration(len(stored(t, filepath.Join(dir, "1.wav")))/2) * time.Second / 48000
		if got < 500*time.Millisecond || got > 520*time.Millisecond {
			t.Errorf("%v are in the file, it was silenced after 505 ms", got)
		}
		if err := s.Drop(); err != nil {
			t.Errorf("second Drop: %v", err)
		}
		open(t, p, cd).Drop()
	})
}

func TestSilenceBetweenLateWritesIsInTheFile(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, file(t, FileOpts{Dir: dir}), cd).(*FileStream)
		for range 2 {
			if err := s.Write(t.Context(), sine(cd, 60*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
		}
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := stored(t, filepath.Join(dir, "1.wav"))
		first, second := got[:2*2880], got[2*96000:]
		if len(got) != 2*(96000+2880) || !loud(first) || !loud(second) || loud(got[2*2880:2*96000]) {
			t.Errorf("%d frames; the second sound should begin at 2 s", len(got)/2)
		}
		if s.Underruns() != 1 {
			t.Errorf("%d underruns", s.Underruns())
		}
	})
}

func loud(s []int16) bool {
	for _, v := range s {
		if v > 1000 || v < -1000 {
			return true
		}
	}
	return false
}

func TestTheHeaderIsRightEverySecond(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, file(t, FileOpts{Dir: dir}), cd)
		for range 3 {
			if err := s.Write(t.Context(), sine(cd, time.Second)); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(dir, "1.wav"))
			if err != nil {
				t.Fatal(err)
			}
			said, there := int(binary.LittleEndian.Uint32(b[40:])), len(b)-headerLen
			if behind := there - said; behind < 0 || behind > 48000*4*21/20 {
				t.Errorf("the header is %d bytes behind", behind)
			}
		}
		s.Drop()
	})
}

func TestOnlyTheNewestSoundingsAreKept(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "notes.wav"), nil, 0o644)
	p := file(t, FileOpts{Dir: dir, Keep: 3})
	for range 5 {
		open(t, p, cd).Drop()
	}
	p = file(t, FileOpts{Dir: dir, Keep: 3}) // and after a restart
	open(t, p, cd).Drop()
	names, _ := filepath.Glob(filepath.Join(dir, "*.wav"))
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	if got := strings.Join(names, " "); got != "4.wav 5.wav 6.wav latest.wav notes.wav" {
		t.Error(got)
	}
	if to, _ := os.Readlink(filepath.Join(dir, Latest)); to != "6.wav" {
		t.Errorf("latest is %s", to)
	}
}

func TestAFileRefusesASecondSoundingAndNonsense(t *testing.T) {
	p := file(t, FileOpts{Dir: t.TempDir()})
	for _, f := range []drivers.Format{{}, {Rate: 48000}, {Rate: 48000, Channels: 9}, {Rate: 1, Channels: 1}} {
		if _, err := p.Open(t.Context(), f); err == nil {
			t.Errorf("%+v was opened", f)
		}
	}
	s := open(t, p, cd)
	if _, err := p.Open(t.Context(), cd); drivers.KindOf(err) != drivers.FaultRefused {
		t.Errorf("second Open: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Write(ctx, sine(cd, time.Second)); !errors.Is(err, context.Canceled) {
		t.Errorf("Write: %v", err)
	}
	s.Drop()
}

func TestADiskThatIsGoneIsAFaultNotASilence(t *testing.T) {
	s := open(t, file(t, FileOpts{Dir: t.TempDir()}), cd).(*FileStream)
	s.out.Close()
	if err := s.Write(t.Context(), sine(cd, 50*time.Millisecond)); drivers.KindOf(err) != drivers.FaultOther || err == nil {
		t.Errorf("Write: %v", err)
	}
	s.Drop()
	if _, err := NewFile(FileOpts{Dir: "/dev/null/x"}); err == nil {
		t.Error("a folder was made under a device")
	}
}
