package alert

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// cn is a national message with the areas given.
func cn(t *testing.T, id string, areas ...Area) *Alert {
	t.Helper()
	return &Alert{Identifier: id, Sender: "s", Status: "Actual", MsgType: "Alert", Scope: "Public", Profile: "cn", Infos: []Info{{Areas: areas}}}
}

func coded(name, value string) Area { return Area{Desc: "a", Geocodes: []Named{{name, value}}} }

func TestADivisionCodeHoldsWhatLiesBelowIt(t *testing.T) {
	tt := tables(t)
	for name, c := range map[string]struct {
		code, here string
		yes        bool
	}{
		"the village itself":              {"441882103201", "441882103201", true},
		"another village of the town":     {"441882103202", "441882103201", false},
		"its town":                        {"441882103000", "441882103201", true},
		"its town in 9 digits":            {"441882103", "441882103201", true},
		"another town":                    {"441882104000", "441882103201", false},
		"its county in 6":                 {"441882", "441882103201", true},
		"its county in 12":                {"441882000000", "441882103201", true},
		"its county in 14":                {"44188200000000", "441882103201", true},
		"another county of the city":      {"441881000000", "441882103201", false},
		"its city":                        {"441800", "441882103201", true},
		"its city in 4":                   {"4418", "441882103201", true},
		"another city":                    {"441900000000", "441882103201", false},
		"its province":                    {"440000000000", "441882103201", true},
		"its province in 2":               {"44", "441882103201", true},
		"another province":                {"430000", "441882103201", false},
		"the country":                     {"000000", "441882103201", true},
		"a town that ends in a zero":      {"441882110000", "441882110203", true},
		"a county that ends in a zero":    {"441820", "441820103201", true},
		"and not the one beside it":       {"441820", "441821103201", false},
		"a list, the last of which is":    {"441881000000,441802000000、441882000000", "441882103201", true},
		"a list of others":                {"441881000000,441802000000", "441882103201", false},
		"a village in the box's own town": {"441882103201", "441882103000", true},
	} {
		a := cn(t, "x", coded("areaCode", c.code))
		if yes, why := a.Concerns(Place{Code: c.here}, tt); yes != c.yes {
			t.Errorf("%s: %v (%s)", name, yes, why.In("en"))
		}
	}
}

func TestCodesOfOtherTables(t *testing.T) {
	tt := tables(t)
	here := Place{Code: "441882103201", Also: []string{"SAME=048113", "profile:CAP-CP:Location:0.3=3506008", "UGC=TXZ119", "K7"}}
	for name, c := range map[string]struct {
		area Area
		yes  bool
	}{
		"SAME county":             {coded("SAME", "048113"), true},
		"SAME part of the county": {coded("SAME", "148113"), true},
		"SAME state":              {coded("SAME", "048000"), true},
		"SAME country":            {coded("SAME", "000000"), true},
		"SAME other":              {coded("SAME", "048115"), false},
		"Canada, exact":           {coded("profile:CAP-CP:Location:0.3", "3506008"), true},
		"Canada, province":        {coded("profile:CAP-CP:Location:0.3", "35"), true},
		"Canada, other":           {coded("profile:CAP-CP:Location:0.3", "3506009"), false},
		"UGC":                     {coded("ugc", "TXZ119"), true},
		"UGC, other":              {coded("UGC", "TXZ118"), false},
		"a value alone":           {coded("whatever", "K7"), true},
	} {
		a := &Alert{MsgType: "Alert", Profile: "cap", Infos: []Info{{Areas: []Area{c.area}}}}
		if yes, why := a.Concerns(here, tt); yes != c.yes {
			t.Errorf("%s: %v (%s)", name, yes, why.In("en"))
		}
	}
}

func TestAnAreaThatCannotBeJudgedIsDecidedByDataAndSaidSo(t *testing.T) {
	const mine, other = "44188241600000_20260512224000_1", "44010041600000_20260512224000_1"
	tt := tables(t)
	words := Area{Desc: "连州市"}
	broken := Area{Desc: "b", Unreadable: 1, Geocodes: []Named{{"areaCode", "440100000000"}}}
	for name, c := range map[string]struct {
		a    *Alert
		yes  bool
		code string
	}{
		"no area, own county":         {cn(t, mine), true, "alert.place.no_area"},
		"no area, another county":     {cn(t, other), false, "alert.place.no_area"},
		"no area, no publisher":       {&Alert{MsgType: "Alert", Profile: "cap", Infos: []Info{{}}}, false, "alert.place.no_area"},
		"words only, own county":      {cn(t, mine, words), true, "alert.place.unreadable"},
		"words only, another":         {cn(t, other, words), false, "alert.place.unreadable"},
		"a broken shape, own county":  {cn(t, mine, broken), true, "alert.place.unreadable"},
		"a code of no table":          {cn(t, mine, coded("站号", "59075X")), true, "alert.place.unreadable"},
		"a good one beside":           {cn(t, other, words, coded("areaCode", "441882")), true, "alert.place.code"},
		"elsewhere, though own":       {cn(t, mine, coded("areaCode", "441881")), false, "alert.place.elsewhere"},
		"nothing said":                {&Alert{MsgType: "Alert"}, false, "alert.place.empty"},
		"a cancel holds where it did": {&Alert{MsgType: "Cancel"}, true, "alert.place.about"},
	} {
		yes, why := c.a.Concerns(Place{Code: "441882103201"}, tt)
		if yes != c.yes || why.Code != c.code {
			t.Errorf("%s: %v %s (%s)", name, yes, why.Code, why.In("zh"))
		}
	}
}

func TestShapesHoldWhatIsInsideThem(t *testing.T) {
	square := Polygon{{24, 112}, {25, 112}, {25, 113}, {24, 113}, {24, 112}}
	bow := Polygon{{0, 0}, {2, 2}, {2, 0}, {0, 2}, {0, 0}}
	pacific := Polygon{{-10, 170}, {10, 170}, {10, -170}, {-10, -170}, {-10, 170}}
	concave := Polygon{{0, 0}, {4, 0}, {4, 4}, {2, 1}, {0, 4}, {0, 0}}
	for name, c := range map[string]struct {
		p   Polygon
		at  Point
		yes bool
	}{
		"inside": {square, Point{24.5, 112.5}, true}, "outside": {square, Point{25.5, 112.5}, false}, "beside": {square, Point{24.5, 113.001}, false},
		"on a side": {square, Point{24, 112.5}, true}, "on a corner": {square, Point{25, 113}, true}, "level with a corner": {square, Point{25, 113.5}, false},
		"under a corner": {square, Point{23, 112}, false}, "a lobe of a bow": {bow, Point{1.9, 1}, true}, "the other lobe": {bow, Point{0.1, 1}, true}, "beside its waist": {bow, Point{1, 0.1}, false},
		"over the date line": {pacific, Point{0, 179.9}, true}, "west of it": {pacific, Point{0, -175}, true}, "far from it": {pacific, Point{0, 0}, false},
		"in the bay": {concave, Point{2, 3}, false}, "beside the bay": {concave, Point{0.5, 3}, true},
	} {
		if got := c.p.Contains(c.at); got != c.yes {
			t.Errorf("%s: %v", name, got)
		}
	}
	c := Circle{Point{24, 112}, 10}
	for _, km := range []float64{0, 9.99, 10.2, 500} {
		at := Point{24 + km/earthKm*180/math.Pi, 112}
		if got := c.Contains(at); got != (km <= 10) {
			t.Errorf("%v km: %v", km, got)
		}
	}
	if (Circle{Point{0, 179.99}, 10}).Contains(Point{0, -179.99}) == false {
		t.Error("a circle over the date line")
	}
}

// TestCrossingsAreThoseThatTheSlowWayFinds compares with every pair of sides.
func TestCrossingsAreThoseThatTheSlowWayFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	both := map[verdict]int{}
	for i := range 4000 {
		n := 3 + r.IntN(60)
		var ring Polygon
		for j := range n {
			if i%2 == 0 { // a star: none cross, but for a swap now and then
				at, d := 2*math.Pi*float64(j)/float64(n), 0.5+r.Float64()
				ring = append(ring, Point{d * math.Sin(at), d * math.Cos(at)})
			} else {
				ring = append(ring, Point{float64(r.IntN(20)), float64(r.IntN(20))})
			}
		}
		if i%8 == 0 {
			a, b := r.IntN(n), r.IntN(n)
			ring[a], ring[b] = ring[b], ring[a]
		}
		ring = append(ring, ring[0])
		want := simple
		for a := 0; a < n && want == simple; a++ {
			for b := a + 1; b < n; b++ {
				if cut(ring[a], ring[a+1], ring[b], ring[b+1]) {
					want = crossing
					break
				}
			}
		}
		work := 0
		if got := crosses(ring, &work); got != want {
			t.Fatalf("%v: %d, want %d", ring, got, want)
		}
		both[want]++
	}
	if both[simple] < 500 || both[crossing] < 500 {
		t.Errorf("one-sided: %v", both)
	}
}

func TestOnlyBlocksForThisPlaceDecideWhatIsDone(t *testing.T) {
	tt := tables(t)
	text := strings.Replace(swap(t, "441882103000", "441882103000"), "</alert>", `<info><category>Met</category><event>heat</event><urgency>Immediate</urgency><severity>Minor</severity><certainty>Likely</certainty>
		<area><areaDesc>far</areaDesc><geocode><valueName>areaCode</valueName><value>530102000000</value></geocode></area></info></alert>`, 1)
	a, found := Parse([]byte(text), tt)
	if anyFatal(found, Form) {
		t.Fatal(codes(found))
	}
	for code, want := range map[string]struct {
		blocks, info int
		level        string
	}{"441882103201": {1, 0, "evacuate"}, "530102001001": {1, 1, ""}} {
		yes, _, blocks := a.concerns(Place{Code: code}, tt)
		act := tt.ActionFor(a, blocks)
		if !yes || len(blocks) != want.blocks || act.Info != want.info || act.Level != want.level {
			t.Errorf("%s: %v %v %+v", code, yes, blocks, act)
		}
	}
}
