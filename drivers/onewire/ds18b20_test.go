package onewire

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"tocsin/drivers"
)

// file is what the kernel gives for a scratchpad; the checksum is reckoned unless
// told.
func file(b [9]byte, verdict string) string {
	x := fmt.Sprintf("% x", b)
	return fmt.Sprintf("%s : crc=%02x %s\n%s t=%d\n", x, b[8], verdict, x, 0)
}

func pad(raw int16) (b [9]byte) {
	b = [9]byte{byte(raw), byte(raw >> 8), 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10}
	b[8] = crc(b[:8])
	return b
}

// Table 1 of the data sheet, and what is no temperature.
func TestAScratchpadGivesItsTemperatureOrAFault(t *testing.T) {
	wrong := pad(0x0191)
	wrong[8] ^= 1
	for _, c := range []struct {
		name, text string
		want       float64
		bad        bool
	}{
		{"the kernel's own example", "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n", 23.125, false},
		{"+125", file(pad(0x07D0), "YES"), 125, false},
		{"+25.0625", file(pad(0x0191), "YES"), 25.0625, false},
		{"0", file(pad(0), "YES"), 0, false},
		{"-0.5", file(pad(-8), "YES"), -0.5, false},
		{"-55", file(pad(-880), "YES"), -55, false},
		{"power-on 85", file(pad(0x0550), "YES"), 0, true},
		{"-127", file(pad(-127*16), "YES"), 0, true},
		{"beyond", file(pad(0x0800), "YES"), 0, true},
		{"the kernel says no", file(pad(0x0191), "NO"), 0, true},
		{"a wrong checksum that the kernel let pass", file(wrong, "YES"), 0, true},
		{"held low", file([9]byte{}, "YES"), 0, true},
		{"held high", file([9]byte{255, 255, 255, 255, 255, 255, 255, 255, 255}, "YES"), 0, true},
		{"nothing", "", 0, true},
		{"half", "72 01 4b 46", 0, true},
	} {
		v, err := parse(c.text)
		if (err != nil) != c.bad || err == nil && v != c.want {
			t.Errorf("%s: %v, %v", c.name, v, err)
		}
	}
}

func TestASensorThatIsNotThereIsNotTheBus(t *testing.T) {
	dir := t.TempDir()
	id := "28-0316a2795ee4"
	s, err := New(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Measure(context.Background()); drivers.KindOf(err) != drivers.FaultTimeout {
		t.Error(err)
	}
	if err := os.Mkdir(filepath.Join(dir, id), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, id, "w1_slave"), []byte(file(pad(0x0191), "YES")), 0o644); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Measure(context.Background()); err != nil || len(v) != 1 || v[0].Value != 25.0625 || v[0].Channel != "temperature" {
		t.Errorf("%v, %v", v, err)
	}
	gone, _ := New(filepath.Join(dir, "none"), id)
	if _, err := gone.Measure(context.Background()); drivers.KindOf(err) != drivers.FaultGone {
		t.Error(err)
	}
	for _, bad := range []string{"", "28", "../../etc", "28-0316a2795ee4/.."} {
		if _, err := New(dir, bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func FuzzScratchpad(f *testing.F) {
	f.Add("72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n")
	f.Add(file(pad(0x0550), "YES"))
	f.Add("00 00 00 00 00 00 00 00 00 : crc=00 YES\n")
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := parse(s); err == nil && (v < -55 || v > 125 || v == 85) {
			t.Fatalf("%q gives %v", s, v)
		}
	})
}
