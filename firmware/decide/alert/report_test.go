package alert

import (
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
	"tocsin/hwtest/capgen"
)

var stamp = clock.Stamp{Wall: time.Date(2026, 5, 12, 22, 40, 0, 5, time.FixedZone("", 8*3600)), Boot: "0f6d1c2e-8a4b-4c1d-9e2f-000000000001"}

var ownAlarm = Own{
	Kind: "real", Cause: "c-1", Level: "evacuate", LevelName: phrase.Text{ZH: "立即转移", EN: "Move now"}, Hazard: phrase.Text{ZH: "山洪", EN: "flash flood"},
	Site: phrase.Text{ZH: "黄渡村", EN: "Huangdu"}, Because: []phrase.Message{phrase.M("quality.stale")}, Lasts: time.Hour,
}

func TestTheBoxesOwnAlarmIsCAPFromFirstToLast(t *testing.T) {
	tt := tables(t)
	n := &Namer{Sender: "box-1@huangdu.example", Box: "441882103201-1"}
	first, err := n.FromAlarm(ownAlarm, huangdu, stamp, tt)
	if err != nil {
		t.Fatal(err)
	}
	changed := ownAlarm
	changed.Earlier = []Ref{first.Ref()}
	later := stamp.Add(time.Minute)
	second, err := n.FromAlarm(changed, huangdu, later, tt)
	if err != nil {
		t.Fatal(err)
	}
	over := ownAlarm
	over.Over, over.Earlier = true, []Ref{first.Ref(), second.Ref()}
	third, err := n.FromAlarm(over, huangdu, later.Add(time.Minute), tt)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range []*Alert{first, second, third} {
		b, err := Write(a, WriteOptions{Tables: tt})
		if err != nil {
			t.Fatal(err)
		}
		back, found := Parse(b, tt)
		want := []string{"Alert", "Update", "Cancel"}[i]
		if len(found) > 0 || back.MsgType != want || len(back.References) != i || back.Ref().Key() != a.Ref().Key() {
			t.Errorf("%s: %s %+v\n%s", want, codes(found), back, b)
		}
		if yes, why := back.Concerns(huangdu, tt); !yes {
			t.Errorf("%s is not for the box's own place: %s", want, why.In("en"))
		}
		for _, in := range back.Infos {
			said := in.Headline + in.Description + in.Instruction + in.SenderName
			for _, w := range []string{"预警信号", "红色", "政府", "气象台", "red warning"} {
				if strings.Contains(said, w) {
					t.Errorf("the box says %q: %s", w, said)
				}
			}
			if in.Colour != "" || in.Responses[0] != "Evacuate" || in.Severity == "Extreme" {
				t.Errorf("%+v", in)
			}
		}
	}
	if first.Infos[0].Language != "zh-CN" || first.Infos[1].Language != "en-US" || !strings.Contains(first.Infos[0].Headline, "立即转移") {
		t.Errorf("%+v", first.Infos)
	}
}

func TestNoTwoMessagesOfABoxShareAName(t *testing.T) {
	tt := tables(t)
	seen := map[string]bool{}
	for run := range 6 {
		n := &Namer{Sender: "box@example", Box: "b"}
		at := stamp // the clock says the same after each start
		at.Boot = string(rune('a'+run/2)) + at.Boot
		at.Mono += time.Duration(run%2) * time.Second // a second run in the same boot
		for range 50 {
			a, err := n.FromAlarm(ownAlarm, huangdu, at, tt)
			if err != nil {
				t.Fatal(err)
			}
			if seen[a.Identifier] {
				t.Fatalf("%s twice", a.Identifier)
			}
			seen[a.Identifier] = true
		}
	}
}

func TestReceiptsNameTheMessageAndGoToItsSenderAlone(t *testing.T) {
	c := newCounty(t, trust.P256, nil)
	n := &Namer{Sender: "box@example", Box: "b"}
	o := c.r.Open(sign(t, capgen.New(8).Next(capgen.Options{Profile: "cn", Status: "Exercise"}).Text, c.signer))
	ack, err := n.AckOf(o, Outcome{Site: phrase.Text{ZH: "黄渡村", EN: "Huangdu"}, What: phrase.M("quality.stale"), Cause: "c-9"}, stamp)
	if err != nil {
		t.Fatal(err)
	}
	bad := c.r.Open([]byte(strings.Replace(good, "<scope>Public", "<scope>All", 1)))
	fault, err := n.ErrorOf(bad, phrase.Text{ZH: "黄渡村", EN: "Huangdu"}, stamp)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		a   *Alert
		of  *Opened
		has string
	}{{ack, o, "黄渡村"}, {fault, bad, "/alert/scope"}} {
		b, err := Write(x.a, WriteOptions{Tables: c.r.Tables})
		if err != nil {
			t.Fatal(err)
		}
		back, found := Parse(b, c.r.Tables)
		if len(found) > 0 || back.Scope != "Private" || len(back.Addresses) != 1 || back.Addresses[0] != x.of.Alert.Sender || len(back.References) != 1 ||
			back.References[0].Key() != x.of.Alert.Ref().Key() || back.Status != x.of.Alert.Status || !strings.Contains(back.Note, x.has) {
			t.Errorf("%s %+v", codes(found), back)
		}
	}
	if _, err := n.ErrorOf(c.r.Open([]byte("hello")), phrase.Text{}, stamp); err == nil {
		t.Error("an answer to what has no name")
	}
}

func TestWhatWouldBeMalformedIsNotMade(t *testing.T) {
	tt := tables(t)
	ok, _ := Parse([]byte(good), tt)
	for name, change := range map[string]func(a *Alert){
		"no identifier": func(a *Alert) { a.Identifier = "" }, "a blank in sender": func(a *Alert) { a.Sender = "a b" },
		"an unknown status": func(a *Alert) { a.Status = "Real" }, "a cancel of nothing": func(a *Alert) { a.MsgType = "Cancel"; a.References = nil },
		"no time": func(a *Alert) { a.Sent = time.Time{} }, "a colour that no profile carries": func(a *Alert) { a.Infos[0].Colour = "red" },
	} {
		a := *ok
		a.Infos = append([]Info{}, ok.Infos...)
		change(&a)
		if b, err := Write(&a, WriteOptions{Tables: tt}); err == nil {
			t.Errorf("%s was written:\n%s", name, b)
		} else if phrase.In(err, phrase.ZH) == phrase.In(err, phrase.EN) {
			t.Errorf("%s: %v says the same in both languages", name, err)
		}
	}
}
