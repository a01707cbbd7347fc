package xmldsig

import (
	"fmt"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
)

func code(err error) string {
	if err == nil {
		return ""
	}
	return phrase.Of(err).Code
}

func TestXMLIsReadMoreStrictlyThanTheStandard(t *testing.T) {
	many := func(s string, n int) string { return strings.Repeat(s, n) }
	for _, c := range []struct{ name, text, want string }{
		{"an element", `<a/>`, ""},
		{"with what may stand around it", "\xef\xbb\xbf<?xml version='1.0' encoding='utf-8' standalone=\"yes\" ?>\n<!--c--><?p q?><a></a><!--c-->\n<?p?>\n", ""},
		{"the five entities and numbers", `<a b="&lt;&#10;">&lt;&gt;&amp;&quot;&apos;&#65;&#x4e2d;</a>`, ""},
		{"CDATA", `<a><![CDATA[<b>&]]]]><![CDATA[>]]></a>`, ""},
		{"names of other scripts", `<预警 級="1"><é/></预警>`, ""},

		{"nothing", ``, "trust.xml_cut"},
		{"white space only", "\n ", "trust.xml_cut"},
		{"text only", `a`, "trust.xml_syntax"},
		{"two roots", `<a/><b/>`, "trust.xml_syntax"},
		{"text after the root", `<a/>b`, "trust.xml_syntax"},
		{"CDATA after the root", `<a/><![CDATA[]]>`, "trust.xml_dtd"},
		{"cut in the root", `<a><b></b>`, "trust.xml_cut"},
		{"cut in a tag", `<a b="c`, "trust.xml_syntax"},
		{"a wrong end tag", `<a><b></a></b>`, "trust.xml_end"},
		{"an end tag in other letters", `<a></A>`, "trust.xml_end"},
		{"an end tag of another prefix", `<x:a xmlns:x="u" xmlns:y="u"></y:a>`, "trust.xml_end"},
		{"an end tag with more", `<a></a b="">`, "trust.xml_end"},
		{"a blank before the name", `< a/>`, "trust.xml_syntax"},

		{"a DTD", `<!DOCTYPE a><a/>`, "trust.xml_dtd"},
		{"a DTD inside", `<a><!DOCTYPE a></a>`, "trust.xml_dtd"},
		{"an entity bomb", `<!DOCTYPE a [<!ENTITY b "&c;&c;"><!ENTITY c "cc">]><a>&b;</a>`, "trust.xml_dtd"},
		{"an external entity", `<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>`, "trust.xml_dtd"},
		{"an undeclared entity", `<a>&b;</a>`, "trust.xml_entity"},
		{"an entity of HTML", `<a>&nbsp;</a>`, "trust.xml_entity"},
		{"an entity in an attribute", `<a b="&c;"/>`, "trust.xml_entity"},
		{"a bare ampersand", `<a>b & c</a>`, "trust.xml_syntax"},
		{"an ampersand at the end", `<a>&`, "trust.xml_cut"},
		{"a reference to nothing", `<a>&#;</a>`, "trust.xml_syntax"},
		{"a reference to a control", `<a>&#0;</a>`, "trust.xml_syntax"},
		{"a reference to a surrogate", `<a>&#xD800;</a>`, "trust.xml_syntax"},
		{"a reference beyond Unicode", `<a>&#x110000;</a>`, "trust.xml_syntax"},
		{"a reference too large", `<a>&#99999999999999999999;</a>`, "trust.xml_syntax"},
		{"a reference with a sign", `<a>&#+65;</a>`, "trust.xml_syntax"},
		{"a reference with a great X", `<a>&#X41;</a>`, "trust.xml_syntax"},
		{"a reference in a name", `<a>&a b;</a>`, "trust.xml_entity"},

		{"an attribute twice", `<a b="1" b="2"/>`, "trust.xml_twice"},
		{"an attribute twice by namespace", `<a xmlns:x="u" xmlns:y="u" x:b="1" y:b="2"/>`, "trust.xml_twice"},
		{"a namespace twice", `<a xmlns:x="u" xmlns:x="v"/>`, "trust.xml_twice"},
		{"an attribute twice among many", `<a ` + numbered("b%d='' ", 20) + `b7=''/>`, "trust.xml_twice"},
		{"an attribute without value", `<a b/>`, "trust.xml_syntax"},
		{"an attribute without quotes", `<a b=c/>`, "trust.xml_syntax"},
		{"attributes without a blank", `<a b=""c=""/>`, "trust.xml_syntax"},
		{"a bracket in an attribute", `<a b="<"/>`, "trust.xml_syntax"},
		{"CDATA's end in a text", `<a>]]></a>`, "trust.xml_syntax"},
		{"two hyphens in a comment", `<a><!-- -- --></a>`, "trust.xml_syntax"},
		{"a comment that ends in three", `<a><!-- ---></a>`, "trust.xml_syntax"},
		{"an empty comment", `<a><!----></a>`, ""},
		{"a comment too short", `<a><!--></a>`, "trust.xml_syntax"},
		{"a comment that does not end", `<a><!-- `, "trust.xml_syntax"},

		{"a declaration in the middle", `<a><?xml version="1.0"?></a>`, "trust.xml_syntax"},
		{"a declaration after a blank", ` <?xml version="1.0"?><a/>`, "trust.xml_syntax"},
		{"XML 1.1", `<?xml version="1.1"?><a/>`, "trust.xml_syntax"},
		{"no version", `<?xml encoding="UTF-8"?><a/>`, "trust.xml_syntax"},
		{"declaration out of order", `<?xml version="1.0" standalone="no" encoding="UTF-8"?><a/>`, "trust.xml_syntax"},
		{"declaration without blanks", `<?xml version="1.0"encoding="UTF-8"?><a/>`, "trust.xml_syntax"},
		{"another encoding", `<?xml version="1.0" encoding="GB2312"?><a/>`, "trust.xml_encoding"},
		{"an encoding in UTF-7", `<?xml version="1.0" encoding="UTF-7"?><a/>`, "trust.xml_encoding"},
		{"UTF-16", "\xff\xfe<\x00a\x00", "trust.xml_char"},
		{"a stylesheet before the root", `<?xml-stylesheet href="a"?><a/>`, ""},
		{"an instruction named xml", `<?XML a?><a/>`, "trust.xml_syntax"},
		{"an instruction with a colon", `<?a:b c?><a/>`, "trust.xml_syntax"},
		{"an instruction that does not end", `<a><?b c></a>`, "trust.xml_syntax"},

		{"not UTF-8", "<a>\xff</a>", "trust.xml_char"},
		{"an overlong byte", "<a>\xc0\x80</a>", "trust.xml_char"},
		{"a NUL", "<a>\x00</a>", "trust.xml_char"},
		{"a control", "<a>\x0b</a>", "trust.xml_char"},
		{"a noncharacter", "<a>\uffff</a>", "trust.xml_char"},
		{"a mark inside", "<a>\ufeff</a>", "trust.xml_char"},

		{"an undeclared prefix", `<x:a/>`, "trust.xml_prefix"},
		{"an undeclared prefix of an attribute", `<a x:b=""/>`, "trust.xml_prefix"},
		{"a prefix out of scope", `<a><b xmlns:x="u"/><x:c/></a>`, "trust.xml_prefix"},
		{"a prefix taken away", `<a xmlns:x="u"><b xmlns:x=""/></a>`, "trust.xml_reserved"},
		{"the prefix xmlns", `<xmlns:a/>`, "trust.xml_prefix"},
		{"xmlns declared", `<a xmlns:xmlns="u"/>`, "trust.xml_reserved"},
		{"xml declared anew", `<a xmlns:xml="u"/>`, "trust.xml_reserved"},
		{"xml's namespace by another prefix", `<a xmlns:x="http://www.w3.org/XML/1998/namespace"/>`, "trust.xml_reserved"},
		{"xmlns's namespace as the default", `<a xmlns="http://www.w3.org/2000/xmlns/"/>`, "trust.xml_reserved"},
		{"two colons", `<a:b:c xmlns:a="u"/>`, "trust.xml_syntax"},
		{"a colon first", `<:a/>`, "trust.xml_syntax"},
		{"a colon last", `<a: xmlns:a="u"/>`, "trust.xml_syntax"},
		{"a colon alone in an attribute", `<a :="x"/>`, "trust.xml_syntax"},
		{"a name that begins with a figure", `<1a/>`, "trust.xml_syntax"},
		{"a name with a quote", `<a" />`, "trust.xml_syntax"},

		{"attributes of several namespaces in a signature", `<a xmlns:x="u" xmlns:y="v"><Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><KeyInfo x:a="" y:a=""/></Signature></a>`, "trust.xml_foreign"},
		{"deep", many("<a>", 17), "trust.xml_depth"},
		{"many elements", "<a>" + many("<b/>", 12000), "trust.xml_elements"},
		{"many texts", "<a>" + many("b<!---->", 20000), "trust.xml_nodes"},
		{"many instructions", "<a>" + many("<?b?>", 60000), "trust.xml_nodes"},
		{"many instructions outside", many("<?b?>", 60000) + "<a/>", "trust.xml_nodes"},
		{"many attributes", "<a " + numbered("b%d='' ", 8001) + "/>", "trust.xml_attributes"},
		{"a long attribute", "<a b='" + many("c", 4097) + "'/>", "trust.xml_attribute"},
		{"a long name", "<" + many("a", 129) + "/>", "trust.xml_name"},
		{"many namespaces", "<a " + numbered("xmlns:b%d='u' ", 9) + "/>", "trust.xml_namespaces"},
		{"a long namespace used again and again", "<a xmlns:b='" + many("u", 4000) + "'>" + many("<b:c/>", 10000) + "</a>", "trust.xml_growth"},
		{"many brackets", "<a>" + many(">", 1<<19) + "</a>", "trust.xml_growth"},
		{"large", many(" ", 1<<20) + "<a/>", "trust.xml_size"},
	} {
		_, err := Parse([]byte(c.text), Limits{})
		if got := code(err); got != c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err != nil {
			for _, l := range phrase.Languages {
				if s := phrase.In(err, l); strings.Contains(s, "{") && !strings.Contains(c.text, "{") || len(s) > 300 {
					t.Errorf("%s: %s", c.name, s)
				}
			}
		}
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestErrorsTellTheLine(t *testing.T) {
	_, err := Parse([]byte("<a>\r\n<b>\n&oops;\n</b></a>"), Limits{})
	if got := phrase.In(err, phrase.EN); !strings.HasPrefix(got, "line 3:") {
		t.Error(got)
	}
}

func TestTheCanonicalFormIsThatOfTheStandard(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		// Canonical XML 1.0, 3.1 to 3.4, with what is not taken left out.
		{"instructions and comments", "<?xml version=\"1.0\"?>\n\n<?xml-stylesheet   href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n\n<doc>Hello, world!<!-- Comment 1 --></doc>\n\n<?pi-without-data     ?>\n<!-- Comment 2 -->",
			"<?xml-stylesheet href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n<doc>Hello, world!</doc>\n<?pi-without-data?>"},
		{"tags", `<doc><e1   /><e2   ></e2><e3   name = "elem3"   id="elem3"   /><e5 b="sorted" a="d" xmlns:b="http://www.ietf.org" b:attr="w" xmlns="http://example.org"/></doc>`,
			`<doc><e1></e1><e2></e2><e3 id="elem3" name="elem3"></e3><e5 xmlns="http://example.org" xmlns:b="http://www.ietf.org" a="d" b="sorted" b:attr="w"></e5></doc>`},
		{"declarations said again", `<a xmlns="u" xmlns:x="v"><b xmlns="u" xmlns:x="v"/><c xmlns=""><d xmlns=""/></c></a>`,
			`<a xmlns="u" xmlns:x="v"><b></b><c xmlns=""><d></d></c></a>`},
		{"characters", "<doc><text>First line&#x0d;&#10;Second line</text><value>&#x32;</value><compute><![CDATA[value>\"0\" && value<\"10\" ?\"valid\":\"error\"]]></compute><c expr='value>\"0\" &amp;&amp; value&lt;\"10\"'>x</c><n a='&#x9;&#10;&#13; b\tc\nd'/></doc>",
			"<doc><text>First line&#xD;\nSecond line</text><value>2</value><compute>value&gt;\"0\" &amp;&amp; value&lt;\"10\" ?\"valid\":\"error\"</compute><c expr=\"value>&quot;0&quot; &amp;&amp; value&lt;&quot;10&quot;\">x</c><n a=\"&#x9;&#xA;&#xD; b c d\"></n></doc>"},
		{"attributes of several namespaces", `<a xmlns:p="urn:z" xmlns:q="urn:b" p:a="1" q:b="2" xml:c="3" z="4" q:a="5"><q:b q:z="1" p:a="2"/></a>`,
			`<a xmlns:p="urn:z" xmlns:q="urn:b" z="4" xml:c="3" q:a="5" q:b="2" p:a="1"><q:b q:z="1" p:a="2"></q:b></a>`},
		{"line ends", "<a>b\r\nc\rd</a>", "<a>b\nc\nd</a>"},
	} {
		d := parse(t, []byte(c.text))
		got, err := d.Canonical()
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n got %s\nwant %s", c.name, err, got, c.want)
		}
		again, err := parse(t, got).Canonical()
		if err != nil || string(again) != string(got) {
			t.Errorf("%s: canonical text has another canonical form: %s", c.name, again)
		}
	}
}

func TestAClaimIsReadFromTheRootOnly(t *testing.T) {
	d := parse(t, []byte(`<alert xmlns="u"><sender xmlns="v">other</sender><info><sender>inner</sender></info><sender>a<!-- -->b</sender><sender>late</sender></alert>`))
	if got := d.Text("sender"); got != "ab" {
		t.Error(got)
	}
	if name, ns := d.Root(); name != "alert" || ns != "u" {
		t.Error(name, ns)
	}
}
