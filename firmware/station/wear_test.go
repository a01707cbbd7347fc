package station

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"tocsin/firmware/guard/wear"
	"tocsin/firmware/reach/wire"
)

func TestHeatAndAWornFlashAreFaultsThatTheCountyHears(t *testing.T) {
	t.Parallel()
	fibre := newEther("fibre")
	b := openDesk(t, t.TempDir(), fibre)
	temp := &fstest.MapFile{Data: []byte("91000\n")}
	b.o.sys = fstest.MapFS{"class/thermal/thermal_zone0/temp": temp, "block/mmcblk0/device/life_time": {Data: []byte("0x0a 0x01\n")}}
	now := b.clock.Now()
	for range 12 {
		now = now.Add(wearLook)
		b.lookWear(now)
	}
	faults := b.Faults()
	said := map[string]string{}
	for _, f := range faults {
		said[f.Thing] = f.Name.ZH + " " + f.Why.ZH
	}
	if !strings.Contains(said["board heat"], "主板温度") || !strings.Contains(said["board heat"], "91 °C") || !strings.Contains(said["board mmcblk0"], "寿命已尽") {
		t.Fatalf("%+v", said)
	}
	b.tally.look(now)
	b.until("the county hears", func() bool {
		for _, o := range b.came(fibre, wire.TypeState) {
			if strings.Contains(string(o.Content), "board heat") && strings.Contains(string(o.Content), "board mmcblk0") {
				return true
			}
		}
		return false
	})
	temp.Data = []byte("55000\n")
	for range 12 {
		now = now.Add(wearLook)
		b.lookWear(now)
	}
	for _, f := range b.Faults() {
		if f.Thing == "board heat" {
			t.Errorf("it has cooled down: %+v", f)
		}
	}
	// What was written is kept.
	now = now.Add(wearKeep)
	b.lookWear(now)
	if kept, ok := b.journal.Get(keyWear); !ok || wear.New(b.bp.Wear).Restore(kept) != nil {
		t.Errorf("%s", kept)
	}
}

func TestTheCabinetsTemperatureIsAPointInDegrees(t *testing.T) {
	for text, code := range map[string]string{
		"board: {cabinet: rain-a.nothing}\n": "site.no_",
		"board: {cabinet: relay.in1}\n":      "site.power_unit",
	} {
		bp, ps := prove(t, whole+text)
		found := false
		for _, p := range ps {
			found = found || strings.HasPrefix(p.Message.Code, code) && p.Line > 0
		}
		if bp != nil || !found {
			t.Errorf("%s: %v", text, ps)
		}
	}
	air := strings.Replace(whole, "devices:\n", "devices:\n  air: {profile: generic-xy-md02, line: west, unit: 9}\n", 1)
	bp, ps := prove(t, air+"board: {cabinet: air.temperature}\n")
	if bp == nil || bp.Cabinet == nil || bp.Wear == nil || bp.Wear.Dwell < time.Second {
		t.Errorf("%v", ps)
	}
}
