package apitest

import (
	"context"
	"time"

	"tocsin/firmware/serve/api"
)

// Alerts gives one warning in force.
func (b *Box) Alerts() []api.Alert {
	return []api.Alert{{
		Chain: "c1", Identifier: "44188241600000_20260614223000_0", Sender: "44188241600000", Sent: At, Issuer: "lianzhou-weather",
		Status: "Actual", State: "in_force", StateText: text("", "有效", "in force"), Event: text("", "暴雨", "Rainstorm"), Headline: text("", "暴雨红色预警", "Red rainstorm warning"),
		Colour: "red", Level: "evacuate", LevelText: text("", "立即转移", "Move now"), Concerns: true, Seen: 1, Ways: []string{"feed"},
		Verdict:    api.Verdict{WellFormed: true, Genuine: true, Trusted: true, InForce: true, Concerns: true},
		SenderName: text("", "连州市气象局", "Lianzhou weather service"), Description: text("", "预计未来三小时本市将有暴雨。", "Heavy rain within three hours."), MsgType: "Alert", Expires: At.Add(3 * time.Hour),
		Action: text("", "按“立即转移”响应", "acted on as “Move now”"),
	}, {
		Identifier: "x1", Sender: "nobody@example", Sent: At, Status: "Actual", MsgType: "Alert", State: "held",
		StateText: text("", "未经核验，只显示不发声", "not verified: shown, never sounded"), Headline: text("", "全县断电通知", "Power cut in the whole county"), Seen: 3,
		Verdict: api.Verdict{WellFormed: true, Reasons: []api.Reason{{Part: "genuine", Fatal: true, Text: text("", "没有签名，无法证明是谁发的", "there is no signature: nothing proves who sent it")}}},
	}}
}

// TakeAlert remembers what was handed in.
func (b *Box) TakeAlert(_ context.Context, raw []byte, way string) (api.Verdict, error) {
	if err := b.act(Act{What: "take-alert", ID: string(raw), Who: api.Who{Via: way}}); err != nil {
		return api.Verdict{}, err
	}
	return noAlert(), nil
}

// CheckAlert finds everything malformed.
func (b *Box) CheckAlert(raw []byte) api.Verdict {
	b.act(Act{What: "check-alert", ID: string(raw)})
	return noAlert()
}

func noAlert() api.Verdict {
	return api.Verdict{Reasons: []api.Reason{{Path: "/", Part: "form", Fatal: true, Text: text("", "不是预警", "no alert")}}}
}

// TakeCommand remembers what was handed in and refuses it.
func (b *Box) TakeCommand(_ context.Context, raw []byte, way string) (api.CommandVerdict, error) {
	err := b.act(Act{What: "take-command", ID: string(raw), Who: api.Who{Via: way}})
	return api.CommandVerdict{Outcome: text("", "签名无效", "the signature does not hold")}, err
}

// OwnFeed gives a feed without entries.
func (b *Box) OwnFeed(base string) []byte {
	return []byte(`<feed xmlns="http://www.w3.org/2005/Atom"><id>` + base + `</id></feed>`)
}

// OwnMessage knows a-1 alone.
func (b *Box) OwnMessage(id string) ([]byte, bool) {
	if id != "a-1" {
		return nil, false
	}
	return []byte(`<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"/>`), true
}

// OfferDocument remembers what was handed in.
func (b *Box) OfferDocument(_ context.Context, raw []byte) (api.Text, error) {
	return text("", "已收下", "kept"), b.act(Act{What: "offer-document", ID: string(raw)})
}
