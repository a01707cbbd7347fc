package capgen

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Profiles lists what New can write.
var Profiles = []string{"cn", "ipaws", "cap-cp", "cap-au", "wmo", "cap"}

// Senders are all values of sender that New writes where none is asked for.
var Senders = []string{"连州市气象台", "alerts@met.example", "w-nws.webmaster@noaa.example", "cap-pac.canada.example", "webmaster@bom.example", "office@county.example"}

// Place is where the alert is for: a 12-digit division code and a point.
type Place struct {
	Code     string
	Lat, Lon float64
}

// Options ask for one alert; what is zero is chosen at random.
type Options struct {
	Profile string
	Sender  string
	Sent    time.Time
	// MsgType is Alert, Update or Cancel; the latter two need References.
	MsgType    string
	References []Ref
	// Status is Actual where empty.
	Status string
	// Lasts is how long it is in force.
	Lasts time.Duration
	Place Place
	// Away puts it somewhere that does not hold the place.
	Away bool
	// Severity is Extreme, Severe, Moderate or Minor.
	Severity string
}

// Ref names an earlier alert.
type Ref struct {
	Sender, Identifier string
	Sent               time.Time
}

// Alert is what was written, and what a reader must find in it.
type Alert struct {
	Text       []byte
	Ref        Ref
	Profile    string
	MsgType    string
	Severity   string
	Colour     string // "" where the profile has none
	Hazard     string // a word of ours: flash-flood, rainstorm, landslide
	Concerns   bool
	Expires    time.Time
	References []Ref
}

// Generator gives alerts from a seed: the same seed, the same alerts.
type Generator struct {
	r *rand.Rand
	n int
}

// New begins a stream.
func New(seed uint64) *Generator {
	return &Generator{r: rand.New(rand.NewPCG(seed, 0x746f6373696e))}
}

func (g *Generator) pick(list ...string) string { return list[g.r.IntN(len(list))] }

func (g *Generator) maybe(of int) bool { return g.r.IntN(of) == 0 }

var colours = map[string]string{"Extreme": "red", "Severe": "orange", "Moderate": "yellow", "Minor": "blue"}

var chineseColours = map[string]string{"red": "红色", "orange": "橙色", "yellow": "黄色", "blue": "蓝色"}

type hazard struct{ id, zh, en, cn, same, cp, au string }

var hazards = []hazard{
	{"flash-flood", "山洪", "Flash flood", "11A51", "FFW", "flashFlood", "flashFlood"},
	{"flood", "洪水", "Flood", "11A01", "FLW", "flood", "flood"},
	{"landslide", "滑坡", "Landslide", "11D01", "LSW", "landslide", "landslide"},
	{"thunderstorm", "雷雨大风", "Severe thunderstorm", "11B20", "SVR", "thunderstorm", "thunderstorm"},
}

// Next writes one alert.
func (g *Generator) Next(o Options) Alert {
	g.n++
	if o.Profile == "" {
		o.Profile = Profiles[g.r.IntN(len(Profiles))]
	}
	if o.Sent.IsZero() {
		o.Sent = time.Date(2026, 5, 12, 14, 0, 0, 0, time.UTC).Add(time.Duration(g.r.IntN(86400)) * time.Second)
	}
	o.Sent = o.Sent.Truncate(time.Second)
	if o.Lasts == 0 {
		o.Lasts = time.Duration(30+g.r.IntN(600)) * time.Minute
	}
	if o.Status == "" {
		o.Status = "Actual"
	}
	if o.MsgType == "" {
		o.MsgType = "Alert"
	}
	if o.Severity == "" {
		o.Severity = g.pick("Extreme", "Severe", "Moderate", "Minor")
	}
	if o.Place == (Place{}) {
		o.Place = Place{"441882103201", 24.7812, 112.3790}
	}
	h := hazards[g.r.IntN(len(hazards))]
	w := &text{g: g, o: o, h: h, zone: g.zone(o.Profile)}
	id, sender := g.names(o)
	if o.Sender != "" {
		sender = o.Sender
	}
	a := Alert{
		Ref: Ref{sender, id, o.Sent}, Profile: o.Profile, MsgType: o.MsgType, Severity: o.Severity, Hazard: h.id, Concerns: !o.Away,
		Expires: o.Sent.Add(o.Lasts), References: o.References,
	}
	if o.Profile == "cn" {
		a.Colour = colours[o.Severity]
	}
	if o.MsgType == "Cancel" {
		a.Concerns = true // it is about another
	}
	a.Text = w.alert(a)
	return a
}

func (g *Generator) names(o Options) (id, sender string) {
	switch o.Profile {
	case "cn":
		beijing := o.Sent.In(time.FixedZone("", 8*3600))
		return fmt.Sprintf("44188241600000_%s_%d", beijing.Format("20060102150405"), g.n%10), Senders[0]
	case "wmo":
		return fmt.Sprintf("urn:oid:2.49.0.1.156.0.%s.%d", o.Sent.Format("2006.1.2.15.4.5"), g.n), Senders[1]
	case "ipaws":
		return fmt.Sprintf("IPAWS-%d-%x", g.n, g.r.Uint64()), Senders[2]
	case "cap-cp":
		return fmt.Sprintf("%08X-%04X-%d", g.r.Uint32(), g.r.IntN(65536), g.n), Senders[3]
	case "cap-au":
		return fmt.Sprintf("AU-%d.%d", g.r.Uint32(), g.n), Senders[4]
	}
	return fmt.Sprintf("cap-%d-%x", g.n, g.r.Uint32()), Senders[5]
}

// zone is in which offset an office writes its times.
func (g *Generator) zone(profile string) *time.Location {
	switch profile {
	case "ipaws", "cap-cp":
		return time.FixedZone("", -(4+g.r.IntN(5))*3600)
	case "cap-au":
		return time.FixedZone("", 9*3600+1800)
	case "wmo":
		return time.FixedZone("", g.r.IntN(12)*3600)
	}
	return time.FixedZone("", 8*3600)
}

// text writes one alert.
type text struct {
	b    strings.Builder
	g    *Generator
	o    Options
	h    hazard
	zone *time.Location
	// blank is how China writes a time: 1 with a blank, 2 without an offset too.
	blank int
	tabs  string
}

func (w *text) time(t time.Time) string {
	t = t.In(w.zone)
	switch w.blank {
	case 1:
		return t.Format("2006-01-02 15:04:05-07:00")
	case 2:
		return t.Format("2006-01-02 15:04:05")
	}
	s := t.Format("2006-01-02T15:04:05-07:00")
	if strings.HasSuffix(s, "+00:00") {
		s = strings.TrimSuffix(s, "+00:00") + "-00:00" // CAP's own way for UTC
	}
	return s
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func (w *text) el(name, s string) {
	w.b.WriteString(w.tabs + "<" + name + ">" + escape.Replace(s) + "</" + name + ">")
}

func (w *text) open(name string) { w.b.WriteString(w.tabs + "<" + name + ">") }

func (w *text) close(name string) { w.b.WriteString(w.tabs + "</" + name + ">") }

func (w *text) pair(name, key, value string) {
	w.open(name)
	w.el("valueName", key)
	w.el("value", value)
	w.close(name)
}

func (w *text) alert(a Alert) []byte {
	if !w.g.maybe(3) {
		w.tabs = "\n"
	}
	if w.o.Profile == "cn" {
		w.blank = w.g.r.IntN(3)
	}
	if !w.g.maybe(4) {
		w.b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	}
	w.b.WriteString(`<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">`)
	w.el("identifier", a.Ref.Identifier)
	w.el("sender", a.Ref.Sender)
	w.el("sent", w.time(a.Ref.Sent))
	w.el("status", w.o.Status)
	w.el("msgType", a.MsgType)
	if w.g.maybe(2) {
		w.el("source", "值班 <室> & duty desk")
	}
	w.el("scope", "Public")
	switch w.o.Profile {
	case "ipaws":
		w.el("code", "IPAWSv1.0")
	case "cap-cp":
		w.el("code", "profile:CAP-CP:0.4")
		w.el("code", "layer:SOREM:1.0")
	case "cap-au":
		w.el("code", "CAP-AU-STD:1.0")
	}
	if a.MsgType == "Cancel" {
		w.el("note", "预警解除 / no longer in force")
	}
	var refs []string
	for _, r := range a.References {
		refs = append(refs, r.Sender+","+r.Identifier+","+w.time(r.Sent))
	}
	if len(refs) > 0 {
		w.el("references", strings.Join(refs, " "))
	}
	if a.MsgType != "Cancel" {
		w.info(a, w.first())
		if w.o.Profile == "cap-cp" || w.g.maybe(3) {
			w.info(a, w.second())
		}
	}
	w.b.WriteString("\n</alert>\n")
	return []byte(w.b.String())
}

func (w *text) first() string {
	switch w.o.Profile {
	case "cn", "cap":
		return "zh-CN"
	case "cap-cp":
		return "en-CA"
	}
	return "en-US"
}

func (w *text) second() string {
	switch w.o.Profile {
	case "cap-cp":
		return "fr-CA"
	case "cn", "cap":
		return "en-US"
	}
	return "es-US"
}

func (w *text) info(a Alert, lang string) {
	event, words := w.h.en, w.h.en+" warning for the area. Move to higher ground < 1 hour & stay there. "
	if strings.HasPrefix(lang, "zh") {
		event, words = w.h.zh, "预计未来一小时内，"+w.h.zh+"发生的可能性大，请注意防范。"
	}
	w.open("info")
	w.el("language", lang)
	w.el("category", "Met")
	w.el("event", event)
	if w.o.Severity == "Extreme" && w.g.maybe(2) {
		w.el("responseType", "Prepare")
	} else {
		w.el("responseType", w.g.pick("Monitor", "Avoid", "Prepare"))
	}
	w.el("urgency", w.g.pick("Immediate", "Expected"))
	w.el("severity", w.o.Severity)
	w.el("certainty", w.g.pick("Observed", "Likely", "Possible"))
	switch w.o.Profile {
	case "cn":
		w.pair("eventCode", "eventType", w.h.cn)
	case "ipaws":
		w.pair("eventCode", "SAME", w.h.same)
	case "cap-cp":
		w.pair("eventCode", "profile:CAP-CP:Event:0.4", w.h.cp)
	case "cap-au":
		w.pair("eventCode", "https://govshare.gov.au/xmlui/handle/10772/6495", w.h.au)
	}
	if w.g.maybe(2) {
		w.el("effective", w.time(a.Ref.Sent))
	}
	w.el("expires", w.time(a.Expires))
	w.el("senderName", "Office of "+lang)
	w.el("headline", event+" "+lang)
	w.el("description", strings.Repeat(words, 1+w.g.r.IntN(4))+lang)
	if w.g.maybe(2) {
		w.el("instruction", words+lang)
	}
	if w.g.maybe(3) {
		w.el("web", "https://alerts.example/?id=1&lang="+lang)
	}
	if a.Colour != "" {
		w.pair("parameter", "eventColor", w.g.pick(a.Colour, strings.ToUpper(a.Colour), chineseColours[a.Colour]))
	}
	if w.o.Profile == "ipaws" {
		w.pair("parameter", "EAS-ORG", "WXR")
	}
	if w.g.maybe(5) {
		w.open("resource")
		w.el("resourceDesc", "map")
		w.el("mimeType", "image/png")
		body := []byte(fmt.Sprint("picture ", w.g.n))
		w.el("size", fmt.Sprint(len(body)))
		w.el("derefUri", base64.StdEncoding.EncodeToString(body))
		w.close("resource")
	}
	w.area(a)
	w.close("info")
}

func (w *text) area(a Alert) {
	p := w.o.Place
	code := p.Code
	if w.o.Away {
		p.Lat, p.Lon, code = p.Lat+8, p.Lon-6, "530102001001"
	}
	w.open("area")
	w.el("areaDesc", w.g.pick("连州市", "Lianzhou & around", "county"))
	byShape := w.o.Profile != "cn" || w.g.maybe(2)
	if byShape && w.g.maybe(2) {
		w.el("circle", fmt.Sprintf("%.4f,%.4f %.1f", p.Lat+0.05, p.Lon, 10+20*w.g.r.Float64()))
	} else if byShape {
		w.el("polygon", ring(w.g.r, p.Lat, p.Lon, 0.2, 4+w.g.r.IntN(60)))
	}
	switch w.o.Profile {
	case "cn":
		w.pair("geocode", w.g.pick("areaCode", "geocode", "行政区划代码"), w.g.pick(code, code[:9]+"000", code[:6]+"000000", code[:6], code[:4]+"00", code[:2]+"0000000000"))
	case "ipaws":
		w.pair("geocode", "SAME", "048113")
	case "cap-cp":
		w.pair("geocode", "profile:CAP-CP:Location:0.3", "3506008")
	}
	w.close("area")
}

// ring writes a star-shaped ring around a point: it never crosses itself.
func ring(r *rand.Rand, lat, lon, size float64, points int) string {
	var b strings.Builder
	var first string
	for i := range points {
		at := 2 * math.Pi * float64(i) / float64(points)
		d := size * (0.6 + 0.4*r.Float64())
		s := fmt.Sprintf("%.6f,%.6f", lat+d*math.Sin(at), lon+d*math.Cos(at))
		if i == 0 {
			first = s
		}
		b.WriteString(s + " ")
	}
	return b.String() + first
}

// border writes a ring that winds as a country's border does: bays within bays, each
// octave half as deep as the one before, down to the distance of two points.
func border(r *rand.Rand, lat, lon, size float64, points int) string {
	type wave struct{ deep, turns, phase float64 }
	var waves []wave
	for turns, deep := 3.0, 0.15; turns < float64(points)/8; turns, deep = turns*2.1, deep/2 {
		waves = append(waves, wave{deep, math.Round(turns), r.Float64() * 2 * math.Pi})
	}
	var b strings.Builder
	var first string
	for i := range points {
		at := 2 * math.Pi * float64(i) / float64(points)
		d := 0.6
		for _, w := range waves {
			d += w.deep * math.Sin(w.turns*at+w.phase)
		}
		d *= size
		s := fmt.Sprintf("%.6f,%.6f", lat+d*math.Sin(at), lon+d*math.Cos(at))
		if i == 0 {
			first = s
		}
		b.WriteString(s + " ")
	}
	return b.String() + first
}

// Large writes an alert of about so many bytes, most of it one polygon: the
// largest of the field has 881 kB (Burkina Faso's).
func (g *Generator) Large(o Options, bytes int) Alert {
	if o.Profile == "" {
		o.Profile = "cap"
	}
	a := g.Next(o)
	begin := strings.Index(string(a.Text), "<areaDesc>")
	end := begin + strings.Index(string(a.Text[begin:]), "</areaDesc>") + len("</areaDesc>")
	p := o.Place
	if p == (Place{}) {
		p = Place{"441882103201", 24.7812, 112.3790}
	}
	if o.Away {
		p.Lat, p.Lon = p.Lat+8, p.Lon-6
	}
	per := len("24.123456,112.123456 ")
	poly := "<polygon>" + border(g.r, p.Lat, p.Lon, 2, max(64, (bytes-len(a.Text))/per)) + "</polygon>"
	a.Text = []byte(string(a.Text[:end]) + poly + string(a.Text[end:]))
	return a
}
