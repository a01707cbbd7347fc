package apitest

import (
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// Announcer is a village with a horn, a siren and two messages.
func (b *Box) Announcer() api.Announcer {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := api.Announcer{
		Outputs: []api.Speaker{
			{ID: "horn", Text: text("horn", "村口大喇叭", "horn at the gate"), Kind: "loudspeaker", KindText: text("", "喇叭", "loudspeaker"), Zones: []string{"north"}, Speaks: true, State: "silent"},
			{ID: "siren", Text: text("siren", "村部警报器", "siren of the committee"), Kind: "electronic", KindText: text("", "电子警报器", "electronic siren"), Zones: []string{"north"}, MeasuredBy: "current", State: "silent"},
		},
		Zones: []api.Zone{{Name: "north", Outputs: []string{"horn", "siren"}}},
		Messages: []api.Preset{
			{ID: "river", Text: text("river", "不要下河", "Stay out of the river"), Words: text("", "请注意，请不要下河。", "Attention, please stay out of the river."), Outputs: []string{"horn"}, Langs: []string{"cmn", "yue"}, For: time.Minute},
			{ID: "gather", Text: text("gather", "到村委会集合", "Gather at the committee"), Words: text("", "请到村委会集合。", "Please come to the village committee."), Outputs: []string{"horn"}, Langs: []string{"cmn"}, Missing: []string{"yue"}, For: time.Minute},
		},
		Levels:   []api.Raisable{{Level: "prepare", Text: text("prepare", "准备转移", "Prepare to move")}, {Level: "evacuate", Text: text("evacuate", "立即转移", "Move now"), Words: text("", "请立即转移到安置点。", "Move to the shelter now.")}},
		Evacuate: "evacuate", Confirm: 30 * time.Second, TalkMost: 3 * time.Minute, MaintenanceMost: 2 * time.Hour,
		Test: api.TestBounds{Most: 15 * time.Second, Volume: 25, Beat: 200 * time.Millisecond, Silent: 650 * time.Millisecond, QuietFrom: "21:00", QuietTo: "07:00", Quiet: "no"},
	}
	a.RecordMost = 30 * time.Second
	a.Recordings = []api.Recording{{ID: "rec-1", Name: "停水", Who: "陈志强", At: At, Long: 6 * time.Second, Used: true, Heard: true}, {ID: "rec-2", Name: "收谷", Who: "陈志强", At: At, Long: 4 * time.Second}}
	for _, s := range b.sounds.Now {
		for i := range a.Outputs {
			for _, o := range s.Outputs {
				if a.Outputs[i].ID == o {
					a.Outputs[i].State, a.Outputs[i].Cause, a.Outputs[i].OfKind = "heard", s.Cause, s.Kind
					a.Outputs[i].Measured = a.Outputs[i].MeasuredBy
					if a.Outputs[i].MeasuredBy == "" {
						a.Outputs[i].State = "started"
					}
				}
			}
		}
	}
	a.Maintenance = b.status.Maintenance
	return a
}

// Say remembers what was said.
func (b *Box) Say(id string, a api.SayAsk, who api.Who, by api.Actor) (api.Said, error) {
	return api.Said{Cause: "say-1", Outputs: []string{"horn"}}, b.act(Act{What: "say", ID: id, Reason: a.Key, Who: who, By: by})
}

// ArmEvacuation remembers who armed.
func (b *Box) ArmEvacuation(level string, who api.Who, by api.Actor) (api.Arming, error) {
	return api.Arming{Word: "WORD23", Left: 30 * time.Second, Level: "evacuate", LevelText: text("evacuate", "立即转移", "Move now"), Words: text("", "请立即转移到安置点。", "Move to the shelter now."), Outputs: []string{"horn", "siren"}},
		b.act(Act{What: "arm", Level: level, Who: who, By: by})
}

// Evacuate remembers who confirmed by which word.
func (b *Box) Evacuate(word, reason string, who api.Who, by api.Actor) (api.Evacuated, error) {
	return api.Evacuated{Alarm: "a-9"}, b.act(Act{What: "evacuate", ID: word, Reason: reason, Who: who, By: by})
}

func (b *Box) test(id, state string) api.SoundTest {
	return api.SoundTest{ID: id, Cause: "test-" + id, State: state, Beat: 2, Left: 10 * time.Second, Volume: 25, Outputs: []string{"horn"}, Sounded: []string{}, Measured: []string{}, Failed: []string{}}
}

// OpenTest remembers a test.
func (b *Box) OpenTest(a api.TestAsk, who api.Who) (api.SoundTest, error) {
	return b.test("t-1", "armed"), b.act(Act{What: "test", Who: who})
}

// HoldTest remembers that it is held.
func (b *Box) HoldTest(id string, beat uint64) (api.SoundTest, error) {
	return b.test(id, "sounding"), b.act(Act{What: "hold", ID: id})
}

// EndTest remembers that it is not.
func (b *Box) EndTest(id string) (api.SoundTest, error) {
	return b.test(id, "over"), b.act(Act{What: "end-test", ID: id})
}

// Maintain remembers who works.
func (b *Box) Maintain(a api.MaintenanceAsk, who api.Who) (api.Maintenance, error) {
	return api.Maintenance{By: who, Why: a.Why, Since: At, Left: time.Duration(a.Minutes) * time.Minute, Muted: []string{}}, b.act(Act{What: "maintain", Reason: a.Why, Who: who})
}

// EndMaintenance remembers who ended it.
func (b *Box) EndMaintenance(who api.Who) error { return b.act(Act{What: "end-maintenance", Who: who}) }

// FactoryReset remembers who asked for it with the secret GOOD.
func (b *Box) FactoryReset(secret string, who api.Who) error {
	if secret != "GOOD" {
		return phrase.E("reset.wrong")
	}
	return b.act(Act{What: "reset", Who: who})
}

// ResetLeft is none.
func (b *Box) ResetLeft() time.Duration { return 0 }

// Restart remembers who began it anew.
func (b *Box) Restart(who api.Who) error { return b.act(Act{What: "restart", Who: who}) }
