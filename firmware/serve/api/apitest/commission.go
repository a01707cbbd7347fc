package apitest

import (
	"context"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// Commissioning gives a sheet with one step that is open.
func (b *Box) Commissioning() (api.Commissioning, error) {
	v := 12.4
	return api.Commissioning{Number: 1, Left: 1, PhotoQuota: 64 << 20, Steps: []api.CommissioningStep{{
		ID: "rain", Name: phrase.Text{ZH: "雨量计注水试验", EN: "Rain gauge with a measured volume"}, Do: []phrase.Text{{ZH: "倒水", EN: "Pour"}},
		Applies: true, State: "open", Skip: true, Measure: "rain", Timed: true, PhotosMost: 6,
		Things: []api.CommissioningThing{{ID: "rain.total", Name: phrase.Text{ZH: "累计雨量", EN: "Rain total"}, Value: &v, Unit: "mm", Quality: "good"}},
		Ask:    []api.CommissioningQuestion{}, Photos: []api.CommissioningPhoto{},
		Missing: []api.Text{text("commission.not_measured", "还没有测", "not measured yet")},
	}}}, b.Err
}

// Answer remembers who entered something.
func (b *Box) Answer(step string, _ map[string]string, who api.Who) error {
	return b.act(Act{What: "answer-step", ID: step, Who: who})
}

// Measure remembers what was measured.
func (b *Box) Measure(step string, m api.Measuring, who api.Who) error {
	return b.act(Act{What: "measure-step", ID: step, Reason: m.Act, Who: who})
}

// Settle remembers how a step ended.
func (b *Box) Settle(step, state, reason string, who api.Who) error {
	return b.act(Act{What: "settle-step", ID: step, Level: state, Reason: reason, Who: who})
}

// AddPhoto remembers a photo.
func (b *Box) AddPhoto(step string, p []byte, who api.Who) (api.CommissioningPhoto, error) {
	return api.CommissioningPhoto{ID: "1-1.jpg", Size: int64(len(p)), Who: who.Name, At: At}, b.act(Act{What: "add-photo", ID: step, Who: who})
}

// DropPhoto remembers what was removed.
func (b *Box) DropPhoto(step, photo string, who api.Who) error {
	return b.act(Act{What: "drop-photo", ID: step, Reason: photo, Who: who})
}

// Photo gives an empty picture.
func (b *Box) Photo(string) (api.Paper, error) { return api.Paper{Media: "image/jpeg"}, b.Err }

// CommissionAnew remembers who began anew.
func (b *Box) CommissionAnew(reason string, who api.Who) error {
	return b.act(Act{What: "commission-anew", Reason: reason, Who: who})
}

// Paper gives a page.
func (b *Box) Paper(_ context.Context, what, _ string, _ phrase.Lang) (api.Paper, error) {
	return api.Paper{Media: "text/html; charset=utf-8", Bytes: []byte("<!doctype html><title>" + what + "</title>")}, b.Err
}
