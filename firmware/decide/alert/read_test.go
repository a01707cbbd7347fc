package alert

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// good is a plain alert with every element, in the order of the schema.
const good = `<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>county-2026-0001</identifier>
  <sender>warning@lianzhou.example</sender>
  <sent>2026-05-12T22:40:00+08:00</sent>
  <status>Actual</status>
  <msgType>Update</msgType>
  <source>duty desk</source>
  <scope>Public</scope>
  <code>anything</code>
  <note>n</note>
  <references>warning@lianzhou.example,county-2026-0000,2026-05-12T21:40:00+08:00</references>
  <incidents>one "two three"</incidents>
  <info>
    <language>zh-CN</language>
    <category>Met</category>
    <category>Geo</category>
    <event>山洪</event>
    <responseType>Evacuate</responseType>
    <urgency>Immediate</urgency>
    <severity>Extreme</severity>
    <certainty>Observed</certainty>
    <audience>all</audience>
    <eventCode><valueName>eventType</valueName><value>11A51</value></eventCode>
    <effective>2026-05-12T22:40:00+08:00</effective>
    <onset>2026-05-12T23:00:00+08:00</onset>
    <expires>2026-05-13T02:40:00+08:00</expires>
    <senderName>连州市应急管理局</senderName>
    <headline>山洪红色预警</headline>
    <description>未来一小时内山洪发生的可能性很大。</description>
    <instruction>请立即转移。</instruction>
    <web>https://example.invalid/a?b=1&amp;c=2</web>
    <contact>12345</contact>
    <parameter><valueName>x</valueName><value>y</value></parameter>
    <resource>
      <resourceDesc>map</resourceDesc>
      <mimeType>text/plain</mimeType>
      <size>5</size>
      <uri>map.txt</uri>
      <derefUri>aGVsbG8=</derefUri>
      <digest>aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d</digest>
    </resource>
    <area>
      <areaDesc>黄渡</areaDesc>
      <polygon>24.7,112.3 24.9,112.3 24.9,112.5 24.7,112.5 24.7,112.3</polygon>
      <circle>24.78,112.37 5</circle>
      <geocode><valueName>areaCode</valueName><value>441882103000</value></geocode>
      <altitude>100</altitude>
      <ceiling>900</ceiling>
    </area>
  </info>
</alert>`

// swap gives good with one thing changed.
func swap(t testing.TB, old, new string) string {
	t.Helper()
	if !strings.Contains(good, old) {
		t.Fatalf("the good alert has no %q", old)
	}
	return strings.Replace(good, old, new, 1)
}

func codes(fs []Finding) string {
	var out []string
	for _, f := range fs {
		mark := "?"
		if f.Fatal {
			mark = "!"
		}
		out = append(out, mark+f.What.Code+"@"+f.Path)
	}
	return strings.Join(out, " ")
}

func TestAGoodAlertIsReadWholeAndNothingIsFoundInIt(t *testing.T) {
	a, found := Parse([]byte(good), tables(t))
	if len(found) != 0 {
		t.Fatalf("found %s", codes(found))
	}
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	in := a.Infos[0]
	for what, ok := range map[string]bool{
		"identifier": a.Identifier == "county-2026-0001", "sent": a.Sent.Equal(at("2026-05-12T22:40:00+08:00")),
		"references":  len(a.References) == 1 && a.References[0].Key() == "warning@lianzhou.example,county-2026-0000,2026-05-12T13:40:00Z",
		"incidents":   fmt.Sprint(a.Incidents) == "[one two three]" && len(a.Incidents) == 2,
		"categories":  fmt.Sprint(in.Categories) == "[Met Geo]",
		"times":       in.Effective.Equal(a.Sent) && in.Onset.Equal(at("2026-05-12T15:00:00Z")) && in.Expires.Equal(at("2026-05-12T18:40:00Z")),
		"web":         in.Web == "https://example.invalid/a?b=1&c=2",
		"resource":    string(in.Resources[0].Body) == "hello" && in.Resources[0].Size == 5,
		"area":        len(in.Areas[0].Polygons[0]) == 5 && in.Areas[0].Circles[0].Km == 5 && in.Areas[0].Geocodes[0].Value == "441882103000",
		"description": in.Description == "未来一小时内山洪发生的可能性很大。",
		"profile":     a.Profile == "cap",
		"expires":     a.Expires().Equal(in.Expires) && a.Starts().Equal(a.Sent),
	} {
		if !ok {
			t.Errorf("%s is not as written: %+v", what, a)
		}
	}
}

// TestEveryRuleOfTheSchemaAndTheNoteIsTold changes one thing of a good alert and
// names what must be found, where, and whether it is fatal: ! or ?.
func TestEveryRuleOfTheSchemaAndTheNoteIsTold(t *testing.T) {
	area := "      <areaDesc>黄渡</areaDesc>\n"
	long := strings.Repeat("x", 1001)
	for name, c := range map[string]struct{ old, new, want string }{
		"no identifier":        {"<identifier>county-2026-0001</identifier>", "", "!alert.form.missing@/alert/identifier"},
		"empty identifier":     {"county-2026-0001", "", "!alert.form.missing@/alert/identifier"},
		"blank in identifier":  {"county-2026-0001", "county 2026", "!alert.form.banned@/alert/identifier"},
		"comma in identifier":  {"county-2026-0001", "county,2026", "!alert.form.banned@/alert/identifier"},
		"ampersand in sender":  {"<sender>warning@", "<sender>a&amp;b", "!alert.form.banned@/alert/sender"},
		"less-than in sender":  {"<sender>warning@", "<sender>a&lt;b", "!alert.form.banned@/alert/sender"},
		"endless identifier":   {"county-2026-0001", long, "!alert.form.long@/alert/identifier"},
		"sent with Z":          {"<sent>2026-05-12T22:40:00+08:00", "<sent>2026-05-12T14:40:00Z", "?alert.form.time_z@/alert/sent"},
		"sent with fractions":  {"<sent>2026-05-12T22:40:00+08:00", "<sent>2026-05-12T22:40:00.5+08:00", "!alert.form.time@/alert/sent"},
		"sent without offset":  {"<sent>2026-05-12T22:40:00+08:00", "<sent>2026-05-12T22:40:00", "!alert.form.time@/alert/sent"},
		"comma for the offset": {"<sent>2026-05-12T22:40:00+08:00", "<sent>2026-05-12T22:40:00,08:00", "!alert.form.time@/alert/sent"},
		"sent with a blank":    {"<sent>2026-05-12T22", "<sent>2026-05-12 22", "!alert.form.time@/alert/sent"},
		"no such day":          {"<sent>2026-05-12T22:40:00+08:00", "<sent>2026-02-30T22:40:00+08:00", "!alert.form.time@/alert/sent"},
		"offset beyond 14":     {"<sent>2026-05-12T22:40:00+08:00", "<sent>2026-05-12T22:40:00+15:00", "!alert.form.time@/alert/sent"},
		"unknown status":       {"Actual", "actual", "!alert.form.value@/alert/status"},
		"unknown type":         {"<msgType>Update", "<msgType>Updated", "!alert.form.value@/alert/msgType"},
		"unknown scope":        {"Public", "All", "!alert.form.value@/alert/scope"},
		"blanks around status": {"Actual", " Actual\n", "?alert.form.blanks@/alert/status"},
		"no category":          {"<category>Met</category>\n    <category>Geo</category>", "", "!alert.form.missing@/alert/info[1]/category"},
		"unknown category":     {"<category>Geo", "<category>Water", "!alert.form.value@/alert/info[1]/category[2]"},
		"unknown response":     {"<responseType>Evacuate", "<responseType>Run", "!alert.form.value@/alert/info[1]/responseType[1]"},
		"unknown urgency":      {"<urgency>Immediate", "<urgency>Now", "!alert.form.value@/alert/info[1]/urgency"},
		"empty urgency":        {"<urgency>Immediate", "<urgency>", "?alert.form.empty_unknown@/alert/info[1]/urgency"},
		"no urgency":           {"<urgency>Immediate</urgency>", "", "!alert.form.missing@/alert/info[1]/urgency"},
		"very likely":          {"Observed", "Very Likely", "?alert.form.very_likely@/alert/info[1]/certainty"},
		"colour for severity":  {"<severity>Extreme", "<severity>Red", "!alert.form.value@/alert/info[1]/severity"},
		"out of order": {"<status>Actual</status>\n  <msgType>Update</msgType>", "<msgType>Update</msgType>\n  <status>Actual</status>",
			"!alert.form.order@/alert/status"},
		"twice":                {"<scope>Public</scope>", "<scope>Public</scope><scope>Public</scope>", "!alert.form.twice@/alert/scope"},
		"unknown element":      {"<note>n</note>", "<nota>n</nota>", "!alert.form.unknown_element@/alert"},
		"unknown in info":      {"<audience>all</audience>", `<x xmlns="urn:y"/>`, "!alert.form.unknown_element@/alert/info[1]"},
		"element in text":      {"<note>n</note>", "<note>n<b/></note>", "!alert.form.unknown_element@/alert/note"},
		"text between":         {"<note>n</note>", "<note>n</note>stray", "!alert.form.stray_text@/alert"},
		"foreign in between":   {"<note>n</note>", `<x xmlns="urn:y"><alert/></x><note>n</note>`, "!alert.form.order_foreign@/alert/note"},
		"an attribute":         {"<note>n</note>", `<note lang="x">n</note>`, "?alert.form.attribute@/alert/note"},
		"empty references":     {"warning@lianzhou.example,county-2026-0000,2026-05-12T21:40:00+08:00", "", "?alert.form.empty@/alert/references ?alert.rule.update_without@/alert/references"},
		"half a reference":     {",2026-05-12T21:40:00+08:00<", "<", "?alert.rule.reference@/alert/references ?alert.rule.update_without@/alert/references"},
		"itself":               {"county-2026-0000,2026-05-12T21:40:00+08:00", "county-2026-0001,2026-05-12T22:40:00+08:00", "?alert.rule.reference_self@/alert/references ?alert.rule.update_without@/alert/references"},
		"a later message":      {"2026-05-12T21:40:00+08:00", "2026-05-12T14:40:01+00:00", "?alert.rule.reference_later@/alert/references ?alert.rule.update_without@/alert/references"},
		"restriction wrongly":  {"<scope>Public</scope>", "<scope>Public</scope><restriction>r</restriction>", "?alert.rule.restriction@/alert/restriction"},
		"no restriction":       {"<scope>Public", "<scope>Restricted", "!alert.rule.no_restriction@/alert/restriction"},
		"no addresses":         {"<scope>Public", "<scope>Private", "!alert.rule.no_addresses@/alert/addresses"},
		"expires unreadable":   {"<expires>2026-05-13T02:40:00+08:00", "<expires>tomorrow", "!alert.form.time@/alert/info[1]/expires"},
		"onset unreadable":     {"<onset>2026-05-12T23:00:00+08:00", "<onset>soon", "?alert.form.time@/alert/info[1]/onset"},
		"expires before onset": {"<expires>2026-05-13T02:40:00+08:00", "<expires>2026-05-12T23:00:00+08:00", "?alert.rule.expires_before@/alert/info[1]/expires"},
		"no language tag":      {"zh-CN", "zh_CN", "?alert.form.language@/alert/info[1]/language"},
		"a tag in the text":    {"请立即转移。", "请&lt;br/&gt;立即转移。", "?alert.rule.html@/alert/info[1]/instruction"},
		"an entity in text":    {"请立即转移。", "请&amp;nbsp;转移", "?alert.rule.html@/alert/info[1]/instruction"},
		"a relative web":       {"https://example.invalid", "/", "?alert.rule.web@/alert/info[1]/web"},
		"bad MIME":             {"text/plain", "text", "?alert.rule.mime@/alert/info[1]/resource[1]/mimeType"},
		"no MIME":              {"<mimeType>text/plain</mimeType>", "", "!alert.form.missing@/alert/info[1]/resource[1]/mimeType"},
		"size differs":         {"<size>5", "<size>6", "?alert.rule.size_differs@/alert/info[1]/resource[1]/size"},
		"size in words":        {"<size>5", "<size>5 kB", "?alert.rule.size@/alert/info[1]/resource[1]/size"},
		"digest differs":       {"aaf4c6", "aaf4c7", "?alert.rule.digest@/alert/info[1]/resource[1]/digest"},
		"loose base64":         {"aGVsbG8=", "aGVsbG9=", "?alert.rule.base64@/alert/info[1]/resource[1]/derefUri"},
		"relative alone":       {"<derefUri>aGVsbG8=</derefUri>", "", "?alert.rule.relative_uri@/alert/info[1]/resource[1]/uri"},
		"no areaDesc":          {area, "", "!alert.form.missing@/alert/info[1]/area[1]/areaDesc"},
		"open polygon":         {" 24.7,112.3</polygon>", "</polygon>", "?alert.rule.polygon_open@/alert/info[1]/area[1]/polygon[1]"},
		"three points":         {"24.9,112.3 24.9,112.5 24.7,112.5 ", "24.9,112.3 ", "?alert.rule.polygon_short@/alert/info[1]/area[1]/polygon[1]"},
		"crossing polygon":     {"24.7,112.3 24.9,112.3 24.9,112.5 24.7,112.5 24.7,112.3", "24.7,112.3 24.9,112.5 24.9,112.3 24.7,112.5 24.7,112.3", "?alert.rule.polygon_crosses@/alert/info[1]/area[1]/polygon[1]"},
		"latitude beyond":      {"24.9,112.5", "94.9,112.5", "?alert.rule.point@/alert/info[1]/area[1]/polygon[1]"},
		"points by blanks":     {"24.9,112.5", "24.9, 112.5", "?alert.rule.point@/alert/info[1]/area[1]/polygon[1]"},
		"circle by commas":     {"24.78,112.37 5", "24.78,112.37,5", "?alert.rule.circle@/alert/info[1]/area[1]/circle[1]"},
		"ceiling alone":        {"<altitude>100</altitude>", "", "?alert.rule.ceiling_alone@/alert/info[1]/area[1]/ceiling"},
		"ceiling low":          {"<ceiling>900", "<ceiling>90", "?alert.rule.ceiling_low@/alert/info[1]/area[1]/ceiling"},
		"height in words":      {"<altitude>100", "<altitude>high", "?alert.rule.height@/alert/info[1]/area[1]/altitude"},
		"not translated": {"  </info>", "  </info><info><language>en-US</language><category>Met</category><event>flash flood</event><urgency>Immediate</urgency><severity>Extreme</severity><certainty>Observed</certainty><description>未来一小时内山洪发生的可能性很大。</description></info>",
			"?alert.rule.untranslated@/alert/info[2]/description"},
		"CAP 1.1":               {"cap:1.2", "cap:1.1", "!alert.form.namespace@/"},
		"no namespace":          {` xmlns="urn:oasis:names:tc:emergency:cap:1.2"`, "", "!alert.form.namespace@/"},
		"a comment in the text": {"<note>n", "<note>n<!-- c -->m", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, found := Parse([]byte(swap(t, c.old, c.new)), tables(t))
			if got := codes(found); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestAMessageAboutAnotherMustNameIt(t *testing.T) {
	for _, typ := range []string{"Cancel", "Ack", "Error"} {
		text := strings.Replace(swap(t, "<msgType>Update", "<msgType>"+typ), "<references>warning@lianzhou.example,county-2026-0000,2026-05-12T21:40:00+08:00</references>", "", 1)
		if _, found := Parse([]byte(text), tables(t)); codes(found) != "!alert.rule.no_references@/alert/references" {
			t.Errorf("%s: %s", typ, codes(found))
		}
	}
}

func TestWhatIsNoXMLOrTooMuchIsRefused(t *testing.T) {
	deep := strings.Repeat("<x>", 40) + strings.Repeat("</x>", 40)
	for name, c := range map[string]struct{ text, want string }{
		"nothing":            {"", "alert.xml.cut"},
		"words":              {"hello", "alert.xml.outside"},
		"cut off":            {good[:900], "alert.xml.cut"},
		"a document type":    {swap(t, "<alert ", "<!DOCTYPE alert [<!ENTITY a 'b'>]><alert "), "alert.xml.doctype"},
		"an entity":          {swap(t, "all</aud", "&boom;</aud"), "alert.xml.entity"},
		"a zero character":   {swap(t, "all</aud", "&#0;</aud"), "alert.xml.entity"},
		"a surrogate":        {swap(t, "all</aud", "&#xD800;</aud"), "alert.xml.entity"},
		"not UTF-8":          {swap(t, "all</aud", "\xff</aud"), "alert.xml.character"},
		"GB 18030":           {swap(t, `encoding="UTF-8"`, `encoding="GB18030"`), "alert.xml.encoding"},
		"unmatched":          {swap(t, "</note>", "</nota>"), "alert.xml.unmatched"},
		"attribute twice":    {swap(t, "<note>", `<note a="1" a="2">`), "alert.xml.twice"},
		"an unbound prefix":  {swap(t, "<note>n</note>", `<c:note>n</c:note>`), "alert.xml.prefix"},
		"a second root":      {good + "<alert/>", "alert.xml.second_root"},
		"text after":         {good + "x", "alert.xml.outside"},
		"bare ampersand":     {swap(t, "all</aud", "a & b</aud"), "alert.xml.entity"},
		"comment of comment": {swap(t, "<note>", "<!-- a -- b --><note>"), "alert.xml.comment"},
	} {
		_, found := Parse([]byte(c.text), tables(t))
		if len(found) == 0 || !anyFatal(found, Form) || !strings.Contains(fmt.Sprint(found), c.want) {
			t.Errorf("%s: found %s, want %s", name, codes(found), c.want)
		}
	}
	for name, c := range map[string]struct{ text, want string }{
		"another root": {`<feed xmlns="http://www.w3.org/2005/Atom"/>`, "alert.form.root"},
		"too deep":     {swap(t, "</alert>", `<y xmlns="urn:y">`+deep+`</y></alert>`), "alert.form.too_deep"},
		"too large":    {good + strings.Repeat(" ", 1<<20), "alert.form.too_large"},
		"many infos":   {swap(t, "</alert>", strings.Repeat("<info/>", 64)+"</alert>"), "alert.form.too_many"},
		"many areas":   {swap(t, "</info>", strings.Repeat("<area/>", 4096)+"</info>"), "alert.form.too_many"},
		"attributes": {swap(t, "<note>", "<note"+func() (s string) {
			for i := range 65 {
				s += fmt.Sprintf(` a%d=""`, i)
			}
			return
		}()+">"), "alert.form.too_many"},
	} {
		_, found := Parse([]byte(c.text), tables(t))
		if !strings.Contains(codes(found), "!"+c.want) && !strings.HasPrefix(name, "many") || !anyFatal(found, Form) {
			t.Errorf("%s: found %s, want %s", name, codes(found), c.want)
		}
	}
}

func TestTooManyFindingsNeverHideAFatalOne(t *testing.T) {
	text := swap(t, "</info>", strings.Repeat("<area><areaDesc>a</areaDesc><circle>x</circle></area>", 100)+"</info>")
	_, found := Parse([]byte(text), tables(t))
	if anyFatal(found, Form) || len(found) != 65 {
		t.Fatalf("%d findings, fatal %v", len(found), anyFatal(found, Form))
	}
	text = strings.Replace(text, "</info>", "<area/></info>", 1)
	if _, found := Parse([]byte(text), tables(t)); !anyFatal(found, Form) {
		t.Error("the 101st finding was fatal, and the alert passed")
	}
}

func TestPrefixesCDATAAndCommentsSayTheSameAsPlainText(t *testing.T) {
	text := strings.NewReplacer("</", "</c:", "<?", "<?", "<", "<c:", "xmlns=", "xmlns:c=").Replace(good)
	text = strings.Replace(text, "请立即转移。", "请<!-- x --><![CDATA[立即]]>转移&#12290;", 1)
	a, found := Parse([]byte(text), tables(t))
	if len(found) != 0 || a.Infos[0].Instruction != "请立即转移。" {
		t.Errorf("%s %+v", codes(found), a)
	}
}
