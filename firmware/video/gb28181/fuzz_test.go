package gb28181

import (
	"bytes"
	"encoding/xml"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"tocsin/firmware/video/stream"
)

func TestTextIsReadInWhicheverCodeItReallyIs(t *testing.T) {
	gbk := func(s string) string {
		b, err := simplifiedchinese.GBK.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	body := `<Query><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>` + deviceID + `</DeviceID><Name>联通河口</Name></Query>`
	for name, b := range map[string]string{
		"GB2312 as declared":             `<?xml version="1.0" encoding="GB2312"?>` + gbk(body),
		"GBK as declared":                `<?xml version="1.0" encoding="GBK" ?>` + gbk(body),
		"gb18030, small letters":         `<?xml version='1.0' encoding='gb18030'?>` + gbk(body),
		"UTF-8 as declared":              `<?xml version="1.0" encoding="UTF-8"?>` + body,
		"UTF-8 with a mark":              "\xEF\xBB\xBF" + `<?xml version="1.0" encoding="UTF-8"?>` + body,
		"GB2312 declared, UTF-8 meant":   `<?xml version="1.0" encoding="GB2312"?>` + strings.Replace(body, "联通河口", "联通河口站", 1),
		"UTF-8 declared, GBK meant":      `<?xml version="1.0" encoding="UTF-8"?>` + gbk(body),
		"nothing declared, GBK meant":    gbk(body),
		"nothing declared, UTF-8 meant":  body,
		"GB2312 that is good UTF-8 too":  `<?xml version="1.0" encoding="GB2312"?>` + gbk(strings.Replace(body, "联通河口", "水平", 1)),
		"GB2312 declared, letters alone": `<?xml version="1.0" encoding="GB2312"?>` + strings.Replace(body, "联通河口", "LT", 1),
	} {
		m, err := readMessage([]byte(b))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := m.body.get("Name"); !strings.HasPrefix(got, "联通") && got != "LT" && got != "水平" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(wellFormed))
	f.Add([]byte(`<?xml version="1.0" encoding="GB2312"?><Control><CmdType>DeviceControl</CmdType><SN>17</SN><DeviceID>` + channelID + `</DeviceID><IFameCmd>Send</IFameCmd></Control>`))
	f.Add([]byte("<?xml version=\"1.0\" encoding=\"GBK\"?><Query><CmdType>RecordInfo</CmdType><SN>3</SN><DeviceID>" + channelID + "</DeviceID><FilePath>\xba\xd3\xbf\xda</FilePath></Query>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readMessage(b)
		if err != nil {
			return
		}
		if len(m.device) != 20 || len(m.sn) > 10 || !utf8.ValidString(m.command) {
			t.Fatalf("%+v", m)
		}
		// What we would answer must be read again as it was said.
		for _, charset := range []string{"UTF-8", "GB2312"} {
			out := writeXML(charset, element{name: "Response", parts: []element{el("CmdType", m.command), el("SN", m.sn), el("DeviceID", m.device)}})
			again, err := readMessage(out)
			if err != nil || again.device != m.device || again.sn != m.sn {
				t.Fatalf("%s: %v: %q", charset, err, out)
			}
		}
	})
}

func FuzzOffer(f *testing.F) {
	f.Add([]byte(strings.ReplaceAll(goodOffer, "\n", "\r\n")))
	f.Add([]byte("v=0\ns=Download\nc=IN IP6 ::1\nt=1 9\nm=video 9 TCP/RTP/AVP 96\na=setup:active\na=downloadspeed:2\ny=1200000001\nf=v/2/6/25/1/4000a/1/8/1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := readOffer(b)
		if err != nil {
			return
		}
		if !o.to.IsValid() || o.to.Port() == 0 || o.speed <= 0 || o.ssrc != "" && len(o.ssrc) != 10 {
			t.Fatalf("%+v", o)
		}
		// The answer is itself an offer that reads the same.
		if o.ssrc == "" {
			o.ssrc = "0200000001"
		}
		back, err := readOffer(o.answer(channelID, netip.MustParseAddrPort("10.0.0.1:5000"), o.ssrc, form(stream.State{})))
		if err != nil || back.kind != o.kind || back.ssrc != o.ssrc {
			t.Fatalf("%v: %+v", err, back)
		}
	})
}

func FuzzWish(f *testing.F) {
	f.Add([]byte("PLAY MANSRTSP/1.0\r\nCSeq: 2\r\nScale: 2.0\r\nRange: npt=12.5-\r\n\r\n"))
	f.Add([]byte("PAUSE RTSP/1.0\r\nCSeq: 3\r\nPauseTime: now\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := readWish(b)
		if err == nil && (w.scale < 0 || w.scale > 32 || w.scale != w.scale || w.at < 0 || w.cseq != "" && !digits(w.cseq)) {
			t.Fatalf("%+v", w)
		}
	})
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Digest realm="3402000000",qop="auth",nonce="abc",algorithm=MD5`, "realm")
	f.Fuzz(func(t *testing.T, s, name string) {
		if name == "" {
			return
		}
		if v := parameter(s, strings.ToLower(name)); len(v) > len(s) {
			t.Fatal(v)
		}
	})
}

func TestTextThatIsWrittenIsWellFormed(t *testing.T) {
	for _, name := range []string{"河口<岸>&\"'", "a\x00b", "\xff\xfe", "龘𠮷€"} {
		b := writeXML("UTF-8", element{name: "Response", parts: []element{el("Name", name)}})
		var v struct{ Name string }
		if err := xml.NewDecoder(bytes.NewReader(b)).Decode(&v); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
