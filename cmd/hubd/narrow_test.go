package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/cmd/hubd/gateway"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/logbook"
	"tocsin/drivers"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/narrow"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
	"tocsin/hwtest/beidou"
	"tocsin/hwtest/cell"
	"tocsin/hwtest/mesh"
	"tocsin/hwtest/port"
	"tocsin/hwtest/sbd"
)

// plug puts a simulator behind a port, and gives its path.
func plug(t testing.TB, serve func(io.ReadWriter) error) string {
	t.Helper()
	p, err := port.Open()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = serve(p) }()
	t.Cleanup(func() { p.Close(); <-done })
	return p.Path
}

// memory is a station's journal.
type memory map[string][]byte

func (m memory) Get(key string) ([]byte, bool) { b, ok := m[key]; return b, ok }
func (m memory) Put(_ context.Context, key string, v []byte) error {
	m[key] = bytes.Clone(v)
	return nil
}

// box is a station on one narrow link: its terminal and its end.
type box struct {
	t   *testing.T
	to  string
	dev drivers.Terminal
	end *narrow.End
}

func (w *world) box(t *testing.T, s letter.Station, x hubfile.Terminal, to string) *box {
	t.Helper()
	b := &box{t: t, to: to, end: w.end(s, x.Own, to)}
	var err error
	if b.dev, err = gateway.Device(x, func(_ string, f func()) { go f() }); err != nil {
		t.Fatal(err)
	}
	run(t, b.dev.Run)
	until(t, "the station's terminal may send", func() bool { return b.dev.Limits().Transmit })
	return b
}

// end is a station's on a link.
func (w *world) end(s letter.Station, own, to string) *narrow.End {
	w.t.Helper()
	k, err := wire.NewKeys(w.root[s], string(s), 1)
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := narrow.New(narrow.Opts{Link: "x", Direction: wire.Up, Keys: []*wire.Keys{k}, Self: own, Peer: to, Keep: memory{}})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// send has a part go out, and gives the message.
func (b *box) send(p narrow.Part) []byte {
	b.t.Helper()
	f, err := b.end.Pack(within(5*time.Second), b.dev.Limits().Bytes, []narrow.Part{p})
	if err != nil || len(f) != 1 {
		b.t.Fatal(len(f), err)
	}
	b.radiate(f[0].Bytes)
	return f[0].Bytes
}

func (b *box) radiate(m []byte) {
	b.t.Helper()
	until(b.t, "the card's time has come", func() bool { return time.Now().After(b.dev.Limits().Next) })
	if _, err := b.dev.Send(within(10*time.Second), drivers.Outgoing{To: b.to, Bytes: m}); err != nil {
		b.t.Fatal(err)
	}
}

// acked waits for the hub's acknowledgement of a part.
func (b *box) acked(id string) {
	b.t.Helper()
	for {
		m := b.next()
		if r, err := b.end.Hear(within(5*time.Second), m.Bytes, m.From, 0); err == nil && strings.Contains(strings.Join(r.Acked, " "), id) {
			return
		}
	}
}

func (b *box) next() drivers.Incoming {
	b.t.Helper()
	select {
	case m := <-b.dev.Received():
		return m
	case <-time.After(20 * time.Second):
		b.t.Fatalf("nothing came from the hub: %+v", b.dev.State())
		return drivers.Incoming{}
	}
}

func raised(t *testing.T, n wire.Name) narrow.Part {
	t.Helper()
	b, err := wire.AlarmItem{Name: n, At: uint32(time.Now().Unix()), Rank: 2, Cause: 0x0707, Hazard: "flash-flood", Text: "水位超限"}.Append(nil, 60)
	if err != nil {
		t.Fatal(err)
	}
	return narrow.Part{ID: n.String(), Class: wire.Alarm, Item: wire.Item{Type: wire.ItemAlarm, Bytes: b}}
}

// document is a warning of the county's office, signed.
func document(t *testing.T) []byte {
	t.Helper()
	k, err := trust.NewSigner(trust.P256)
	if err != nil {
		t.Fatal(err)
	}
	b, err := xmldsig.Sign(paper(), k, nil, xmldsig.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// paper is a warning that nobody has signed.
func paper() []byte {
	now := time.Now().In(time.FixedZone("", 8*3600))
	at := func(d time.Duration) string { return now.Add(d).Format("2006-01-02T15:04:05-07:00") }
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>33048341600000_%s_0</identifier><sender>office@county.example</sender><sent>%s</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>
<info><language>zh-CN</language><category>Geo</category><event>山洪灾害</event><urgency>Immediate</urgency><severity>Extreme</severity><certainty>Observed</certainty>
<eventCode><valueName>eventType</valueName><value>11A51</value></eventCode><effective>%s</effective><expires>%s</expires><headline>山洪灾害红色预警</headline><description>请转移</description>
<parameter><valueName>severityColor</valueName><value>red</value></parameter><area><areaDesc>凤鸣街道</areaDesc><geocode><valueName>areaCode</valueName><value>330483105000</value></geocode></area></info></alert>`,
		now.Format("20060102150405"), at(0), at(0), at(6*time.Hour))
}

// narrow gives the county narrow links: to what the file says terminals and stations' lines are added.
func (w *world) narrow(terminals string, lines map[letter.Station]string) (key string) {
	w.t.Helper()
	k, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		w.t.Fatal(err)
	}
	private, _ := k.PEM()
	public, _ := trust.PublicPEM(k.Public())
	key = w.write("issuer.key", private)
	w.write("issuer.pub", public)
	w.write("trust.yaml", []byte(`issuers:
  office: {name: {zh: 桐乡市应急局, en: Tongxiang office}, senders: [office@county.example], keys: [{file: issuer.pub}], grant: {kinds: [real], most_level: evacuate}, compact: {number: 9, region: "330483"}}
`))
	b, err := os.ReadFile(w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	text := string(b)
	for s, line := range lines {
		text = strings.Replace(text, fmt.Sprintf("psk: %s.psk}", s), fmt.Sprintf("psk: %s.psk, root: %s.psk, %s}", s, s, line), 1)
	}
	w.write("hub.yaml", []byte(strings.Replace(text, "stations:\n", "warnings: {trust: trust.yaml}\nterminals:\n"+terminals+"stations:\n", 1)))
	return key
}

func (h *hub) gate(t *testing.T, name string) gateway.NarrowState {
	t.Helper()
	for _, s := range h.terminals() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no terminal %s", name)
	return gateway.NarrowState{}
}

// TestOverBeiDouAndAMesh is an evening: an alarm comes by BeiDou and by fibre and is one, the hub is restarted, a
// warning goes out by all links, and its receipts end the repeating.
func TestOverBeiDouAndAMesh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sky := beidou.NewSky(5)
	sky.Set(beidou.Weather{Least: 10 * time.Millisecond, Most: 20 * time.Millisecond})
	cards := map[string]string{}
	for n, c := range map[string]beidou.Card{"hub": {Number: 247718, Frequency: 1, Level: 3}, "upper": {Number: 123456, Frequency: 1, Level: 3}} {
		cards[n] = plug(t, sky.Terminal(beidou.BDS3, c).Serve)
	}
	air := mesh.NewMesh(3, 10*time.Millisecond)
	nodes := map[string]*mesh.Node{"hub": air.Node(10), "upper": air.Node(11), "lower": air.Node(12)}
	air.Join(nodes["hub"], nodes["upper"], 0)
	air.Join(nodes["upper"], nodes["lower"], 0)
	key := w.narrow(fmt.Sprintf(`  - {name: bd, kind: beidou, port: %s, own: "0247718", transmit: {card: "247718", approval: X}}
  - {name: mesh, kind: meshtastic, port: %s, own: "!0000000A", transmit: {licence: X, band: CN, power: 17}}
`, cards["hub"], plug(t, nodes["hub"].Serve)), map[letter.Station]string{
		upper: `number: 17, addresses: {bd: "0123456", mesh: "!0000000b"}`, lower: `number: 18, addresses: {mesh: "!0000000c"}`,
	})
	h, end := w.hub()
	b := w.box(t, upper, hubfile.Terminal{Name: "x", Kind: hubfile.KindBeidou, Port: cards["upper"], Own: "123456", Transmit: &hubfile.Transmit{Card: "123456", Approval: "X"}}, "247718")
	m := w.box(t, lower, hubfile.Terminal{Name: "x", Kind: hubfile.KindMesh, Port: plug(t, nodes["lower"].Serve), Own: "!0000000c", Transmit: &hubfile.Transmit{Licence: "X", Band: "CN", Power: 17}}, "!0000000a")

	n := wire.Name{Outbox: 0xa1b2c3, Seq: 17}
	first := b.send(raised(t, n))
	b.acked(n.String())
	fibre := w.link(w.natsOpts(upper, h.engine.Addr().String()))
	keys, _ := wire.NewKeys(w.root[upper], string(upper), 1)
	e := wire.Envelope{ID: wire.ID{Station: string(upper), Boot: uint64(n.Outbox), Sequence: uint64(n.Seq)}, Class: wire.Alarm, Type: uint8(wire.ItemAlarm), Content: raised(t, n).Item.Bytes}
	sealed, err := e.Append(nil, keys, wire.Up)
	if err != nil {
		t.Fatal(err)
	}
	if err := fibre.Send(within(10*time.Second), n.String(), letter.Alarm, sealed); err != nil {
		t.Fatal(err)
	}
	if err := fibre.Send(within(10*time.Second), "a1b2c3-18", letter.Alarm, []byte("forged")); err != nil {
		t.Fatal(err)
	}
	joined := func() bool {
		s := h.book.State()
		return len(s.Alarms) == 1 && len(s.Alarms[0].Messages) == 1 && len(s.Alarms[0].Messages[0].Ways) == 2 && s.Stations[upper].Strange == 1
	}
	until(t, "both forms are one alarm, and the forged letter is called", joined)

	// The hub is restarted; what was heard is not taken again, what was shown is shown.
	end()
	h, _ = w.hub()
	until(t, "the alarm is shown again", joined)
	until(t, "the hub's card is read again", func() bool { return h.gate(t, "bd").Limits.Transmit && h.gate(t, "mesh").Limits.Transmit })
	b.radiate(first)
	until(t, "it is known again", func() bool { c := h.gate(t, "bd").Counts; return c.Again == 1 && c.Taken == 0 })
	// By a second modem the same letter is a copy to the store, and one more link to the officer.
	o := w.natsOpts(upper, h.engine.Addr().String())
	o.Name = "cellular"
	if err := w.link(o).Send(within(10*time.Second), n.String(), letter.Alarm, sealed); err != nil {
		t.Fatal(err)
	}
	// A datagram holds no document: the short form comes bare in it, and is the same alarm.
	var counter atomic.Uint64
	counter.Store(100)
	sat := w.datagrams(upper, h.datagramsAt(), &counter, nil)
	if err := sat.Send(within(10*time.Second), n.String()+"s", letter.Alarm, raised(t, n).Item.Bytes); err != nil {
		t.Fatal(err)
	}
	until(t, "it came by satellite and by the second modem too", func() bool {
		s := h.book.State()
		return len(s.Alarms) == 1 && len(s.Alarms[0].Messages) == 1 && len(s.Alarms[0].Messages[0].Ways) == 4
	})
	n2 := wire.Name{Outbox: 0xd4e5f6, Seq: 1}
	m.send(raised(t, n2))
	m.acked(n2.String())

	var out bytes.Buffer
	send := AlertSendCmd{File: w.write("red.xml", document(t)), To: "330483105", Config: w.file, Key: key}
	if err := send.Run(&Globals{Lang: "zh", Out: &out}); err != nil {
		t.Fatal(err, out.String())
	}
	for _, s := range []string{"bd：装不下完整预警", "bd：78 字节，1 个站点", "mesh：78 字节，2 个站点", "短预警：桐乡市应急局发布山洪灾害红色预警"} {
		if !strings.Contains(out.String(), s) {
			t.Errorf("the desk is not told %q: %s", s, out.String())
		}
	}
	var about []wire.About
	until(t, "the short form has names", func() bool {
		for _, s := range h.post.State().Sent {
			if strings.HasPrefix(s.ID, "c-") {
				about = logbook.ReadNames(s.Names)
			}
		}
		return len(about) > 0
	})
	for x, station := range map[*box]uint16{b: 17, m: 18} {
		for in := x.next(); len(in.Bytes) != 78 || in.Bytes[0]>>4 != 1; in = x.next() {
		}
		packet, err := wire.AppendReceipts(nil, about[0], []wire.ReceiptOf{{Station: station, Progress: wire.Progress{Stage: wire.Heard}}})
		if err != nil {
			t.Fatal(err)
		}
		x.send(narrow.Part{ID: "r", Class: wire.Receipt, Item: wire.Item{Type: wire.ItemReceipts, Bytes: packet}})
	}
	if got := air.Aired(); !containsBroadcast(got) {
		t.Error("the mesh was not told by one broadcast")
	}
	until(t, "the receipts are known, by their links", func() bool {
		r := h.book.Reached(about)
		return r[upper].By["bd"].Stage == wire.Heard && r[lower].By["mesh"].Stage == wire.Heard
	})
	page := get(t, w, h)
	for _, s := range []string{"已听到（实测）", "水位超限", `"link":"bd"`, `"short":true`, "a1b2c3-17", `"told":2`} {
		if !strings.Contains(page, s) {
			t.Errorf("the page is without %q", s)
		}
	}
}

func containsBroadcast(all []mesh.Packet) bool {
	for _, p := range all {
		if p.To == mesh.Everybody && len(p.Payload) == 78 {
			return true
		}
	}
	return false
}

func get(t *testing.T, w *world, h *hub) string {
	t.Helper()
	r, err := http.Get(w.signedIn(h, "li", "viewer") + "/api/v1/county")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatal(r.StatusCode, err)
	}
	return string(b)
}

// TestOverIridiumAndSMS brings an alarm by each, and its acknowledgement back. On Iridium nobody says who sent it.
func TestOverIridiumAndSMS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	star, phone := sbd.New(), cell.New()
	star.Set(func(w *sbd.Ways) { w.Session = 20 * time.Millisecond })
	phone.Set(func(w *cell.Ways) { w.Takes = 20 * time.Millisecond })
	const imei, hubNumber, boxNumber = "300234010753370", "+8613800000001", "+8613800000002"
	w.narrow(fmt.Sprintf(`  - {name: star, kind: sbd, port: %s, own: "%s", transmit: {licence: X, card: "%s"}}
  - {name: sms, kind: modem, port: %s, own: "%s", transmit: {}}
`, plug(t, star.Serve), imei, imei, plug(t, phone.Serve), hubNumber), map[letter.Station]string{
		upper: `number: 17, addresses: {star: "300234010753371", sms: "` + boxNumber + `"}`, lower: `number: 18, addresses: {star: "300234010753372"}`,
	})
	h, _ := w.hub()
	until(t, "both may send", func() bool { return h.gate(t, "star").Limits.Transmit && h.gate(t, "sms").Limits.Transmit })
	pack := func(e *narrow.End, n wire.Name) []byte {
		f, err := e.Pack(within(10*time.Second), 140, []narrow.Part{raised(t, n)})
		if err != nil || len(f) != 1 {
			t.Fatal(err)
		}
		return f[0].Bytes
	}
	byStar := w.end(lower, "300234010753372", "gateway")
	bySMS := w.end(upper, boxNumber, hubNumber)
	star.Say(pack(byStar, wire.Name{Outbox: 1, Seq: 1}))
	phone.Say(cell.SMS{Number: boxNumber, Data: pack(bySMS, wire.Name{Outbox: 2, Seq: 1})})
	phone.Say(cell.SMS{Number: "+8613800000009", Data: pack(bySMS, wire.Name{Outbox: 2, Seq: 2})})
	until(t, "both alarms are shown", func() bool { return len(h.book.State().Alarms) == 2 })
	until(t, "a stranger's number is counted", func() bool { return h.gate(t, "sms").Counts.Strangers == 1 })
	// An envelope is heard once, as a box does: heard again it is a replay.
	seen, acked := map[string]bool{}, map[*narrow.End]bool{}
	heard := func(e *narrow.End, from string, all [][]byte) bool {
		for _, b := range all {
			if seen[string(b)] {
				continue
			}
			seen[string(b)] = true
			if r, err := e.Hear(within(10*time.Second), b, from, 0); err == nil && len(r.Acked) == 1 {
				acked[e] = true
			}
		}
		return acked[e]
	}
	until(t, "the acknowledgements come back", func() bool {
		var texts [][]byte
		for _, s := range phone.Sent() {
			if b, ok := decode(s.Text); ok && s.Number == boxNumber {
				texts = append(texts, b)
			}
		}
		return h.gate(t, "star").Counts.Alone == 1 && heard(byStar, "gateway", star.Sent()) && heard(bySMS, hubNumber, texts)
	})
}

func decode(s string) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	return b, err == nil
}
