package station

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/serve/api"
	"tocsin/hwtest/line"
)

const gateProfile = `version: 1
profile: gate
name: {zh: 闸门, en: gate}
manual: generic; of this test
via: modbus
line: {baud: 9600, format: 8N1, turnaround: 20ms}
points:
  - {id: opening, name: {zh: 开度, en: opening}, read: holding 0x0040, scale: 0.1, unit: "%", range: [0, 100], every: 1s}
writes:
  - id: opening
    name: {zh: 开度, en: opening}
    write: holding 0x0040
    scale: 0.1
    unit: "%"
    range: [0, 100]
    confirm: {within: 300ms, retry: 1}
    fail_safe: {value: 5, after: 5s}
  - {id: hold, name: {zh: 保持, en: hold}, write: holding 0x0041, unit: "1", range: [0, 9]}
proof:
  - {sent: "01 03 00 40 00 01 85 DE", heard: "01 03 02 00 7D 78 65", gives: {opening: 12.5}}
  - {sent: "01 06 00 40 00 7D 48 3F", heard: "01 06 00 40 00 7D 48 3F", does: {write: opening, value: 12.5}}
  - {sent: "01 06 00 41 00 03 99 DF", heard: "01 06 00 41 00 03 99 DF", does: {write: hold, value: 3}}
`

// gateUnit is a gate's drive on the bench: its register moves when it is
// written, unless it is locked.
type gateUnit struct {
	mu     sync.Mutex
	regs   map[uint16]uint16
	locked bool
	writes int
}

func (g *gateUnit) Answer(pdu []byte, _ time.Time) ([]byte, line.Exception) {
	return line.Map{
		Holding: func(a uint16) (uint16, line.Exception) {
			g.mu.Lock()
			defer g.mu.Unlock()
			v, ok := g.regs[a]
			if !ok {
				return 0, line.IllegalAddress
			}
			return v, 0
		},
		SetReg: func(a, v uint16) line.Exception {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.writes++
			if _, ok := g.regs[a]; !ok {
				return line.IllegalAddress
			}
			if !g.locked {
				g.regs[a] = v
			}
			return 0
		},
	}.Answer(pdu)
}

func (g *gateUnit) at(a uint16) uint16 { g.mu.Lock(); defer g.mu.Unlock(); return g.regs[a] }

func (g *gateUnit) lock(yes bool) { g.mu.Lock(); defer g.mu.Unlock(); g.locked = yes }

// withGate is a town with a gate on the field line.
func withGate(t *testing.T) (*town, *gateUnit) {
	t.Helper()
	w := newTown(t)
	g := &gateUnit{regs: map[uint16]uint16{0x40: 0, 0x41: 0}}
	w.v.Field.Attach(9, g)
	w.write("profiles/gate.yaml", gateProfile)
	w.text = strings.Replace(w.text, "  relay:    {", "  gate:     {profile: gate, line: field, unit: 9, name: {zh: 东闸, en: East gate}}\n  relay:    {", 1)
	w.write("site.yaml", w.text)
	return w, g
}

// aliased is the shipped relay board with its first coil under a second name, and
// with a register of its own.
func aliased(t *testing.T) string {
	t.Helper()
	s := shipped(t, "profiles/generic-relay-8in-8out.yaml", "profile: generic-relay-8in-8out", "profile: board")
	frame := []byte{1, 6, 0x40, 0, 0, 1}
	c := profile.CRC(frame)
	whole := fmt.Sprintf("% X", append(frame, byte(c), byte(c>>8)))
	return strings.Replace(s, "proof:\n", `  - {id: lamp, name: {zh: 灯, en: lamp}, write: coil 0}
  - {id: all, name: {zh: 全部, en: all}, write: coil 0x00FF}
  - {id: mode, name: {zh: 方式, en: mode}, write: holding 0x4000, unit: "1", range: [0, 3]}
proof:
  - {sent: "01 05 00 00 FF 00 8C 3A", heard: "01 05 00 00 FF 00 8C 3A", does: {write: lamp, on: true}}
  - {sent: "01 05 00 FF FF 00 BC 0A", heard: "01 05 00 FF FF 00 BC 0A", does: {write: all, on: true}}
  - {sent: "`+whole+`", heard: "`+whole+`", does: {write: mode, value: 1}}
`, 1)
}

// sets asks over the socket, and gives the refusal where there is one.
func (w *town) sets(id string, a api.Asking) (api.Set, error) {
	w.t.Helper()
	var s api.Set
	a.Who = "李梅"
	b, err := json.Marshal(a)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := w.client().Post("http://edged/api/v1/setpoints/"+id, "application/json", bytes.NewReader(b))
	if err != nil {
		return s, err
	}
	defer r.Body.Close()
	if r.StatusCode >= 300 {
		var p api.Problem
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
			return s, err
		}
		return s, &p
	}
	return s, json.NewDecoder(r.Body).Decode(&s)
}

func TestAPersonSetsAGateAndItsFailSafeComesBack(t *testing.T) {
	t.Parallel()
	w, g := withGate(t)
	w.start()
	if _, err := w.sets("gate.opening", api.Asking{Value: 20}); err != nil {
		t.Fatal(err)
	}
	if g.at(0x40) != 200 {
		t.Fatalf("the gate holds %d", g.at(0x40))
	}
	r := w.recorded("setpoint.changed", "")
	if r.Who == nil || r.Who.Name != "李梅" || r.Body["old"] != 0.0 || r.Body["new"] != 20.0 || !strings.Contains(r.Text.ZH, "东闸·开度") {
		t.Errorf("%+v %v", r, r.Body)
	}
	w.until("restored", func() bool { return g.at(0x40) == 50 })
	w.until("journaled", func() bool {
		for _, r := range w.journal() {
			if r.Kind == "setpoint.changed" && r.Body["restored"] == true && r.Body["old"] == 20.0 && r.Body["new"] == 5.0 {
				return true
			}
		}
		return false
	})
	// Other units than the profile's are converted, or refused.
	if _, err := w.sets("gate.opening", api.Asking{Value: 20, Unit: "mm"}); err == nil || !strings.Contains(err.Error(), "cannot be converted") {
		t.Errorf("mm: %v", err)
	}
	if _, err := w.sets("gate.opening", api.Asking{Value: 101}); err == nil {
		t.Error("beyond its range")
	}
}

func TestAGateThatDoesNotTakeIsCalledAndItsFailSafeIsTriedUntilItDoes(t *testing.T) {
	t.Parallel()
	w, g := withGate(t)
	w.start()
	g.lock(true)
	if _, err := w.sets("gate.opening", api.Asking{Value: 20}); err == nil || !strings.Contains(err.Error(), "did not take") {
		t.Fatalf("%v", err)
	}
	w.faulty("setpoint gate.opening", []string{"李梅", "没有生效"}, []string{"did not take"})
	w.recorded("setpoint.failed", "")
	w.faulty("setpoint gate.opening", []string{"安全值"}, []string{"fail-safe"})
	g.lock(false)
	w.until("restored", func() bool { return g.at(0x40) == 50 })
	w.mended("setpoint gate.opening")
}

func TestAHeldValueOutlivesARestartUntilItsFailSafe(t *testing.T) {
	t.Parallel()
	w, g := withGate(t)
	w.start()
	if _, err := w.sets("gate.opening", api.Asking{Value: 20}); err != nil {
		t.Fatal(err)
	}
	w.recorded("setpoint.changed", "")
	w.halt()
	if g.at(0x40) != 200 {
		t.Fatal("the end of the box changed the gate")
	}
	w.start()
	w.until("restored by the next run", func() bool { return g.at(0x40) == 50 })
}

// What sounds is switched by orders alone: under no name that a profile has for
// it, and by no register of its board.
func TestNobodySetsWhatSounds(t *testing.T) {
	t.Parallel()
	w, _ := withGate(t)
	w.write("profiles/board.yaml", aliased(t))
	w.text = strings.Replace(w.text, "profile: generic-relay-8in-8out", "profile: board", 1)
	w.write("site.yaml", w.text)
	w.start()
	began := time.Now()
	for id, want := range map[string]string{
		"relay.1": "only alarms, drills and STOP", "relay.8": "only alarms, drills and STOP", // the siren, and the contactor that cuts it
		"relay.lamp": "only alarms, drills and STOP", // the siren's coil under another name
		"relay.all":  "could sound or mute",          // all relays at once, by a coil of its own
		"relay.mode": "could sound or mute", "relay.none": "there is no relay.none", "siren": "there is no siren",
	} {
		if _, err := w.sets(id, api.Asking{Value: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", id, err)
		}
	}
	// A free relay of the same board may be set.
	if _, err := w.sets("relay.4", api.Asking{Value: 1, Unit: "on/off"}); err != nil {
		t.Errorf("relay.4: %v", err)
	}
	if on, sounded := w.v.Horn.Current().FirstOn(began); sounded {
		t.Errorf("the siren had current at %v", on)
	}
	var all []api.Setpoint
	if err := w.get("/setpoints", &all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		free := s.ID == "relay.2" || s.ID >= "relay.3" && s.ID <= "relay.7" || strings.HasPrefix(s.ID, "gate.")
		if free != (s.Refused == nil) {
			t.Errorf("%s: refused: %v", s.ID, s.Refused)
		}
	}
}

// The whole box on the standard's other framings, against the bench's own: it
// reads, sets and reads back over each.
func TestABoxReadsAndSetsOverEveryFraming(t *testing.T) {
	t.Parallel()
	w, _ := withGate(t)
	ascii, err := line.New(line.Config{Baud: 9600, CharBits: 10, Turnaround: 20 * time.Millisecond, ASCII: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ascii.Close() })
	server, err := line.NewRTUOverTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	gates := map[string]*gateUnit{"old": {regs: map[uint16]uint16{0x40: 125, 0x41: 0}}, "far": {regs: map[uint16]uint16{0x40: 250, 0x41: 0}}}
	ascii.Attach(9, gates["old"])
	server.Attach(9, gates["far"])
	w.edit("  out: ", "  old-line: {port: "+ascii.Path()+", mode: ascii}\n  far-line: {tcp: \""+server.Addr()+"\", framing: rtu}\n  out: ",
		"  relay:    {", "  old:      {profile: gate, line: old-line, unit: 9}\n  far:      {profile: gate, line: far-line, unit: 9}\n  relay:    {")
	w.start()
	for dev, want := range map[string]float64{"old": 12.5, "far": 25} {
		w.until(dev+" is read", func() bool {
			r := w.reading(point.ID(dev + ".opening"))
			return r.Value != nil && *r.Value == want
		})
		if _, err := w.sets(dev+".hold", api.Asking{Value: 7}); err != nil || gates[dev].at(0x41) != 7 {
			t.Errorf("%s: %v, holds %d", dev, err, gates[dev].at(0x41))
		}
	}
	w.halt() // before its lines go
}
