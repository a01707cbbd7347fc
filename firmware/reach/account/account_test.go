package account

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

var configFS = configs.FS

func TestTheShippedRulesHoldAndFaultyOnesAreNamed(t *testing.T) {
	b, err := configs.FS.ReadFile(RulesName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseRules(b); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][3]string{
		{"every: 5m ", "every: 90s ", "every"}, {"bytes: 65", "bytes: 3", "narrow.bytes"}, {"chain: 8", "chain: 16", "narrow.chain"},
		{"m: 0.01", "m: 0", "resolution.m"}, {"version: 1", "version: 2", "version"}, {"least: 30s", "least: 2h", "state.least"}, {"narrow:", "shallow:", "shallow"},
	} {
		_, err := ParseRules([]byte(strings.Replace(string(b), c[0], c[1], 1)))
		if err == nil || !strings.Contains(err.Error(), c[2]) || !strings.Contains(err.Error(), RulesName) {
			t.Errorf("%s: %v", c[1], err)
		}
	}
}

func TestADictionaryKeepsItsNumberWhileItMeansTheSame(t *testing.T) {
	first, fresh := Settle(nil, 5, channels(20), 16)
	if !fresh || first.Wide.Number == first.Narrow.Number || len(first.Narrow.Channels) != 16 {
		t.Fatalf("%+v", first)
	}
	kept, err := ReadDictionaries(first.Bytes())
	if err != nil || !reflect.DeepEqual(*kept, first) {
		t.Fatalf("%+v %v", kept, err)
	}
	renamed := channels(20)
	renamed[3].ZH = "村口水位"
	if d, fresh := Settle(kept, 5, renamed, 16); fresh || d.Wide.Number != first.Wide.Number || d.Wide.Channels[3].ZH != "村口水位" {
		t.Errorf("another name made it another: %+v", d.Wide)
	}
	before := first
	for i := range 20 { // no two that follow each other share a number, all the way round
		cs := channels(20)
		cs[0].Resolution = 0.1 * float64(i+1)
		n := 16 + 8*(i%2)
		d, fresh := Settle(&before, 5, cs, n)
		if one := len(d.Narrow.Channels) == len(d.Wide.Channels); !fresh || one != (d.Wide.Number == d.Narrow.Number) {
			t.Fatalf("%d: %d and %d", i, d.Wide.Number, d.Narrow.Number)
		}
		for _, a := range []uint8{before.Wide.Number, before.Narrow.Number} {
			if a == d.Wide.Number || a == d.Narrow.Number {
				t.Fatalf("%d: number %d means two things", i, a)
			}
		}
		before = d
	}
	for name, other := range map[string][]Channel{"unit": {{Point: "aa", Unit: "mm", Resolution: 0.01}}, "point": {{Point: "x", Unit: "m", Resolution: 0.01}}} {
		one, _ := Settle(nil, 5, channels(1), 16)
		if _, fresh := Settle(&one, 5, other, 16); !fresh {
			t.Errorf("another %s and the same number", name)
		}
		if _, fresh := Settle(&one, 10, channels(1), 16); !fresh {
			t.Error("another step and the same number")
		}
	}
	if d, _ := Settle(nil, 5, channels(40), 16); len(d.Wide.Channels) != wire.ChannelsMost {
		t.Errorf("%d channels", len(d.Wide.Channels))
	}
}

// TestBothEndsReadTheSameJSON holds what is written against the content that hub and station agreed on.
func TestBothEndsReadTheSameJSON(t *testing.T) {
	d, _ := Settle(nil, 5, channels(2), 16)
	var agreed wire.DictionaryContent
	if err := json.Unmarshal(d.Wide.Bytes(), &agreed); err != nil || agreed.Step != 5 || len(agreed.Channels) != 2 || agreed.Channels[1] != wire.ChannelContent(d.Wide.Channels[1]) {
		t.Errorf("%+v %v", agreed, err)
	}
	s := someState()
	var state wire.StateContent
	if err := json.Unmarshal(s.Bytes(), &state); err != nil || state.Version != "1.2.3" || state.Started != s.Started || !state.Ready || len(state.Faults) != 1 || state.Faults[0].EN != "dry" ||
		state.Update == nil || state.Update.NextNumber != 14 || state.Update.Order == nil || *state.Update.Order != (wire.OrderContent{Number: 14, By: "李", State: "waits", At: 5, Until: 6, Code: "update.level", ZH: "等", EN: "waits"}) ||
		len(state.Links) != 1 || state.Links[0] != (wire.LinkContent{Name: "fibre", State: "up"}) {
		t.Errorf("%+v %v", state, err)
	}
}

func someState() State {
	return State{Version: "1.2.3", Started: 1_790_000_000, At: 1_790_000_100, Trust: "set", Ready: true, Journal: true, Points: 4, Told: 3, Blind: []string{"gas"},
		Faults: []Fault{{"device rain", 1_790_000_050, Text{"干", "dry"}}}, Links: []Link{{Name: "fibre", State: "up", Delivery: 0.99, Latency: time.Second}}, Outbox: &Outbox{Waiting: 3},
		Update: &Update{Number: 13, Next: "1.4", NextNumber: 14, Order: &Order{Number: 14, By: "李", State: "waits", At: 5, Until: 6, Code: "update.level", Text: Text{"等", "waits"}}}}
}

func TestOnlyWhatChangedIsNews(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*State)
		news   bool
	}{
		"a minute later":      {func(s *State) { s.At += 60 }, false},
		"a link's latency":    {func(s *State) { s.Links[0].Latency *= 2 }, false},
		"what waits":          {func(s *State) { s.Outbox = &Outbox{Waiting: 9} }, false},
		"a fault's own words": {func(s *State) { s.Faults[0].ZH = "干了 5 分钟" }, false},
		"a link that fell":    {func(s *State) { s.Links[0].State = "down" }, true},
		"another fault":       {func(s *State) { s.Faults = append(s.Faults, Fault{Thing: "journal"}) }, true},
		"a hazard that sees":  {func(s *State) { s.Blind = nil }, true},
		"an order's reason":   {func(s *State) { s.Update.Order.Code = "update.sounding" }, true},
		"the clock":           {func(s *State) { s.Trust = "free" }, true},
		"not ready":           {func(s *State) { s.Ready = false }, true},
	} {
		before, now := someState(), someState()
		c.change(&now)
		if now.News(before) != c.news {
			t.Errorf("%s: news is not %v", name, c.news)
		}
	}
	s := someState()
	if back, err := ReadState(s.Bytes()); err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("%+v %v", back, err)
	}
}

func TestAStageOnlyRisesAndIsToldOnce(t *testing.T) {
	var r Receipts
	p := func(s wire.Stage, w wire.Why) wire.Progress { return wire.Progress{Stage: s, Why: w} }
	for i, c := range []struct {
		p      wire.Progress
		urgent bool
		now    wire.Progress
		news   bool
	}{
		{p(wire.Verified, 0), false, p(wire.Verified, 0), true},
		{p(wire.Verified, 0), true, p(wire.Verified, 0), false},
		{p(wire.Sounding, 0), false, p(wire.Sounding, 0), true},
		{p(wire.Sounding, wire.WhyOutputs), false, p(wire.Sounding, wire.WhyOutputs), true},
		{p(wire.Heard, 0), false, p(wire.Heard, 0), true},
		{p(wire.Played, 0), false, p(wire.Heard, 0), false},
		{p(wire.Sounding, wire.WhyOutputs), false, p(wire.Heard, 0), false},
		{p(wire.Confirmed, 0), false, p(wire.Confirmed, 0), true},
		{p(wire.Received, 0), false, p(wire.Confirmed, 0), false},
	} {
		now, urgent, news := r.Take("s,i,t", c.p, c.urgent)
		if now != c.now || news != c.news || urgent != (i > 0) {
			t.Errorf("%d: %+v urgent %v news %v", i, now, urgent, news)
		}
	}
	var after Receipts
	after.Take("other", p(wire.Heard, 0), false)
	after.Take("s,i,t", p(wire.Verified, 0), false) // said before the disk had loaded
	if err := after.Restore(r.Snapshot()); err != nil {
		t.Fatal(err)
	}
	if now, urgent, news := after.Take("s,i,t", p(wire.Heard, 0), false); now.Stage != wire.Confirmed || !urgent || news {
		t.Errorf("after a restart: %+v %v %v", now, urgent, news)
	}
	if _, _, news := after.Take("other", p(wire.Played, 0), false); news {
		t.Error("what was said before the disk had loaded is forgotten")
	}
	for i := range 3 * receiptsMost {
		after.Take(fmt.Sprint(i), p(wire.Verified, 0), false)
	}
	if len(after.all) != receiptsMost || len(after.Snapshot()) > receiptsBytes {
		t.Errorf("%d are kept", len(after.all))
	}
	if err := new(Receipts).Restore([]byte(`[{"ref":"x","stage":9}]`)); phrase.Of(err).Code != "account.receipts" {
		t.Error(err)
	}
}

func FuzzReaders(f *testing.F) {
	d, _ := Settle(nil, 5, channels(3), 2)
	var r Receipts
	r.Take("a,b,c", wire.Progress{Stage: wire.Heard}, true)
	for _, b := range [][]byte{d.Wide.Bytes(), d.Bytes(), someState().Bytes(), r.Snapshot(), []byte("version: 1\nevery: 5m\n"), nil} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := ReadDictionary(b); err == nil {
			if back, err := ReadDictionary(d.Bytes()); err != nil || !back.Means(d) || back.Number != d.Number {
				t.Errorf("%+v is read back as %+v (%v)", d, back, err)
			}
			if _, err := wire.NewDecoder(d.Wire()); err != nil {
				t.Error(err)
			}
		}
		if d, err := ReadDictionaries(b); err == nil {
			if _, err := NewTelemetry(Narrow{Bytes: 65, Channels: 16, Within: time.Hour, Chain: 8, Key: 12}, *d, true, "", 0); err != nil {
				t.Error(err)
			}
		}
		if s, err := ReadState(b); err == nil && s.News(s) {
			t.Error("a state is news against itself")
		}
		var r Receipts
		if r.Restore(b) == nil && r.Restore(r.Snapshot()) != nil {
			t.Error("what was restored is not what can be kept")
		}
		_, _ = ParseRules(b)
	})
}
