package mans

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

const (
	device     = "34020000001110000001"
	channel    = "34020000001310000001"
	wellFormed = `<?xml version="1.0"?><Query><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>` + device + `</DeviceID></Query>`
)

func TestTextIsReadInWhicheverCodeItReallyIs(t *testing.T) {
	gbk := func(s string) string {
		b, err := simplifiedchinese.GBK.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	body := `<Query><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>` + device + `</DeviceID><Name>联通河口</Name></Query>`
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
		m, err := Read([]byte(b))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := m.Body.Get("Name"); !strings.HasPrefix(got, "联通") && got != "LT" && got != "水平" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(wellFormed))
	f.Add([]byte(`<?xml version="1.0" encoding="GB2312"?><Control><CmdType>DeviceControl</CmdType><SN>17</SN><DeviceID>` + channel + `</DeviceID><IFameCmd>Send</IFameCmd></Control>`))
	f.Add([]byte("<?xml version=\"1.0\" encoding=\"GBK\"?><Query><CmdType>RecordInfo</CmdType><SN>3</SN><DeviceID>" + channel + "</DeviceID><FilePath>\xba\xd3\xbf\xda</FilePath></Query>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Read(b)
		if err != nil {
			return
		}
		if len(m.Device) != 20 || len(m.SN) > 10 || !utf8.ValidString(m.Command) {
			t.Fatalf("%+v", m)
		}
		// What we would answer must be read again as it was said.
		for _, charset := range []string{"UTF-8", "GB2312"} {
			out := Write(charset, Element{Name: "Response", Parts: []Element{El("CmdType", m.Command), El("SN", m.SN), El("DeviceID", m.Device)}})
			again, err := Read(out)
			if err != nil || again.Device != m.Device || again.SN != m.SN {
				t.Fatalf("%s: %v: %q", charset, err, out)
			}
		}
	})
}

func TestTextThatIsWrittenIsWellFormed(t *testing.T) {
	for _, name := range []string{"河口<岸>&\"'", "a\x00b", "\xff\xfe", "龘𠮷€"} {
		b := Write("UTF-8", Element{Name: "Response", Parts: []Element{El("Name", name)}})
		var v struct{ Name string }
		if err := xml.NewDecoder(bytes.NewReader(b)).Decode(&v); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
