package alert

import (
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// national is a message of the national system, with the times as its rules write them.
const national = `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
<identifier>44188241600000_20260512224000_1</identifier><sender>连州市气象台</sender><sent>2026-05-12 22:40:00+08:00</sent>
<status>Actual</status><msgType>Update</msgType><scope>Public</scope>
<references>连州市气象台,44188241600000_20260512214000_0,2026-05-12 21:40:00+08:00 连州市气象台,44188241600000_20260512204000_0,2026-05-12 20:40:00</references>
<info><language>zh-CN</language><category>Met</category><event>11B03</event><urgency>Immediate</urgency><severity>Extreme</severity><certainty>Likely</certainty>
<eventCode><valueName>eventType</valueName><value>11B03</value></eventCode><effective>2026-05-12 22:40:00</effective><expires>2026-05-13 02:40:00</expires>
<senderName>连州市气象台</senderName><headline>连州市气象台发布暴雨红色预警</headline>
<parameter><valueName>eventColor</valueName><value>红色</value></parameter>
<area><areaDesc>连州市</areaDesc><geocode><valueName>areaCode</valueName><value>441882000000</value></geocode></area></info></alert>`

func TestTheNationalFormIsReadAsItIsWritten(t *testing.T) {
	tt := tables(t)
	a, found := Parse([]byte(national), tt)
	if len(found) > 0 {
		t.Fatal(codes(found))
	}
	at := time.Date(2026, 5, 12, 14, 40, 0, 0, time.UTC)
	in := &a.Infos[0]
	if a.Profile != "cn" || !a.Sent.Equal(at) || !in.Effective.Equal(at) || !in.Expires.Equal(at.Add(4*time.Hour)) || in.Colour != "red" || tt.HazardOf(in) != "rainstorm" || tt.PublisherOf(a) != "441882" {
		t.Errorf("%+v", a)
	}
	if len(a.References) != 2 || !a.References[0].Sent.Equal(at.Add(-time.Hour)) || !a.References[1].Sent.Equal(at.Add(-2*time.Hour)) {
		t.Errorf("%+v", a.References)
	}
}

func TestColoursAreReadInTheWordsThatOfficesUse(t *testing.T) {
	tt := tables(t)
	for word, want := range map[string]string{
		"红色": "red", "红色预警": "red", "红": "red", "Red": "red", "RED": "red", "Ⅰ级": "red", "I": "red", "1": "red", "橙色预警信号": "orange", "II级": "orange", "黄": "yellow", "Ⅲ": "yellow",
		"blue": "blue", "四级": "blue", "白色": "white", "绿色": "", "": "", "5": "",
	} {
		if got := tt.colour(word); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
		a, found := Parse([]byte(strings.Replace(national, "<value>红色</value>", "<value>"+word+"</value>", 1)), tt)
		if a.Infos[0].Colour != want || anyFatal(found, Form) || want == "" != strings.Contains(codes(found), "?alert.profile.colour") {
			t.Errorf("%s: %q %s", word, a.Infos[0].Colour, codes(found))
		}
	}
}

// TestAColourInThePlaceOfTheSeverity is read in the national form alone.
func TestAColourInThePlaceOfTheSeverity(t *testing.T) {
	tt := tables(t)
	text := strings.Replace(strings.Replace(national, "<severity>Extreme", "<severity>Orange", 1), "<parameter><valueName>eventColor</valueName><value>红色</value></parameter>", "", 1)
	a, found := Parse([]byte(text), tt)
	if codes(found) != "?alert.form.severity_colour@/alert/info[1]/severity" || a.Infos[0].Colour != "orange" || a.Infos[0].Severity != "Unknown" || tt.SeverityOf(&a.Infos[0]) != "Severe" {
		t.Errorf("%s %+v", codes(found), a.Infos[0])
	}
}

func TestASeverityNeverGivesAColour(t *testing.T) {
	a, _ := Parse([]byte(good), tables(t))
	if a.Infos[0].Severity != "Extreme" || a.Infos[0].Colour != "" {
		t.Errorf("%+v", a.Infos[0])
	}
}

func TestAProfileAsksWhatItsRulesAsk(t *testing.T) {
	tt := tables(t)
	const info = `<info><language>en-US</language><category>Met</category><event>Flash flood</event><responseType>Avoid</responseType><urgency>Immediate</urgency><severity>Severe</severity><certainty>Likely</certainty>`
	const rest = `<senderName>x</senderName>`
	const exp = `<expires>2026-05-13T02:40:00-05:00</expires>`
	const area = `<area><areaDesc>a</areaDesc><geocode><valueName>SAME</valueName><value>048113</value></geocode><geocode><valueName>profile:CAP-CP:Location:0.3</valueName><value>35</value></geocode></area>`
	code := func(name, v string) string {
		return "<eventCode><valueName>" + name + "</valueName><value>" + v + "</value></eventCode>"
	}
	const same, cp = "SAME", "profile:CAP-CP:Event:0.4"
	text := func(profile, infos string) string {
		return `<alert xmlns="` + Namespace + `"><identifier>i</identifier><sender>s</sender><sent>2026-05-12T22:40:00-05:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope><code>` + profile + `</code>` + infos + `</alert>`
	}
	us := func(parts ...string) string { return text("IPAWSv1.0", info+strings.Join(parts, "")+"</info>") }
	ca := func(parts ...string) string {
		return text("profile:CAP-CP:0.4", info+strings.Join(parts, "")+"</info>")
	}
	for name, c := range map[string]struct{ text, want string }{
		"IPAWS, all there":          {us(code(same, "FFW"), exp, rest, area), ""},
		"IPAWS, no expires":         {us(code(same, "FFW"), rest, area), "!alert.profile.lacks@/alert/info[1]/expires"},
		"IPAWS, no area":            {us(code(same, "FFW"), exp, rest), "!alert.profile.lacks@/alert/info[1]/area"},
		"IPAWS, no SAME code":       {us(exp, rest, area), "!alert.profile.event_code@/alert/info[1]/eventCode"},
		"IPAWS, two SAME codes":     {us(code(same, "FFW"), code(same, "TOR"), exp, rest, area), "!alert.profile.event_code@/alert/info[1]/eventCode"},
		"IPAWS, a code of four":     {us(code(same, "FFWW"), exp, rest, area), "!alert.profile.event_code_form@/alert/info[1]/eventCode[1]"},
		"IPAWS, a geocode of five":  {strings.Replace(us(code(same, "FFW"), exp, rest, area), "048113", "48113", 1), "?alert.profile.geocode_form@/alert/info[1]/area[1]/geocode[1]"},
		"IPAWS, two events":         {text("IPAWSv1.0", info+code(same, "FFW")+exp+rest+area+"</info>"+info+code(same, "TOR")+exp+rest+area+"</info>"), "!alert.profile.one_event@/alert/info[2]/eventCode"},
		"IPAWS, no info":            {text("IPAWSv1.0", ""), "!alert.profile.info@/alert"},
		"CAP-CP, all there":         {ca(code(cp, "flashFlood"), exp, rest, area), ""},
		"CAP-CP, a newer list":      {ca(code("profile:CAP-CP:Event:9.9", "flashFlood"), exp, rest, area), "?alert.profile.event_code@/alert/info[1]/eventCode"},
		"CAP-CP, no sender's name":  {ca(code(cp, "flashFlood"), exp, area), "?alert.profile.lacks@/alert/info[1]/senderName"},
		"CAP-CP, no area":           {ca(code(cp, "flashFlood"), exp, rest), "!alert.profile.lacks@/alert/info[1]/area"},
		"no profile asks nothing":   {text("x", info+"</info>"), ""},
		"CAP-AU, without an expiry": {text("CAP-AU-STD:1.0", info+rest+area+"</info>"), "?alert.profile.lacks@/alert/info[1]/expires"},
	} {
		if _, found := Parse([]byte(c.text), tt); codes(found) != c.want {
			t.Errorf("%s: found %q, want %q", name, codes(found), c.want)
		}
	}
}

func TestDataMovesSingleFindings(t *testing.T) {
	tt := tables(t)
	p := *tt.Profile("cn")
	p.soft, p.hard = set([]string{"alert.form.order"}), set([]string{"alert.profile.colour"})
	tt.Profiles[0] = &p
	text := strings.Replace(national, "<status>Actual</status><msgType>Update</msgType>", "<msgType>Update</msgType><status>Actual</status>", 1)
	if _, found := Parse([]byte(text), tt); codes(found) != "?alert.form.order@/alert/status" {
		t.Error(codes(found))
	}
	if _, found := Parse([]byte(strings.Replace(national, "红色</value>", "x</value>", 1)), tt); codes(found) != "!alert.profile.colour@/alert/info[1]/parameter" {
		t.Error(codes(found))
	}
}

// TestAPrettyPrintedAlertIsBelievedOnlyWhereTheSiteDeclaresIt: the composers of the WMO's
// members sign, then indent and add an instruction.
func TestAPrettyPrintedAlertIsBelievedOnlyWhereTheSiteDeclaresIt(t *testing.T) {
	compact := strings.NewReplacer("\n", "", "> <", "><").Replace(national)
	for _, lenient := range []bool{false, true} {
		c := newCounty(t, trust.RSA, func(i *trust.IssuerDocument) { i.Lenient = lenient })
		signed := string(sign(t, []byte(compact), c.signer))
		pretty := `<?xml-stylesheet type="text/xsl" href="cap.xsl"?>` + strings.Replace(strings.Replace(signed, "<status>", "\n  <status>", 1), "<info>", "\n  <info>\n    ", 1)
		o := c.r.Open([]byte(pretty))
		if o.Trusted != lenient || o.Lenient != lenient || lenient != strings.Contains(codes(o.Findings), "?alert.trust.lenient") {
			t.Errorf("lenient %v: %v %v %s", lenient, o.Trusted, o.Lenient, codes(o.Findings))
		}
		if o := c.r.Open([]byte(signed)); !o.Trusted || o.Lenient {
			t.Errorf("as signed: %s", codes(o.Findings))
		}
		if o := c.r.Open([]byte(strings.Replace(pretty, "红色", "橙色", 2))); o.Trusted || o.Genuine {
			t.Error("a changed word passed by the second attempt")
		}
	}
}

func TestAnExplanationNamesAllFourAndThePlace(t *testing.T) {
	c := newCounty(t, trust.SM2, nil)
	o := c.r.Open(sign(t, []byte(national), c.signer))
	want := map[phrase.Lang][]string{
		phrase.ZH: {"格式：合格", "签名成立（sm2-sm3", "连州市应急管理局", "441882000000", "按“prepare”等级响应"},
		phrase.EN: {"well-formed: yes", "sm2-sm3", "Lianzhou emergency office", "441882000000", "at the level “prepare”"},
	}
	for l, words := range want {
		var said []string
		for _, m := range o.Explain(c.r.Tables) {
			said = append(said, m.In(l))
		}
		for _, w := range words {
			if !strings.Contains(strings.Join(said, "\n"), w) {
				t.Errorf("%s: no %q in\n%s", l, w, strings.Join(said, "\n"))
			}
		}
	}
}
