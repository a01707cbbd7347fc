package station

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/firmware/guard/power"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/video/terms"
)

// benchBattery is a profile by which the bench's upstream gauge is a battery: its metres are percent.
func benchBattery(t *testing.T) string {
	t.Helper()
	b, err := configs.FS.ReadFile("profiles/generic-radar-level-rs485.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, r := range [][2]string{{"profile: generic-radar-level-rs485", "profile: bench-battery"}, {"    unit: m\n", "    unit: \"%\"\n"}, {"    rate: 1/min\n", ""}, {"    every: 10s\n    priority: alarm\n", "    every: 10s\n    priority: alarm\n    role: charge\n"}} {
		if !strings.Contains(text, r[0]) {
			t.Fatalf("the radar's profile has no %q", r[0])
		}
		text = strings.Replace(text, r[0], r[1], 1)
	}
	return text
}

// quickPower is the shipped rules with dwells that a test can wait for.
func quickPower(t *testing.T) string {
	t.Helper()
	return shipped(t, "power.yaml", `(?m)^dwell: .*$`, "dwell: {lost: 1s, back: 1s, worse: 1s, better: 2s, dead: 1s, rest: 1s, full: 1m, charge: 12h, step: 1s, restore: 1s}")
}

// standIn puts a child that does nothing where the video program lies beside this test's own, and tells how many run.
func standIn(t *testing.T) (running func() int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(filepath.Dir(self), terms.Program)
	mark := fmt.Sprintf("86%03d", os.Getpid()%1000)
	if err := os.WriteFile(at, []byte("#!/bin/sh\nexec sleep "+mark+"\n"), 0o755); err != nil {
		t.Skip("no program can be put beside this test's: ", err)
	}
	t.Cleanup(func() { os.Remove(at) })
	return func() (n int) {
		all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, f := range all {
			if b, err := os.ReadFile(f); err == nil && string(b) == "sleep\x00"+mark+"\x00" {
				n++
			}
		}
		return n
	}
}

// TestWhatIsShedStopsWhileASirenSounds runs a whole house on a battery that empties while it sounds: pictures stop, rows of
// readings become rarer, the siren goes on; the county has the last word once, by every link; and all comes back.
func TestWhatIsShedStopsWhileASirenSounds(t *testing.T) {
	t.Parallel()
	w := newLinkedTown(t)
	running := standIn(t)
	w.v.Upstream.Set(62)
	w.write("profiles/bench-battery.yaml", benchBattery(t))
	w.write("power.yaml", quickPower(t))
	w.text = strings.Replace(w.text, "upstream: {profile: generic-radar-level-rs485,", "upstream: {profile: bench-battery,", 1)
	w.text += "power: {capacity_wh: 1200, load_w: 10}\nvideo: {listen: \"127.0.0.1:0\", rtmp: \"127.0.0.1:1935\", streams: {drone: {name: {zh: 无人机}, key: secrets/drone.key}}}\n"
	w.secret("drone.key", "a key of the drone that is long enough")
	w.write("site.yaml", w.text)
	w.start()
	h := w.house.Load()
	w.up("fibre")
	w.up("beidou")
	w.until("the video child runs", func() bool { return running() == 1 })

	w.v.Gas.Set(gasEvacuate)
	w.raised("gas", "evacuate")
	w.sounds(time.Now())

	w.v.Upstream.Set(20)
	w.faulty("power", []string{"留给鸣响的 30 Wh"}, []string{"30 Wh", "kept for sounding"})
	w.faulty("power video", []string{"实时画面已停", "鸣响和向县里报警照常"}, []string{"live pictures off", "sounding and alarms to the county go on"})
	w.until("the video child is gone", func() bool { return running() == 0 })
	w.until("rows are rarer", func() bool { return h.tally.every.Load() == 6 })
	h.post.mu.Lock()
	spares := h.post.spares
	h.post.mu.Unlock()
	if !spares.Bulk || spares.Probes != 6 {
		t.Errorf("the courier does without %+v", spares)
	}
	var r api.Readiness
	if err := w.get("/readiness", &r); err != nil || !strings.Contains(r.Power.Line.ZH, "为省电，图片和日志上传已停、录像已停、实时画面已停、测值上报已放慢") || !strings.Contains(r.Power.How.ZH, "30 Wh 只留给鸣响") || r.Sounds != "yes" {
		t.Errorf("the page says %+v (%s) %v", r.Power, r.Sounds, err)
	}
	w.sounds(time.Now()) // still

	item := func(event wire.AlarmEvent) func(wire.AlarmItem) bool {
		return func(a wire.AlarmItem) bool { return a.Hazard == powerHazard && a.Event == event }
	}
	wide := func(event wire.AlarmEvent) (n int) {
		w.hub.mu.Lock()
		defer w.hub.mu.Unlock()
		for _, l := range w.hub.letters {
			for _, x := range l {
				e, err := wire.OpenEnvelope(x.Body, 1<<20, townKeys(t), wire.Up)
				if err != nil || e.Type != uint8(wire.ItemAlarm) {
					continue
				}
				if a, err := wire.ReadAlarm(e.Content); err == nil && item(event)(a) {
					n++
				}
			}
		}
		return n
	}
	w.until("the county knows of the want", func() bool { return wide(wire.AlarmRaised) == 1 })

	w.v.Upstream.Set(5)
	w.until("the last word by fibre and by BeiDou", func() bool {
		n, _ := w.sky.find(item(wire.AlarmEscalated))
		return n >= 1 && wide(wire.AlarmEscalated) >= 1
	})
	time.Sleep(5 * time.Second) // what would be said again is said by then
	if n, _ := w.sky.find(item(wire.AlarmEscalated)); n != 1 || wide(wire.AlarmEscalated) != 1 {
		t.Errorf("the last word came %d times by BeiDou, %d by fibre", n, wide(wire.AlarmEscalated))
	}
	w.sounds(time.Now()) // to the end

	w.v.Upstream.Set(62)
	w.mended("power")
	w.mended("power video")
	w.until("the video child runs again", func() bool { return running() == 1 })
	w.until("rows are as ever", func() bool { return h.tally.every.Load() == 1 })
	w.until("the county knows that it is mended", func() bool { return wide(wire.AlarmReleased) == 1 })
	var kinds []string
	for _, x := range w.journal() {
		if strings.HasPrefix(x.Kind, "power.") {
			kinds = append(kinds, x.Kind)
		}
	}
	for _, k := range []string{"power.turned", "power.shed", "power.want", "power.gasp", "power.restored", "power.mended"} {
		if !slices.Contains(kinds, k) {
			t.Errorf("the journal has no %s: %v", k, kinds)
		}
	}
}

func TestRowsAreRarerAndTheBoxIsToldAsEver(t *testing.T) {
	t.Parallel()
	fibre := newEther("fibre")
	b := openDesk(t, t.TempDir(), fibre)
	x, now := b.tally, b.clock.Now()
	x.look(now)
	rows := func(n int) (told int) {
		for range n {
			now = now.Add(5 * time.Minute)
			before := len(x.sent)
			x.look(now)
			told += len(x.sent) - before
		}
		return told
	}
	if n := rows(12); n != 12 {
		t.Fatalf("%d rows in an hour", n)
	}
	x.rarer(6)
	states := len(b.came(fibre, wire.TypeState))
	if n := rows(12); n != 2 {
		t.Errorf("%d rows in an hour of saving", n)
	}
	b.until("its hourly word", func() bool { return len(b.came(fibre, wire.TypeState)) > states })
	x.rarer(1)
	if n := rows(12); n != 12 {
		t.Errorf("%d rows in an hour after it", n)
	}
}

func TestWhatASiteSaysOfItsSupplyIsProved(t *testing.T) {
	sun := strings.Replace(whole, "devices:\n", "devices:\n  sun: {profile: epever-ls-b, line: west, unit: 7}\n", 1)
	for text, want := range map[string]struct{ code, at string }{
		"power: {chemistry: sodium, capacity_wh: 1200}\n":                       {"site.power_chemistry", "chemistry"},
		"power: {reserve: 1m, capacity_wh: 1200}\n":                             {"site.power_reserve", "reserve"},
		"power: {solar: sun.battery, capacity_wh: 1200}\n":                      {"site.power_unit", "solar"},
		"power: {failing: sun.nothing, capacity_wh: 1200}\n":                    {"site.no_point", "failing"},
		"power: {blocks: -1, capacity_wh: 1200}\n":                              {"site.power_number", "blocks"},
		"power: {capacity_wh: 5, load_w: 10, chemistry: lead, reserve: 240m}\n": {"site.power_small", "capacity_wh"},
	} {
		_, ps := prove(t, sun+text)
		found := false
		for _, p := range ps {
			found = found || p.Message.Code == want.code && p.Line > 0
		}
		if !found {
			t.Errorf("%s: %v", text, ps)
		}
	}
	// A voltage and the battery's kind suffice for a forecast.
	bp, ps := prove(t, sun+"power: {capacity_wh: 1200, load_w: 10, chemistry: lead, blocks: 2}\n")
	ps = slices.DeleteFunc(ps, func(p config.Problem) bool { return p.Message.Code == "site.baud_differs" })
	if bp == nil || len(ps) != 0 {
		t.Fatal(ps)
	}
	s := bp.Power.site([]float64{24, 112})
	if s.Chemistry == nil || s.Blocks != 2 || !s.Sun || s.At == nil || s.Sounding <= 0 || s.Reserve() != s.Sounding/2 {
		t.Errorf("%+v", s)
	}
}

func TestNothingIsUpdatedOnABatteryThatIsLow(t *testing.T) {
	t.Parallel()
	b := openDesk(t, t.TempDir())
	b.economy = newEconomy(b.House)
	for _, s := range []power.State{power.Low, power.Critical, power.BrownOut} {
		b.economy.view.Store(&power.View{State: s})
		if err := b.barred(); err == nil || phrase.Of(err).Code != "update.power" || !strings.Contains(err.Error(), "power is too weak") {
			t.Errorf("%v: %v", s, err)
		}
	}
}
