package alert

import "testing"

func TestWhatIsDoneFollowsTheTable(t *testing.T) {
	tt := tables(t)
	for name, c := range map[string]struct {
		change       func(a *Alert, in *Info)
		level, rule  string
		sound, quiet bool
	}{
		"red flash flood":            {func(_ *Alert, in *Info) {}, "evacuate", "red-slope", true, false},
		"red flash flood, later":     {func(_ *Alert, in *Info) { in.Urgency = "Future" }, "prepare", "red-slope-later", true, false},
		"red rainstorm":              {func(_ *Alert, in *Info) { in.EventCodes[0].Value = "11B03" }, "prepare", "red-water", true, false},
		"red heat moves nobody":      {func(_ *Alert, in *Info) { in.EventCodes[0].Value = "11B09" }, "", "red-weather", true, false},
		"red of an unknown code":     {func(_ *Alert, in *Info) { in.EventCodes[0].Value = "99Z99"; in.Event = "某事" }, "prepare", "red-unknown", true, false},
		"red by its words":           {func(_ *Alert, in *Info) { in.EventCodes = nil; in.Event = "山洪灾害气象预警" }, "evacuate", "red-slope", true, false},
		"a code of a known class":    {func(_ *Alert, in *Info) { in.EventCodes[0].Value = "11D99" }, "evacuate", "red-slope", true, false},
		"orange flash flood":         {func(_ *Alert, in *Info) { in.Colour = "orange" }, "prepare", "orange-slope", true, false},
		"orange gale":                {func(_ *Alert, in *Info) { in.Colour = "orange"; in.EventCodes[0].Value = "11B06" }, "", "orange", true, false},
		"yellow flash flood":         {func(_ *Alert, in *Info) { in.Colour = "yellow" }, "", "yellow-slope", true, false},
		"yellow lightning":           {func(_ *Alert, in *Info) { in.Colour = "yellow"; in.EventCodes[0].Value = "11B14" }, "", "yellow", false, false},
		"blue":                       {func(_ *Alert, in *Info) { in.Colour = "blue" }, "", "blue", false, false},
		"Guangdong's white typhoon":  {func(_ *Alert, in *Info) { in.Colour = "white"; in.EventCodes[0].Value = "11B01" }, "", "white", false, false},
		"severity without a colour":  {func(_ *Alert, in *Info) { in.Colour = ""; in.Severity = "Severe" }, "prepare", "orange-slope", true, false},
		"colour before the severity": {func(_ *Alert, in *Info) { in.Colour = "blue"; in.Severity = "Extreme" }, "", "blue", false, false},
		"neither":                    {func(_ *Alert, in *Info) { in.Colour = ""; in.Severity = "Unknown" }, "", "unknown", false, false},
		"leave now":                  {func(_ *Alert, in *Info) { in.Colour = "orange"; in.Responses = []string{"Evacuate"} }, "evacuate", "leave-now", true, false},
		"leave later":                {func(_ *Alert, in *Info) { in.Responses = []string{"Evacuate"}; in.Urgency = "Future" }, "prepare", "leave-later", true, false},
		"it is over":                 {func(_ *Alert, in *Info) { in.Urgency = "Past" }, "", "over", false, false},
		"all clear is only told":     {func(_ *Alert, in *Info) { in.Responses = []string{"AllClear"} }, "", "all-clear", false, false},
		"unlikely":                   {func(_ *Alert, in *Info) { in.Certainty = "Unlikely" }, "", "unlikely", false, false},
		"a test":                     {func(a *Alert, _ *Info) { a.Status = "Test" }, "", "red-slope", false, true},
		"a system message":           {func(a *Alert, _ *Info) { a.Status = "System" }, "", "red-slope", false, true},
		"a draft":                    {func(a *Alert, _ *Info) { a.Status = "Draft" }, "", "red-slope", false, true},
		"restricted":                 {func(a *Alert, _ *Info) { a.Scope = "Restricted" }, "", "red-slope", false, true},
		"private":                    {func(a *Alert, _ *Info) { a.Scope = "Private" }, "", "red-slope", false, true},
		"an unknown status":          {func(a *Alert, _ *Info) { a.Status = "actual" }, "", "red-slope", false, true},
	} {
		in := Info{Event: "山洪", EventCodes: []Named{{"eventType", "11A51"}}, Urgency: "Immediate", Severity: "Unknown", Certainty: "Likely", Colour: "red"}
		a := &Alert{Status: "Actual", MsgType: "Alert", Scope: "Public", Profile: "cn", Infos: []Info{in}}
		c.change(a, &a.Infos[0])
		got := tt.ActionFor(a, nil)
		if got.Level != c.level || got.Rule != c.rule || got.Sound != c.sound || (got.Kind == "") != c.quiet || got.Why.IsZero() {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAnExerciseIsNeverReal(t *testing.T) {
	tt := tables(t)
	a := &Alert{Status: "Exercise", MsgType: "Alert", Scope: "Public", Infos: []Info{{Severity: "Extreme", Colour: "red", Urgency: "Immediate"}}}
	if act := tt.ActionFor(a, nil); act.Kind != "drill" || !act.Sound {
		t.Errorf("%+v", act)
	}
}

func TestAMessageAboutAnotherNeverSoundsByItself(t *testing.T) {
	tt := tables(t)
	for _, typ := range []string{"Cancel", "Ack", "Error"} {
		a := &Alert{Status: "Actual", MsgType: typ, Scope: "Public", Infos: []Info{{Severity: "Extreme", Colour: "red"}}}
		if act := tt.ActionFor(a, nil); act.Sound || act.Level != "" {
			t.Errorf("%s: %+v", typ, act)
		}
	}
}

func TestHigherColoursWaitLess(t *testing.T) {
	tt := tables(t)
	for _, hazard := range []string{"11A51", "11B03", "11B09", "99Z99"} {
		last := 1 << 30
		for _, c := range []string{"red", "orange", "yellow", "blue"} {
			a := &Alert{Status: "Actual", MsgType: "Alert", Scope: "Public", Infos: []Info{{Colour: c, Urgency: "Immediate", EventCodes: []Named{{"eventType", hazard}}}}}
			r := tt.ActionFor(a, nil).Rank
			if r >= last {
				t.Errorf("%s %s: rank %d is not below %d", hazard, c, r, last)
			}
			last = r
		}
	}
}
