package apitest

import "tocsin/firmware/serve/api"

// Readiness tells what the village's state makes of it.
func (b *Box) Readiness() api.Readiness {
	b.mu.Lock()
	defer b.mu.Unlock()
	volts := 12.93
	r := api.Readiness{
		Sounds: "yes", Line: text("ready.yes", "现在能鸣响“立即转移”", "Could sound “evacuate now” at this moment"),
		Outputs: []api.OutputReady{
			{Output: "siren", Name: text("", "警报器", "siren"), Kind: "motor", Able: true, Sensed: true},
			{Output: "horn", Name: text("", "喇叭", "horn"), Kind: "loudspeaker", Able: true},
		},
		Power:  api.Power{Line: text("ready.until_unknown", "蓄电池 12.93 V，能用多久不知道", "battery 12.93 V, how long it lasts is not known"), Volts: &volts},
		Levels: []api.LevelInfo{{Code: "prepare", Text: text("level.prepare", "准备转移", "get ready to leave"), Colour: "orange"}, {Code: "evacuate", Text: text("level.evacuate", "立即转移", "evacuate now"), Colour: "red"}},
	}
	if !b.status.Armed {
		r.Sounds, r.Line = "no", text("ready.no", "现在不能鸣响“立即转移”", "Could not sound “evacuate now” at this moment")
		r.Why = b.status.NotArmed
	}
	return r
}

// Recent gives the newest records at hand.
func (b *Box) Recent(limit int) []api.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.records
	if len(l) > limit {
		l = l[len(l)-limit:]
	}
	return append([]api.Record(nil), l...)
}
