package station

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/wire"
)

// alarmBytes is the most that an alarm's short form takes: one message of a BeiDou card of
// level 3, with what the courier counts around a part (78 - 11 - 2).
const alarmBytes = 65

// telling is how the county is told something: how urgently, and in which few bytes where
// every byte counts.
type telling struct {
	class  courier.Class
	urgent bool
	// kind is the envelope's type where only the short form is said.
	kind  uint8
	short func(wire.Name) []byte
	// packet is how far a warning got; news that the county does not know it yet.
	packet []byte
	news   bool
	// level is an alarm's.
	level point.Level
	// stage is the same in words, told that an outcome is to be remembered.
	stage phrase.Message
	told  bool
}

// alarmTelling says how a change of the box's own alarm is told. What is red or orange goes on
// every link at once, as a warning of the county's does.
func (x *herald) alarmTelling(bp *Blueprint, e alarm.Event, again bool) telling {
	a := e.Alarm
	t := telling{class: courier.Alarm, kind: uint8(wire.ItemAlarm), level: a.Level}
	item := wire.AlarmItem{Rank: uint8(min(max(int(a.Level), 0), 31)), Cause: causeDigest(a.ID), Hazard: a.Hazard}
	switch e.Kind {
	case alarm.EventRaised:
		item.Event = wire.AlarmRaised
	case alarm.EventEscalated:
		item.Event = wire.AlarmEscalated
	case alarm.EventEased:
		item.Event = wire.AlarmEased
	case alarm.EventAgain:
		item.Event = wire.AlarmAgain
	default:
		item.Event = wire.AlarmReleased
	}
	if !again && item.Event != wire.AlarmEased && item.Event != wire.AlarmReleased && urgentLevel(bp.Levels, a.Level) {
		t.class = courier.Warning
	}
	if e.At.Trust > clock.Free {
		item.At = uint32(max(0, e.At.Wall.Unix()))
	}
	var why []string
	for _, m := range a.Because {
		why = append(why, bp.spell(m).In(phrase.ZH))
	}
	if item.Event == wire.AlarmReleased && a.By != nil {
		why = []string{phrase.M("station.released", "who", a.By.Name).In(phrase.ZH)}
	}
	item.Text = strings.Join(why, "；")
	t.stage = phrase.M("station.told_alarm", "hazard", a.Hazard)
	t.short = func(n wire.Name) []byte {
		item.Name = n
		b, err := item.Append(nil, alarmBytes)
		if err != nil { // a hazard whose code no message can carry
			x.h.log.Error("an alarm has no short form", "hazard", item.Hazard, "err", err)
		}
		return b
	}
	return t
}

// causeDigest is the same in all that is told of one alarm.
func causeDigest(id string) uint16 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint16(sum[:])
}

// stageTelling says how far a warning got, where that is news for the county. What is none goes along with the other
// papers, over a link that carries such.
func (x *herald) stageTelling(ref alert.Ref, p wire.Progress, urgent bool) telling {
	key := ref.Key()
	if at, known := x.stages.Stage(key); known && p.Why == wire.WhyOutputs && at >= wire.Sounding {
		p.Stage = wire.Sounding // some output took it
	}
	if ok, why := x.h.journal.State(); !ok && p.Why == wire.WhyNone && why.Code != "journal.opening" {
		p.Why = wire.WhyUnkept
	}
	t := telling{class: courier.Telemetry, kind: uint8(wire.ItemReceipts)}
	who := x.h.post.as()
	if who == nil {
		return t // nobody hears it, and so it is told later
	}
	now, urgent, news := x.stages.Take(key, p, urgent)
	t.news = news
	b, err := wire.AppendReceipts(nil, aboutOf(ref), []wire.ReceiptOf{{Station: who.Number, Progress: now}})
	if err != nil {
		x.h.log.Error("a stage cannot be told", "ref", key, "err", err)
		return t
	}
	t.packet = b
	if news {
		t.class, t.urgent = courier.Receipt, urgent
		t.stage = phrase.M("station.told_stage", "stage", stageText(now), "warning", ref.Identifier)
		t.short = func(wire.Name) []byte { return b }
	}
	return t
}

// stageTexts name how far a warning got.
var stageTexts = map[wire.Stage]phrase.Message{
	wire.Received: phrase.M("station.stage_received"), wire.Verified: phrase.M("station.stage_verified"), wire.Sounding: phrase.M("station.stage_sounding"),
	wire.Played: phrase.M("station.stage_played"), wire.Heard: phrase.M("station.stage_heard"), wire.Confirmed: phrase.M("station.stage_confirmed"),
}

func stageText(p wire.Progress) phrase.Message { return stageTexts[p.Stage] }

// aboutOf names a warning in a packet of receipts: one of 78 bytes by the fields that its sender
// knows of it, any other by its triple.
func aboutOf(ref alert.Ref) wire.About {
	if n, ok := compact.Named(ref.Identifier); ok {
		return wire.AboutCompact(uint8(n.Type), n.Issuer, int(n.Day), n.Number)
	}
	return wire.AboutAlert(ref.Key())
}

// post gives the county a content, in one with what the journal keeps of it.
func (x *herald) post(name wire.Name, named bool, kind uint8, content []byte, t telling, at clock.Stamp, batch journal.Batch) {
	if !named {
		x.h.journal.Commit(batch)
		return
	}
	var ext []wire.Extension
	if t.packet != nil && kind != uint8(wire.ItemReceipts) {
		ext = []wire.Extension{{Type: wire.ExtensionReceipts, Bytes: t.packet}}
	}
	b, ok := x.h.post.envelope(name, wire.Envelope{Class: wire.Class(t.class), Created: max(0, at.Wall.UnixMilli()), Trust: wireTrust(at.Trust), Type: kind, Content: content, Extensions: ext})
	if !ok {
		x.h.journal.Commit(batch)
		return
	}
	if len(batch.Records) > 0 {
		x.h.deliveries.told(name.String(), batch.Records[0].Cause, batch.Records[0].Message)
	}
	m := courier.Message{ID: name.String(), Class: t.class, Urgent: t.urgent, Made: at, Payload: b}
	if t.short != nil {
		m.Short = t.short(name)
	}
	x.h.post.send(m, batch)
}

// wireTrust says what the clock was worth, in an envelope's numbers.
func wireTrust(t clock.Trust) uint8 {
	if t > clock.Free {
		return 2
	}
	return 1
}

// bare tells the county the short form alone, where there is no document or none is worth it.
func (x *herald) bare(t telling, cause string, at clock.Stamp) {
	name, named := x.countyName()
	if !named || t.short == nil {
		return
	}
	content := t.short(name)
	if len(content) == 0 {
		return
	}
	batch := journal.Batch{Records: []journal.Record{{Kind: "county.told", Cause: cause, At: at, Message: t.stage, Body: nameBody(name)}}}
	x.keep(t, &batch)
	x.post(name, true, t.kind, content, t, at, batch)
}

// countyName names a message to the county; false where there is none to tell.
func (x *herald) countyName() (wire.Name, bool) {
	if x.h.seen().bp.Doc.Site.County == nil {
		return wire.Name{}, false
	}
	return x.h.post.name()
}

func nameBody(n wire.Name) json.RawMessage {
	b, _ := json.Marshal(map[string]string{"name": n.String()}) // one string
	return b
}

// keep adds what is remembered of what was told.
func (x *herald) keep(t telling, b *journal.Batch) {
	if !x.restored { // else it would replace what nobody has read yet
		return
	}
	if b.State == nil {
		b.State = map[string][]byte{}
	}
	if t.told {
		b.State[keyTold] = x.told.snapshot()
	}
	if t.news {
		b.State[keyStages] = x.stages.Snapshot()
	}
}

// tolds are outcomes that were told, the newest toldMost of them.
type tolds struct{ all []string }

func (t *tolds) has(key string) bool { return slices.Contains(t.all, key) }

func (t *tolds) add(key string) {
	if t.all = append(t.all, key); len(t.all) > toldMost {
		t.all = slices.Delete(t.all, 0, len(t.all)-toldMost)
	}
}

func (t *tolds) snapshot() []byte {
	b, _ := json.Marshal(t.all) // strings
	return b
}

// restore takes back what was told; what cannot be read is told once more.
func (t *tolds) restore(b []byte) {
	var old []string
	if json.Unmarshal(b, &old) != nil || len(old) > toldMost {
		return
	}
	fresh := t.all
	t.all = old
	for _, k := range fresh {
		if !t.has(k) {
			t.add(k)
		}
	}
}
