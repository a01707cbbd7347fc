package wear

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"tocsin/configs"
)

func shipped(t testing.TB) *Rules {
	t.Helper()
	r, err := LoadRules(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// board is a file system that looks like /sys.
func board(milli string, disks map[string]map[string]string) fstest.MapFS {
	f := fstest.MapFS{}
	put := func(name, text string) { f[name] = &fstest.MapFile{Data: []byte(text + "\n")} }
	if milli != "" {
		put("class/thermal/thermal_zone0/type", "cpu-thermal")
		put("class/thermal/thermal_zone0/temp", milli)
		put("class/thermal/cooling_device0/type", "fan")
	}
	for disk, files := range disks {
		for name, text := range files {
			put("block/"+disk+"/"+name, text)
		}
	}
	return f
}

func stat(sectors int) string { return fmt.Sprintf("1 2 3 4 5 6 %d 8 9 10 11 0 0 0 0 0 0", sectors) }

func TestWhatABoardSaysIsRead(t *testing.T) {
	r := Read(board("48312", map[string]map[string]string{
		"mmcblk0":      {"size": "62333952", "stat": stat(2048), "device/life_time": "0x02 0x05", "device/pre_eol_info": "0x01"},
		"mmcblk0boot0": {"size": "8192"},
		"mmcblk1":      {"size": "31116288", "stat": stat(16)},
		"sda":          {"size": "1"},
	}))
	if len(r.Zones) != 1 || !r.Zones[0].OK || r.Zones[0].Celsius != 48.312 || r.Zones[0].Name != "cpu-thermal" {
		t.Errorf("%+v", r.Zones)
	}
	if len(r.Disks) != 2 {
		t.Fatalf("%+v", r.Disks)
	}
	if e := r.Disks[0]; e.Life != 50 || e.EOL != 1 || e.Unread || e.Written != 1<<20 || e.Bytes != 62333952*512 {
		t.Errorf("the eMMC: %+v", e)
	}
	if c := r.Disks[1]; c.Life != 0 || c.EOL != 0 || c.Unread || !c.Counted {
		t.Errorf("the card: %+v", c)
	}
	if r := Read(fstest.MapFS{}); len(r.Zones)+len(r.Disks) > 0 {
		t.Errorf("a board that says nothing: %+v", r)
	}
	for name, sys := range map[string]fstest.MapFS{
		"too hot to be": board("900000", nil), "no number": board("warm", nil), "empty": board(" ", nil),
	} {
		if z := Read(sys).Zones; len(z) != 1 || z[0].OK {
			t.Errorf("%s: %+v", name, z)
		}
	}
	for _, life := range []string{"0x0c 0x01", "x", "0x01 0x02 0x03"} {
		if d := Read(board("", map[string]map[string]string{"mmcblk0": {"device/life_time": life}})).Disks; !d[0].Unread {
			t.Errorf("%q: %+v", life, d)
		}
	}
}

func TestHeatIsCalledAfterAWhileAndOverOnceItFell(t *testing.T) {
	w := New(shipped(t))
	now := time.Duration(0)
	at := func(c float64, d time.Duration) (kinds string) {
		for end := now + d; now < end; now += 20 * time.Second {
			kinds = ""
			for _, f := range w.Look(now, "b", Read(board(fmt.Sprint(int(c*1000)), nil)), nil) {
				kinds += string(f.Kind) + " "
			}
		}
		return kinds
	}
	for i, c := range []struct {
		celsius float64
		lasts   time.Duration
		want    string
	}{
		{50, time.Hour, ""},
		{78, time.Minute, ""}, // a blink
		{50, time.Minute, ""},
		{78, 5 * time.Minute, "chip_warm "},
		{84, 5 * time.Minute, "chip_hot "},
		{79, time.Hour, "chip_hot "}, // not yet six below
		{75.5, 5 * time.Minute, "chip_warm "},
		{70, time.Hour, "chip_warm "},
		{68, 5 * time.Minute, ""},
		{-30, 5 * time.Minute, "chip_cold "},
		{-22, time.Hour, "chip_cold "},
		{-10, 5 * time.Minute, ""},
	} {
		if got := at(c.celsius, c.lasts); got != c.want {
			t.Errorf("%d: %.1f °C for %v: %q, want %q", i, c.celsius, c.lasts, got, c.want)
		}
	}
}

func TestAZoneThatCannotBeReadIsAFaultAndNoCalm(t *testing.T) {
	w := New(shipped(t))
	hot := Read(board("90000", nil))
	bad := Read(board("rubbish", nil))
	now := time.Duration(0)
	look := func(r Reading, d time.Duration) (out []Finding) {
		for end := now + d; now < end; now += 20 * time.Second {
			out = w.Look(now, "b", r, nil)
		}
		return out
	}
	if f := look(bad, 5*time.Minute); len(f) != 1 || f[0].Kind != ChipUnread {
		t.Errorf("%+v", f)
	}
	look(hot, 5*time.Minute)
	if f := look(bad, time.Hour); len(f) != 1 || f[0].Kind != ChipHot {
		t.Errorf("heat that nobody can see any more is over: %+v", f)
	}
	// So is a cabinet's.
	warm := 70.0
	for range 20 {
		now += 20 * time.Second
		w.Look(now, "b", Reading{}, &warm)
	}
	f := w.Look(now, "b", Reading{}, nil)
	if len(f) != 2 || f[1].Kind != CabinetHot || !math.IsNaN(f[1].Value) {
		t.Errorf("%+v", f)
	}
}

func TestAFlashIsCalledBeforeItsLifeIsOver(t *testing.T) {
	for name, c := range map[string]struct {
		life, eol string
		want      Kind
	}{
		"new":               {"0x01 0x01", "0x01", ""},
		"80 percent":        {"0x01 0x08", "0x01", ""},
		"to 90 percent":     {"0x09 0x02", "0x01", FlashUsed},
		"its spare blocks":  {"0x02 0x02", "0x02", FlashUsed},
		"over 90":           {"0x0A 0x02", "0x01", FlashWorn},
		"past its life":     {"0x0b 0x0b", "0x01", FlashWorn},
		"its last blocks":   {"0x01 0x01", "0x03", FlashWorn},
		"nonsense":          {"0xff 0x01", "0x01", FlashUnread},
		"not said, no card": {"0x00 0x00", "0x00", ""},
	} {
		f := New(shipped(t)).Look(time.Hour, "b", Read(board("", map[string]map[string]string{"mmcblk0": {"device/life_time": c.life, "device/pre_eol_info": c.eol}})), nil)
		if c.want == "" && len(f) > 0 || c.want != "" && (len(f) != 1 || f[0].Kind != c.want) {
			t.Errorf("%s: %+v, want %q", name, f, c.want)
		}
	}
}

func TestWhatIsWrittenToACardIsCountedOverRestarts(t *testing.T) {
	r := shipped(t)
	const size = 16 << 30
	card := func(written float64) Reading {
		return Reading{Disks: []Disk{{Name: "mmcblk0", Bytes: size, Written: uint64(written), Counted: true}}}
	}
	// What would wear it out in two years: twice too fast.
	perDay := size * r.Flash.Cycles / r.Flash.Amplification / 2 / 365.25
	w := New(r)
	var found []Finding
	for boot := range 6 { // six boots of ten hours
		for h := range 601 {
			at := time.Duration(h) * time.Minute
			found = w.Look(at, fmt.Sprint("boot", boot), card(perDay*at.Hours()/24), nil)
			if boot == 1 && len(found) > 0 {
				t.Fatalf("after %d boots it was not watched for a day yet: %+v", boot, found)
			}
		}
		again := New(r)
		if err := again.Restore(w.Kept()); err != nil {
			t.Fatal(err)
		}
		w = again
	}
	if got, over := w.Rate("mmcblk0"); math.Abs(got/perDay-1) > 0.01 || over != 60*time.Hour {
		t.Errorf("%.0f bytes a day over %v, %.0f were written", got, over, perDay)
	}
	if len(found) != 1 || found[0].Kind != FlashShort || math.Abs(found[0].Value-2) > 0.05 {
		t.Errorf("%+v", found)
	}
	// A counter that goes back within a boot is counted on from there, never below nothing.
	w.Look(601*time.Minute, "boot5", card(1000), nil)
	if got, _ := w.Rate("mmcblk0"); got < perDay*0.9 || got > perDay*1.1 {
		t.Errorf("%.0f", got)
	}
	for _, bad := range []string{"7", `{"mmcblk0": {"bytes": -1}}`, `{"../etc": {}}`, `{"mmcblk0": null}`} {
		if New(r).Restore([]byte(bad)) == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestAFaultInTheRulesIsNamedWithItsPlace(t *testing.T) {
	b, err := configs.FS.ReadFile(RulesName)
	if err != nil {
		t.Fatal(err)
	}
	for old, c := range map[string][2]string{
		"version: 1":  {"version: 9", "version 9"},
		"dwell: 2m":   {"dwell: 0s", "dwell"},
		"hot: 82":     {"hot: 60", "chip.hot"},
		"cold: -20":   {"cold: 50", "cabinet.cold"},
		"worn: 90":    {"worn: 70", "flash.used"},
		"cycles: 500": {"cycles: .nan", "flash.cycles"},
		"years: 4":    {"yeers: 4", "yeers"},
	} {
		text := strings.Replace(string(b), old, c[0], 1)
		if text == string(b) {
			t.Errorf("the file has no %q", old)
		} else if _, err := ParseRules([]byte(text)); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v", c[0], err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("48312", "0x01 0x02", "0x01", "1 2 3 4 5 6 7 8 9 10 11", "123")
	f.Add("-99999999999999999999", "0xzz", "", "1 2 3 4 5 6 99999999999999999999 8 9 10 11", "x")
	f.Fuzz(func(t *testing.T, temp, life, eol, stat, size string) {
		r := Read(board(temp, map[string]map[string]string{"mmcblk0": {"device/life_time": life, "device/pre_eol_info": eol, "stat": stat, "size": size}}))
		w := New(shipped(t))
		for i := range 3 {
			for _, x := range w.Look(time.Duration(i)*30*time.Hour, "b", r, nil) {
				if x.Value != x.Value && x.Thing != "cabinet" {
					t.Fatalf("%+v", x)
				}
			}
		}
		if err := New(shipped(t)).Restore(w.Kept()); err != nil {
			t.Fatal(err)
		}
	})
}
