package alert

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// Namer gives what the box sends its names: no two messages of one box share one, also
// across power cuts, restarts within a boot and whatever its clock says: the boot's id and when in that
// boot it gave its first name are part of each.
// It is used by one goroutine.
type Namer struct {
	// Sender is the box's own, unique in the world: an address or a domain.
	Sender string
	// Box begins each identifier.
	Box string
	n   uint64
	// begun is when it gave its first name, in this boot.
	begun string
}

func (n *Namer) next(at clock.Stamp) (Alert, error) {
	if !isWord(n.Sender) || !isWord(n.Box) {
		return Alert{}, phrase.E("alert.write.names", "sender", n.Sender, "box", n.Box)
	}
	if at.Wall.IsZero() {
		return Alert{}, phrase.E("alert.write.no_time")
	}
	if n.begun == "" {
		n.begun = strconv.FormatInt(int64(at.Mono/time.Millisecond), 36)
	}
	n.n++
	boot := strings.ReplaceAll(at.Boot, "-", "")
	return Alert{
		Identifier: fmt.Sprintf("%s-%s-%s-%d", n.Box, boot[:min(len(boot), 16)], n.begun, n.n), Sender: n.Sender,
		Sent: at.Wall.Truncate(time.Second), Scope: "Public", MsgType: "Alert",
	}, nil
}

// Own is an alarm of this box, as it is to be told.
type Own struct {
	// Kind is real, drill or test.
	Kind string
	// Cause ties the message to the soundings and receipts of the alarm.
	Cause string
	// Level is a code of levels.yaml; "" with Over ends what Earlier began.
	Level     string
	LevelName phrase.Text
	Hazard    phrase.Text
	Site      phrase.Text
	Because   []phrase.Message
	// Earlier are all messages of this alarm that still stand, none for its first.
	Earlier []Ref
	Over    bool
	// Lasts is how long it is to be believed without an update.
	Lasts time.Duration
}

// FromAlarm makes the message of the box's own alarm: an Alert for its first, an
// Update for each change, a Cancel when it is over. It speaks of measurements and of
// the village's plan, never with a colour or the words of an office (Meteorology
// Law, art. 22).
func (n *Namer) FromAlarm(o Own, here Place, at clock.Stamp, t *Tables) (*Alert, error) {
	a, err := n.next(at)
	if err != nil {
		return nil, err
	}
	a.Status = map[string]string{"real": "Actual", "drill": "Exercise", "test": "Test"}[o.Kind]
	if a.Status == "" {
		return nil, phrase.E("alert.write.kind", "kind", o.Kind)
	}
	a.References = o.Earlier
	if o.Cause != "" {
		a.Incidents = []string{o.Cause}
	}
	switch {
	case o.Over && len(o.Earlier) == 0:
		return nil, phrase.E("alert.write.nothing_over")
	case o.Over:
		a.MsgType = "Cancel"
		a.Note = both(phrase.M("alert.own.over", "site", o.Site, "hazard", o.Hazard))
		return &a, nil
	case len(o.Earlier) > 0:
		a.MsgType = "Update"
	}
	row, ok := t.actions.Own.Levels[o.Level]
	if !ok {
		return nil, phrase.E("alert.write.level", "level", o.Level)
	}
	if o.Lasts <= 0 {
		return nil, phrase.E("alert.write.lasts")
	}
	for _, l := range phrase.Languages {
		var because []string
		for _, m := range o.Because {
			because = append(because, m.In(l))
		}
		a.Infos = append(a.Infos, Info{
			Language: map[phrase.Lang]string{phrase.ZH: "zh-CN", phrase.EN: "en-US"}[l], Categories: t.actions.Own.Categories, Event: o.Hazard.In(l),
			Responses: []string{row.Response}, Urgency: row.Urgency, Severity: row.Severity, Certainty: row.Certainty,
			Effective: a.Sent, Expires: a.Sent.Add(o.Lasts.Truncate(time.Second)), SenderName: o.Site.In(l),
			Headline:    phrase.M("alert.own.headline", "site", o.Site, "hazard", o.Hazard, "level", o.LevelName).In(l),
			Description: strings.Join(because, "\n"),
			Instruction: phrase.M("alert.own.instruction", "level", o.LevelName).In(l),
			Areas:       []Area{ownArea(o.Site.In(l), here)},
		})
	}
	return &a, nil
}

func ownArea(name string, here Place) Area {
	a := Area{Desc: name}
	if here.Lat != 0 || here.Lon != 0 {
		a.Circles = []Circle{{Point{here.Lat, here.Lon}, 0}}
	}
	if here.Code != "" {
		a.Geocodes = []Named{{"areaCode", here.Code}}
	}
	return a
}

// Outcome is what became of an alert in this box, as it was measured.
type Outcome struct {
	Site phrase.Text
	// What says it: received and shown, sounded and heard, refused.
	What phrase.Message
	// Cause ties it to the receipts of the sounding.
	Cause string
}

// AckOf makes the receipt of an alert. It goes to its sender and to nobody else, and
// is for drills what the alert was for.
func (n *Namer) AckOf(o *Opened, out Outcome, at clock.Stamp) (*Alert, error) {
	a, err := n.about(o, at)
	if err != nil {
		return nil, err
	}
	a.MsgType = "Ack"
	a.Note = both(phrase.M("alert.own.ack", "site", out.Site, "what", out.What))
	if out.Cause != "" {
		a.Incidents = []string{out.Cause}
	}
	return a, nil
}

// ErrorMost bounds how many findings an Error quotes.
const ErrorMost = 8

// ErrorOf tells an alert's sender why it was refused.
func (n *Namer) ErrorOf(o *Opened, site phrase.Text, at clock.Stamp) (*Alert, error) {
	a, err := n.about(o, at)
	if err != nil {
		return nil, err
	}
	a.MsgType = "Error"
	notes := []string{both(phrase.M("alert.own.error", "site", site))}
	for _, f := range o.Findings {
		if f.Fatal && len(notes) <= ErrorMost {
			notes = append(notes, both(phrase.M("alert.own.reason", "path", f.Path, "what", f.What)))
		}
	}
	a.Note = strings.Join(notes, "\n")
	return a, nil
}

func (n *Namer) about(o *Opened, at clock.Stamp) (*Alert, error) {
	if o.Alert == nil || o.Alert.Sent.IsZero() || !isWord(o.Alert.Sender) || !isWord(o.Alert.Identifier) {
		return nil, phrase.E("alert.write.nameless")
	}
	a, err := n.next(at)
	if err != nil {
		return nil, err
	}
	if a.Sent.Before(o.Alert.Sent) {
		// Our clock is behind the sender's: a message cannot answer one that was not
		// yet sent, so it is dated as the answer that it is.
		a.Sent = o.Alert.Sent
	}
	a.Status = o.Alert.Status
	if !has(alertFields[fieldOf(alertFields, "status")].values, a.Status) {
		a.Status = "System"
	}
	a.Scope, a.Addresses = "Private", []string{o.Alert.Sender}
	a.References = []Ref{o.Alert.Ref()}
	return &a, nil
}

// both is a message in Chinese and then in English: an Ack has no info to hold a
// language each.
func both(m phrase.Message) string { return m.In(phrase.ZH) + " / " + m.In(phrase.EN) }
