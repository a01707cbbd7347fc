package logbook

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/configs"
	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
)

const (
	upper = letter.Station("330483105203")
	lower = letter.Station("330483105204")
)

var epoch = time.Date(2026, 7, 1, 22, 40, 0, 0, time.UTC)

// county is a hub's file of two stations, and their boxes' keys.
type county struct {
	t    testing.TB
	file *hubfile.File
	keys map[letter.Station]*wire.Keys
	box  *trust.PrivateKey
	book *Book
	seq  uint64
	at   time.Time
	sent []func(*Book) // to be played again
}

func newCounty(t testing.TB) *county {
	t.Helper()
	c := &county{t: t, keys: map[letter.Station]*wire.Keys{}, at: epoch, file: &hubfile.File{Stations: map[string]hubfile.Station{}}}
	var err error
	if c.file.Warnings.CAP, err = alert.LoadTables(configs.FS); err != nil {
		t.Fatal(err)
	}
	if c.box, err = trust.NewSigner(trust.P256); err != nil {
		t.Fatal(err)
	}
	id, _ := trust.IDOf(c.box.Public())
	for i, s := range []letter.Station{upper, lower} {
		root := make([]byte, wire.RootSize)
		root[0] = byte(i + 1)
		if c.keys[s], err = wire.NewKeys(root, string(s), 0); err != nil {
			t.Fatal(err)
		}
		x := hubfile.Station{Number: 17 + i, Keys: []*wire.Keys{c.keys[s]}}
		if s == upper {
			x.Box = string(id)
		}
		c.file.Stations[string(s)] = x
	}
	c.book = New(c.file)
	return c
}

// put has a letter taken in, as the stream gives it.
func (c *county) put(s letter.Station, id string, class letter.Class, link string, body []byte) {
	c.seq++
	c.at = c.at.Add(time.Second)
	seq, at := c.seq, c.at
	f := func(b *Book) { b.Take(s, letter.Letter{ID: id, Class: class, Link: link, Body: body}, at, seq) }
	c.sent = append(c.sent, f)
	f(c.book)
}

func envelope(s letter.Station, n wire.Name, kind uint8, content []byte) wire.Envelope {
	return wire.Envelope{ID: wire.ID{Station: string(s), Boot: uint64(n.Outbox), Sequence: uint64(n.Seq)}, Class: wire.Alarm, Type: kind, Content: content}
}

func (c *county) seal(e wire.Envelope, k *wire.Keys) []byte {
	c.t.Helper()
	b, err := e.Append(nil, k, wire.Up)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// document is an alarm of the box in CAP, signed.
func (c *county) document(cause string, over bool, key *trust.PrivateKey) []byte {
	c.t.Helper()
	n := &alert.Namer{Sender: "tocsin.huandu.0011", Box: "tocsin.huandu.0011"}
	o := alert.Own{Kind: "real", Cause: cause, Hazard: phrase.Text{ZH: "山洪", EN: "flash flood"}, Site: phrase.Text{ZH: "环渡村", EN: "Huandu"}, Lasts: time.Hour, Over: over,
		Level: "evacuate", LevelName: phrase.Text{ZH: "立即转移", EN: "Move now"}}
	if over {
		o.Earlier = []alert.Ref{{Sender: "tocsin.huandu.0011", Identifier: "x", Sent: epoch}}
	}
	a, err := n.FromAlarm(o, alert.Place{Code: "330483105203"}, clock.Stamp{Wall: c.at, Boot: cause}, c.file.Warnings.CAP)
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := alert.Write(a, alert.WriteOptions{Tables: c.file.Warnings.CAP})
	if err != nil {
		c.t.Fatal(err)
	}
	cert, err := key.SelfSigned("box", epoch, epoch.AddDate(30, 0, 0))
	if err != nil {
		c.t.Fatal(err)
	}
	if b, err = xmldsig.Sign(b, key, cert, xmldsig.SignOptions{}); err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (c *county) short(n wire.Name, cause string, event wire.AlarmEvent, most int) []byte {
	c.t.Helper()
	b, err := wire.AlarmItem{Name: n, At: uint32(epoch.Unix()), Event: event, Rank: 2, Cause: causeOf(cause), Hazard: "flash-flood", Text: "河道水位超过立即转移水位"}.Append(nil, most)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

func TestLongAndShortFormsOfAnAlarmAreOneWithEachLinkAndItsTime(t *testing.T) {
	c := newCounty(t)
	n := wire.Name{Outbox: 0xa1b2c3, Seq: 17}
	c.put(upper, ShortID(n), letter.Alarm, "bd", c.seal(envelope(upper, n, uint8(wire.ItemAlarm), c.short(n, "k-1", wire.AlarmRaised, 60)), c.keys[upper]))
	c.put(upper, ShortID(n), letter.Alarm, "mesh", c.seal(envelope(upper, n, uint8(wire.ItemAlarm), c.short(n, "k-1", wire.AlarmRaised, 40)), c.keys[upper]))
	c.put(upper, n.String(), letter.Alarm, "fibre", c.seal(envelope(upper, n, wire.TypeCAP, c.document("k-1", false, c.box)), c.keys[upper]))
	// Another station's of the same name and cause is another alarm.
	c.put(lower, ShortID(n), letter.Alarm, "bd", c.seal(envelope(lower, n, uint8(wire.ItemAlarm), c.short(n, "k-1", wire.AlarmRaised, 60)), c.keys[lower]))
	s := c.book.State()
	if len(s.Alarms) != 2 {
		t.Fatalf("%d alarms", len(s.Alarms))
	}
	a := s.Alarms[1]
	if a.Station != upper || len(a.Messages) != 1 || a.Over || a.Kind != "real" || a.Title.ZH == "" || a.Messages[0].Signed != ByBox || a.Messages[0].Event != wire.AlarmRaised {
		t.Fatalf("%+v", a)
	}
	want := []Way{{"bd", epoch.Add(time.Second), true}, {"mesh", epoch.Add(2 * time.Second), true}, {"fibre", epoch.Add(3 * time.Second), false}}
	if !reflect.DeepEqual(a.Messages[0].Ways, want) {
		t.Errorf("came by %+v", a.Messages[0].Ways)
	}
	if o := s.Alarms[0]; o.Station != lower || o.Text.ZH == "" || o.Title.ZH == "" || o.Messages[0].Signed != NotPinned {
		t.Errorf("%+v", o)
	}
	// Its end comes by a narrow link alone; what was said before does not open it again.
	end := wire.Name{Outbox: 0xa1b2c3, Seq: 19}
	c.put(upper, ShortID(end), letter.Alarm, "bd", c.seal(envelope(upper, end, uint8(wire.ItemAlarm), c.short(end, "k-1", wire.AlarmReleased, 60)), c.keys[upper]))
	late := wire.Name{Outbox: 0xa1b2c3, Seq: 18}
	c.put(upper, late.String(), letter.Alarm, "fibre", c.seal(envelope(upper, late, wire.TypeCAP, c.document("k-1", false, c.box)), c.keys[upper]))
	a = c.book.State().Alarms[1]
	if !a.Over || len(a.Messages) != 3 || a.Messages[0].Name != end {
		t.Errorf("%+v", a)
	}
	// Read again after a restart, it is the same.
	again := New(c.file)
	for _, f := range c.sent {
		f(again)
	}
	for _, f := range c.sent { // and the reader begins once more
		f(again)
	}
	if !reflect.DeepEqual(again.State(), c.book.State()) {
		t.Error("another state after a restart")
	}
}

func TestALetterThatOneMoreLinkBroughtIsShownWithThatLinkToo(t *testing.T) {
	c := newCounty(t)
	n := wire.Name{Outbox: 0xa1b2c3, Seq: 17}
	body := c.seal(envelope(upper, n, wire.TypeCAP, c.document("k-1", false, c.box)), c.keys[upper])
	about := wire.AboutAlert("x")
	packet, _ := wire.AppendReceipts(nil, about, []wire.ReceiptOf{{Station: 17, Progress: wire.Progress{Stage: wire.Heard}}})
	r := wire.Name{Outbox: 0xa1b2c3, Seq: 18}
	receipt := c.seal(envelope(upper, r, wire.TypeReceipts, packet), c.keys[upper])
	for _, first := range []bool{true, false} { // the note is read before its letter, or after
		b := New(c.file)
		note := func() {
			b.Also(upper, n.String(), "cellular", epoch.Add(time.Minute))
			b.Also(upper, n.String(), "cellular", epoch.Add(time.Hour))
			b.Also(upper, r.String(), "cellular", epoch.Add(time.Minute))
			b.Also(lower, n.String(), "bd", epoch)
			b.Also(upper, "x", "bd", epoch)
		}
		if first {
			note()
		}
		b.Take(upper, letter.Letter{ID: n.String(), Class: letter.Warning, Link: "fibre", Body: body}, epoch, 1)
		b.Take(upper, letter.Letter{ID: r.String(), Class: letter.Receipt, Link: "fibre", Body: receipt}, epoch, 2)
		if !first {
			note()
		}
		s := b.State()
		if len(s.Alarms) != 1 || !reflect.DeepEqual(s.Alarms[0].Messages[0].Ways, []Way{{"fibre", epoch, false}, {"cellular", epoch.Add(time.Minute), false}}) {
			t.Errorf("%v: %+v", first, s.Alarms)
		}
		if g := b.Reached([]wire.About{about})[upper]; g.By["cellular"].Stage != wire.Heard || !g.At.Equal(epoch) || len(g.By) != 2 {
			t.Errorf("%v: %+v", first, g)
		}
	}
	b := New(c.file)
	for i := range 3 * alsoMost {
		b.Also(upper, fmt.Sprint(i), "bd", epoch)
	}
	if n := len(b.also.early); n > alsoMost || len(b.also.order) > alsoMost {
		t.Errorf("%d are remembered", n)
	}
}

func TestADocumentIsHeldAgainstTheKeyThatTheFilePins(t *testing.T) {
	other, err := trust.NewSigner(trust.P256)
	if err != nil {
		t.Fatal(err)
	}
	c := newCounty(t)
	for i, x := range []struct {
		s    letter.Station
		key  *trust.PrivateKey
		want Signed
	}{{upper, c.box, ByBox}, {upper, other, NotByBox}, {lower, c.box, NotPinned}} {
		n := wire.Name{Outbox: 1, Seq: uint32(i + 1)}
		c.put(x.s, n.String(), letter.Alarm, "fibre", c.seal(envelope(x.s, n, wire.TypeCAP, c.document(fmt.Sprint(i), false, x.key)), c.keys[x.s]))
		found := false
		for _, a := range c.book.State().Alarms {
			if a.Station == x.s && a.Messages[0].Name == n {
				found = true
				if a.Messages[0].Signed != x.want {
					t.Errorf("%d: %v", i, a.Messages[0].Signed)
				}
			}
		}
		if !found {
			t.Errorf("%d: not shown", i)
		}
	}
}

func TestWhatIsStrangeIsCountedAndNeverActedOn(t *testing.T) {
	c := newCounty(t)
	n := wire.Name{Outbox: 7, Seq: 7}
	content := c.short(n, "k", wire.AlarmRaised, 60)
	good := envelope(upper, n, uint8(wire.ItemAlarm), content)
	with := func(f func(*wire.Envelope)) wire.Envelope { e := good; f(&e); return e }
	flipped := c.seal(good, c.keys[upper])
	flipped[40] ^= 1
	packet, _ := wire.AppendReceipts(nil, wire.AboutAlert("x"), []wire.ReceiptOf{{Station: 18, Progress: wire.Progress{Stage: wire.Heard}}})
	for name, x := range map[string]struct {
		body []byte
		code string
	}{
		"not an envelope":            {[]byte("river 103.2 m"), "hubd.strange_form"},
		"a bare short form":          {content, "hubd.strange_form"},
		"changed":                    {flipped, "hubd.strange_seal"},
		"another station's keys":     {c.seal(good, c.keys[lower]), "hubd.strange_seal"},
		"not sealed":                 {c.seal(good, nil), "hubd.strange_unsealed"},
		"another station's":          {c.seal(with(func(e *wire.Envelope) { e.ID.Station = string(lower) }), c.keys[upper]), "hubd.strange_station"},
		"an extension of the future": {c.seal(with(func(e *wire.Envelope) { e.Extensions = []wire.Extension{{Type: 9, Must: true}} }), c.keys[upper]), "hubd.strange_extension"},
		"another name":               {c.seal(with(func(e *wire.Envelope) { e.ID.Sequence = 8 }), c.keys[upper]), "hubd.strange_name"},
		"another outbox":             {c.seal(with(func(e *wire.Envelope) { e.ID.Boot = 8 }), c.keys[upper]), "hubd.strange_name"},
		"a type of the future":       {c.seal(with(func(e *wire.Envelope) { e.Type = 99 }), c.keys[upper]), "hubd.strange_type"},
		"no document":                {c.seal(with(func(e *wire.Envelope) { e.Type, e.Content = wire.TypeCAP, []byte("<alert/>") }), c.keys[upper]), "hubd.strange_content"},
		"a receipt for another":      {c.seal(with(func(e *wire.Envelope) { e.Type, e.Content = wire.TypeReceipts, packet }), c.keys[upper]), "hubd.strange_number"},
		"no receipt":                 {c.seal(with(func(e *wire.Envelope) { e.Type, e.Content = wire.TypeReceipts, []byte{1} }), c.keys[upper]), "hubd.strange_content"},
		"no dictionary":              {c.seal(with(func(e *wire.Envelope) { e.Type, e.Content = wire.TypeDictionary, []byte("[]") }), c.keys[upper]), "hubd.strange_content"},
		"no block":                   {c.seal(with(func(e *wire.Envelope) { e.Type, e.Content = wire.TypeTelemetry, nil }), c.keys[upper]), "hubd.strange_content"},
	} {
		before := c.book.State().Stations[upper].Strange
		c.put(upper, ShortID(n), letter.Alarm, "bd", x.body)
		s := c.book.State()
		if st := s.Stations[upper]; st.Strange != before+1 || st.Last[0].Why.Code != x.code || st.Last[0].Link != "bd" {
			t.Errorf("%s: %+v", name, st.Last)
		}
		if len(s.Alarms) > 0 || len(c.book.Reached([]wire.About{wire.AboutAlert("x")})) > 0 {
			t.Fatalf("%s: acted on", name)
		}
	}
	if l := len(c.book.State().Stations[upper].Last); l != strangeMost {
		t.Errorf("%d are kept", l)
	}
	c.put("110101000000", "x", letter.Alarm, "bd", []byte("x")) // of nobody: the post counts those
}

func TestStagesOnlyRiseWhateverTheOrderAndTheLink(t *testing.T) {
	c := newCounty(t)
	cap, short := wire.AboutAlert("a,b,2026-07-01T22:40:00Z"), wire.AboutCompact(0, 3, 20635, 9)
	send := func(seq uint32, link string, about wire.About, p wire.Progress) {
		packet, err := wire.AppendReceipts(nil, about, []wire.ReceiptOf{{Station: 17, Progress: p}})
		if err != nil {
			t.Fatal(err)
		}
		n := wire.Name{Outbox: 5, Seq: seq}
		c.put(upper, n.String(), letter.Receipt, link, c.seal(envelope(upper, n, wire.TypeReceipts, packet), c.keys[upper]))
	}
	told := 0
	c.book.OnStage(func() { told++ })
	send(1, "fibre", cap, wire.Progress{Stage: wire.Sounding})
	send(2, "bd", short, wire.Progress{Stage: wire.Received})
	send(3, "bd", short, wire.Progress{Stage: wire.Heard})
	send(4, "fibre", cap, wire.Progress{Stage: wire.Verified})
	both := []wire.About{cap, short}
	if got := ReadNames(WriteNames(both)); !reflect.DeepEqual(got, both) {
		t.Errorf("names come back as %+v", got)
	}
	r := c.book.Reached(both)[upper]
	if r.Stage != wire.Heard || r.By["fibre"].Stage != wire.Sounding || r.By["bd"].Stage != wire.Heard || !r.At.Equal(epoch.Add(3*time.Second)) {
		t.Errorf("%+v", r)
	}
	if told != 4 || len(c.book.Reached(nil)) != 0 {
		t.Error(told)
	}
}

func TestTheWordsOfAnAnswerAndItsStageComeTogether(t *testing.T) {
	c := newCounty(t)
	ref := alert.Ref{Sender: "county@example.cn", Identifier: "w-1", Sent: epoch}
	n := &alert.Namer{Sender: "tocsin.huandu.0011", Box: "tocsin.huandu.0011"}
	a, err := n.AckOf(&alert.Opened{Alert: &alert.Alert{Sender: ref.Sender, Identifier: ref.Identifier, Sent: ref.Sent, Status: "Actual"}}, alert.Outcome{Site: phrase.Text{ZH: "环渡村", EN: "Huandu"}, What: phrase.M("hubd.page_sent")}, clock.Stamp{Wall: epoch.Add(time.Minute), Boot: "b"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := alert.Write(a, alert.WriteOptions{Tables: c.file.Warnings.CAP})
	if err != nil {
		t.Fatal(err)
	}
	if text, err = xmldsig.Sign(text, c.box, nil, xmldsig.SignOptions{}); err != nil {
		t.Fatal(err)
	}
	about := wire.AboutAlert(ref.Key())
	packet, _ := wire.AppendReceipts(nil, about, []wire.ReceiptOf{{Station: 17, Progress: wire.Progress{Stage: wire.Played, Why: wire.WhyNotHeard}}})
	name := wire.Name{Outbox: 5, Seq: 1}
	e := envelope(upper, name, wire.TypeCAP, text)
	e.Extensions = []wire.Extension{{Type: wire.ExtensionReceipts, Bytes: packet}}
	c.put(upper, name.String(), letter.Receipt, "fibre", c.seal(e, c.keys[upper]))
	r := c.book.Reached([]wire.About{about})[upper]
	if r.Stage != wire.Played || r.Why != wire.WhyNotHeard || r.Note == "" || len(c.book.State().Alarms) > 0 {
		t.Errorf("%+v %+v", r, c.book.State().Stations[upper].Last)
	}
}

func TestTelemetryIsShownWhenItsDictionaryAndItsBaseHaveCome(t *testing.T) {
	c := newCounty(t)
	enc, err := wire.NewEncoder(wire.Dictionary{ID: 2, Channels: 2}, 15)
	if err != nil {
		t.Fatal(err)
	}
	minute := epoch.Unix() / 60
	var blocks [][]byte
	for i := range 3 {
		b, err := enc.Encode(wire.Series{Minute: minute + int64(i*5), Step: 5, Rows: [][]wire.Value{{wire.Good(int32(1032 + i)), {}}}}, 200)
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, b.Bytes)
	}
	// By a narrow link, the last first, and before the dictionary.
	for i, n := range []int{2, 0, 1} {
		e := envelope(upper, wire.Name{Seq: uint32(i + 1)}, wire.TypeTelemetry, blocks[n])
		c.put(upper, fmt.Sprintf("nbd-%d", i+1), letter.Telemetry, "bd", c.seal(e, c.keys[upper]))
	}
	if st := c.book.State().Stations[upper]; len(st.Values) > 0 || st.Strange > 0 {
		t.Fatalf("%+v", st)
	}
	d, _ := json.Marshal(wire.DictionaryContent{Number: 2, Step: 5, Channels: []wire.ChannelContent{{Point: "river.level", Unit: "m", Resolution: 0.1, ZH: "水位", EN: "level"}, {Point: "rain.total"}}})
	name := wire.Name{Outbox: 5, Seq: 1}
	c.put(upper, name.String(), letter.Telemetry, "fibre", c.seal(envelope(upper, name, wire.TypeDictionary, d), c.keys[upper]))
	st := c.book.State().Stations[upper]
	if len(st.Values) != 2 || st.Values[0].V < 103.39 || st.Values[0].V > 103.41 || st.Values[0].Name.ZH != "水位" || st.Values[1].Good || !st.ValuesAt.Equal(epoch.Add(10*time.Minute)) {
		t.Errorf("%+v", st)
	}
	state, _ := json.Marshal(wire.StateContent{Version: "1.2", Ready: true, Faults: []wire.FaultContent{{ZH: "雨量筒堵", EN: "gauge clogged"}}})
	for _, seq := range []uint32{9, 8} { // the older one comes later
		name := wire.Name{Outbox: 5, Seq: seq}
		if seq == 8 {
			state = []byte(`{"ready":false}`)
		}
		c.put(upper, name.String(), letter.Telemetry, "fibre", c.seal(envelope(upper, name, wire.TypeState, state), c.keys[upper]))
	}
	if st := c.book.State().Stations[upper]; !st.Ready || len(st.Faults) != 1 || st.Version != "1.2" {
		t.Errorf("%+v", st)
	}
}

// FuzzTake holds that no letter, whatever a station with the right keys seals, makes the book fall or grow without
// bound.
func FuzzTake(f *testing.F) {
	c := newCounty(f)
	n := wire.Name{Outbox: 7, Seq: 7}
	f.Add(ShortID(n), uint8(wire.ItemAlarm), c.short(n, "k", wire.AlarmRaised, 60))
	f.Add(n.String(), wire.TypeCAP, c.document("k", false, c.box))
	f.Add(n.String(), wire.TypeDictionary, []byte(`{"number":1,"channels":[{}]}`))
	f.Add(n.String(), wire.TypeState, []byte(`{"faults":[{"zh":"x"}]}`))
	f.Add("nbd-1", wire.TypeTelemetry, []byte{0x20, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add("n", wire.TypeReceipts, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	seq := uint64(0)
	f.Fuzz(func(t *testing.T, id string, kind uint8, content []byte) {
		if !letter.IsID(id) || len(content) > wire.ContentMost {
			return
		}
		e := envelope(upper, n, kind, content)
		body, err := e.Append(nil, c.keys[upper], wire.Up)
		if err != nil {
			t.Fatal(err)
		}
		seq++
		c.book.Take(upper, letter.Letter{ID: id, Class: letter.Alarm, Link: "bd", Body: body}, epoch, seq)
		s := c.book.State()
		if len(s.Alarms) > alarmsMost || len(c.book.progress) > warningsMost || len(s.Stations[upper].Last) > strangeMost {
			t.Fatal("it grew")
		}
		for _, a := range s.Alarms {
			if len(a.Messages) > messagesMost {
				t.Fatal("it grew")
			}
		}
	})
}

func TestNoStationDrivesOutWhatAnotherSaid(t *testing.T) {
	c := newCounty(t)
	n := wire.Name{Outbox: 0xa1b2c3, Seq: 1}
	raise := func(s letter.Station, n wire.Name, cause string, event wire.AlarmEvent) {
		c.put(s, ShortID(n), letter.Alarm, "bd", c.seal(envelope(s, n, uint8(wire.ItemAlarm), c.short(n, cause, event, 60)), c.keys[s]))
	}
	receipt := func(s letter.Station, number int, of wire.About) {
		r, err := wire.AppendReceipts(nil, of, []wire.ReceiptOf{{Station: uint16(number), Progress: wire.Progress{Stage: wire.Received}}})
		if err != nil {
			t.Fatal(err)
		}
		name := wire.Name{Outbox: 1, Seq: uint32(c.seq + 1)}
		c.put(s, name.String(), letter.Receipt, "fibre", c.seal(envelope(s, name, wire.TypeReceipts, r), c.keys[s]))
	}
	real := wire.AboutAlert("a real warning")
	raise(upper, n, "stands", wire.AlarmRaised)
	n.Seq++
	raise(upper, n, "over", wire.AlarmReleased)
	receipt(upper, 17, real)
	for i := range 3 * alarmsMost { // another station's box, or whoever has its key
		raise(lower, wire.Name{Outbox: 7, Seq: uint32(i + 1)}, fmt.Sprint("made up ", i), wire.AlarmRaised)
		receipt(lower, 18, wire.AboutAlert(fmt.Sprint("made up ", i)))
	}
	had := 0
	for _, a := range c.book.State().Alarms {
		if a.Station == upper {
			had++
		}
	}
	if all := len(c.book.State().Alarms); had != 2 || all != alarmsMost {
		t.Errorf("%d alarms of the one are left among %d", had, all)
	}
	if g := c.book.Reached([]wire.About{real}); g[upper].At.IsZero() {
		t.Error("how far a warning got is forgotten")
	}
	if most := len(c.book.progress); most > warningsMost+1 {
		t.Errorf("%d warnings are remembered", most)
	}
}

func TestALetterOnWhichTheBookPanicsDoesNotStopTheNext(t *testing.T) {
	c := newCounty(t)
	tables := c.file.Warnings.CAP
	n := wire.Name{Outbox: 0xa1b2c3, Seq: 17}
	body := c.seal(envelope(upper, n, uint8(wire.ItemAlarm), c.short(n, "k-1", wire.AlarmRaised, 60)), c.keys[upper])
	c.file.Warnings.CAP = nil // whatever makes it panic
	func() {
		defer func() {
			if recover() == nil {
				t.Fatal("it does not panic: the test shows nothing")
			}
		}()
		c.put(upper, ShortID(n), letter.Alarm, "bd", body)
	}()
	c.file.Warnings.CAP = tables
	if !c.book.mu.TryLock() {
		t.Fatal("the book stays locked")
	}
	c.book.mu.Unlock()
	c.put(upper, ShortID(n), letter.Alarm, "mesh", body)
	if s := c.book.State(); len(s.Alarms) != 1 {
		t.Errorf("%+v", s.Alarms)
	}
}
