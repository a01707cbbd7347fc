package station

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/hwtest/line"
)

// scanning asks for a scan over the socket and gives its events until f says
// false.
func (w *town) scanning(ctx context.Context, q api.ScanQuery, f func(api.ScanEvent) bool) (status int) {
	w.t.Helper()
	b, err := json.Marshal(q)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://edged/api/v1/scan", bytes.NewReader(b))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	c := w.client()
	c.Timeout = 0
	resp, err := c.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	for s := bufio.NewScanner(resp.Body); resp.StatusCode == 200 && s.Scan(); {
		var e api.ScanEvent
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			w.t.Fatalf("%s: %v", s.Bytes(), err)
		}
		if !f(e) {
			break
		}
	}
	return resp.StatusCode
}

// unknownGauge is a gauge that the site does not know: a level as float32 in the
// order CDAB at 2.
func unknownGauge(level float32) line.Unit {
	bits := math.Float32bits(level)
	regs := map[uint16]uint16{0: 7, 1: 1, 2: uint16(bits), 3: uint16(bits >> 16), 4: 215}
	m := line.Map{Holding: func(a uint16) (uint16, line.Exception) {
		if v, ok := regs[a]; ok {
			return v, 0
		}
		return 0, line.IllegalAddress
	}, ID: &line.Identity{Objects: []string{"Bench", "G-7", "1.02"}, Each: 2}}
	return line.UnitFunc(func(pdu []byte, _ time.Time) ([]byte, line.Exception) { return m.Answer(pdu) })
}

// lab is a line of its own at an unusual rate with an unknown gauge.
func (w *town) lab(baud int) *line.Line {
	w.t.Helper()
	l, err := line.New(line.Config{Baud: baud, CharBits: 11, CheckBaud: true, Turnaround: 20 * time.Millisecond})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	return l
}

func TestAnUnknownGaugeIsFoundOnALineOfTheRunningBox(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	l := w.lab(4800)
	l.Attach(7, unknownGauge(3.25))
	w.edit("  out: ", "  lab:   {port: "+l.Path()+"}\n  out: ")
	w.start()
	var found *api.FoundUnit
	last := ""
	w.scanning(t.Context(), api.ScanQuery{Line: "lab", Who: "李雷", Units: []int{6, 7}, Bauds: []int{9600, 4800}, Formats: []string{"8N1"}, First: true, Sweep: true, WaitMS: 600}, func(e api.ScanEvent) bool {
		if e.Found != nil {
			found = e.Found
		}
		last = e.Kind
		return true
	})
	if found == nil || found.Unit != 7 || found.Baud != 4800 || found.How != "answers" || last != api.ScanDone {
		t.Fatalf("%+v, ended with %s", found, last)
	}
	if d := found.Identity; d == nil || d.Vendor != "Bench" || d.Product != "G-7" || d.Revision != "1.02" {
		t.Errorf("it says of itself: %+v", d)
	}
	likely := false
	for _, r := range found.Rows {
		if r.Addr == 2 && len(r.Float) == 4 && r.Float[1] != nil && *r.Float[1] == 3.25 {
			likely = strings.Contains(strings.Join(r.Likely, ","), "float32 CDAB")
		}
	}
	if !likely {
		t.Errorf("the level is not among %+v", found.Rows)
	}
	if r := w.recorded("scan.began", ""); r.Who == nil || r.Who.Name != "李雷" {
		t.Errorf("who scanned: %+v", r)
	}
}

func TestAScanHoldsItsLineAndLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	w.until("rain read", func() bool { return w.reading("rain-a.total").Quality == point.Good })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	known := map[int]string{}
	paused := false
	code := w.scanning(ctx, api.ScanQuery{Line: "field", Who: "李雷"}, func(e api.ScanEvent) bool {
		if e.Found != nil {
			known[e.Found.Unit] = e.Found.Device
		}
		if e.Done < 5 {
			return true
		}
		if !paused {
			paused = true
			w.faulty("line field", []string{"李雷", "搜索"}, []string{"李雷", "scanning"})
			if q := w.reading("rain-a.total").Quality; q == point.Good {
				t.Error("a point of the line is still good")
			}
			if q := w.reading("relay.in1").Quality; q != point.Good {
				t.Errorf("a point of another line is %v", q)
			}
			// The same line twice is refused, and so is a line that is not there.
			if c := w.scanning(t.Context(), api.ScanQuery{Line: "nowhere", Who: "x"}, func(api.ScanEvent) bool { return true }); c != 404 {
				t.Errorf("a line that is not there: %d", c)
			}
		}
		cancel() // as Ctrl-C does
		return true
	})
	if code != 200 || known[1] != "rain-a" || known[4] != "gas" {
		t.Errorf("%d: %v", code, known)
	}
	w.until("polling goes on", func() bool { return w.reading("rain-a.total").Quality == point.Good })
	if _, there := w.fault("line field"); there {
		t.Error("the fault still stands")
	}
	if w.reading("gas.ch4").Quality != point.Good {
		w.until("gas read", func() bool { return w.reading("gas.ch4").Quality == point.Good })
	}
}

func TestNoScanWhileALevelStandsUnlessForcedByName(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	began := time.Now()
	w.v.Gas.Set(gasPrepare)
	w.raised("gas", "prepare")
	w.sounds(began)
	q := api.ScanQuery{Line: "field", Who: "李雷", Units: []int{1, 2, 60, 61, 62, 63, 64, 65}, Bauds: []int{9600, 4800}}
	if c := w.scanning(t.Context(), q, func(api.ScanEvent) bool { return true }); c != http.StatusConflict {
		t.Errorf("while a level stands: %d", c)
	}
	q.Force = true
	var last api.ScanEvent
	from := time.Now()
	w.scanning(t.Context(), q, func(e api.ScanEvent) bool { last = e; return true })
	if last.Kind != api.ScanDone {
		t.Errorf("forced, it ended with %+v %+v", last, last.Why)
	}
	// The siren on the other line went on, and the level is held without its gauge.
	if on := w.v.Horn.Current().OnBetween(from, time.Now()); on < time.Since(from)/4 {
		t.Errorf("it sounded for %v of %v", on, time.Since(from))
	}
	if a, ok := w.alarm("gas"); !ok || a.Level != "prepare" {
		t.Errorf("the level was not held: %+v", a)
	}
	// Keys hang on the siren's line.
	if c := w.scanning(t.Context(), api.ScanQuery{Line: "out", Who: "李雷"}, func(api.ScanEvent) bool { return true }); c != http.StatusConflict {
		t.Errorf("a line with keys: %d", c)
	}
}

func TestALevelThatRisesEndsAScan(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	raised := false
	var last api.ScanEvent
	w.scanning(t.Context(), api.ScanQuery{Line: "field", Who: "李雷"}, func(e api.ScanEvent) bool {
		if !raised {
			raised = true
			w.post("/raise", map[string]string{"level": "prepare", "who": "王建国", "reason": "塘坝渗水"})
		}
		last = e
		return true
	})
	if last.Kind != api.ScanEnded || last.Why == nil || last.Why.Code != "scan.level_rose" {
		t.Errorf("it ended with %+v", last)
	}
	w.until("polling goes on", func() bool { return w.reading("gas.ch4").Quality == point.Good })
}

func TestTheFramesOfALineAreTold(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	var fs []api.Frame
	w.until("frames", func() bool { return w.get("/lines/field/frames", &fs) == nil && len(fs) > 4 })
	good := false
	for _, f := range fs {
		b := strings.ReplaceAll(f.Bytes, " ", "")
		if f.Kind == "answer" && f.Device != "" && len(f.Values) > 0 && len(b) >= 10 && f.Meaning.ZH != "" {
			good = true
		}
	}
	if !good {
		t.Errorf("%+v", fs)
	}
	if err := w.get("/lines/nowhere/frames", &fs); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a line that is not there: %v", err)
	}
}
