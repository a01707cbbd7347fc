package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// county is the warning office: it writes alerts as the national system does, signs
// them with its own key and hands them over by the ways that the site has.
type county struct {
	edged, dir string
	n          int
	sent       []sent
}

type sent struct {
	ref  string
	text []byte // signed
}

// countySender is the office's code: 6 digits of GB/T 2260, 3 of GB/T 4657, 3 of the
// unit, 2 of extension.
const countySender = "44188241600000"

// newCounty makes the office's key; its public half is what the site trusts.
func newCounty(edged, dir string) (*county, error) {
	c := &county{edged: edged, dir: dir}
	if err := os.MkdirAll(c.drop(), 0o755); err != nil {
		return nil, err
	}
	if err := c.run("alert", "key", "--kind", "ed25519", "-o", c.shortKey()); err != nil {
		return nil, err
	}
	return c, c.run("alert", "key", "--kind", "sm2", "-o", c.key())
}

func (c *county) key() string { return filepath.Join(c.dir, "county.pem") }

// shortKey signs the 78 bytes that narrow links carry.
func (c *county) shortKey() string { return filepath.Join(c.dir, "county-short.pem") }

// issuer is the office as a trust document has it, for the station and for the hub.
func (c *county) issuer() string {
	return fmt.Sprintf(`      county:
        name: {zh: 连州市应急管理局（演示）, en: Lianzhou emergency office (demonstration)}
        senders: ["%s"]
        keys: [{file: county.pem.pub}, {file: county-short.pem.pub}]
        grant: {kinds: [real, drill], most_level: evacuate, areas: ["441882"]}
        compact: {number: 7, region: "441882"}
`, countySender)
}

func (c *county) drop() string { return filepath.Join(c.dir, "drop") }

func (c *county) run(args ...string) error {
	out, err := exec.Command(c.edged, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("edged %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

var beijing = time.FixedZone("CST", 8*3600)

// warning is what the office says.
type warning struct {
	msgType, colour, severity, headline, text string
	refers                                    []string
	sent, expires                             time.Time
}

// sign writes a warning and signs it.
func (c *county) sign(w warning) (sent, error) {
	if w.sent.IsZero() {
		w.sent = time.Now()
	}
	if w.expires.IsZero() {
		w.expires = w.sent.Add(time.Hour)
	}
	c.n++
	at := w.sent.In(beijing)
	id := fmt.Sprintf("%s_%s_%d", countySender, at.Format("20060102150405"), c.n%10)
	stamp := func(t time.Time) string { return t.In(beijing).Format("2006-01-02 15:04:05") + "+08:00" }
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>%s</identifier>
  <sender>%s</sender>
  <sent>%s</sent>
  <status>Actual</status>
  <msgType>%s</msgType>
  <scope>Public</scope>
`, id, countySender, stamp(w.sent), w.msgType)
	if len(w.refers) > 0 {
		fmt.Fprintf(&b, "  <references>%s</references>\n", strings.Join(w.refers, " "))
	}
	fmt.Fprintf(&b, `  <info>
    <language>zh-CN</language>
    <category>Geo</category>
    <event>山洪灾害</event>
    <urgency>Immediate</urgency>
    <severity>%s</severity>
    <certainty>Likely</certainty>
    <eventCode><valueName>eventType</valueName><value>11A53</value></eventCode>
    <expires>%s</expires>
    <senderName>连州市应急管理局（演示）</senderName>
    <headline>%s</headline>
    <description>%s</description>
    <parameter><valueName>colour</valueName><value>%s</value></parameter>
    <area><areaDesc>连州市黄渡村</areaDesc><geocode><valueName>areaCode</valueName><value>441882103201</value></geocode></area>
  </info>
</alert>
`, w.severity, stamp(w.expires), w.headline, w.text, w.colour)
	plain, signed := filepath.Join(c.dir, id+".xml"), filepath.Join(c.dir, id+".signed.xml")
	if err := os.WriteFile(plain, []byte(b.String()), 0o644); err != nil {
		return sent{}, err
	}
	if err := c.run("alert", "sign", "--key", c.key(), "-o", signed, plain); err != nil {
		return sent{}, err
	}
	text, err := os.ReadFile(signed)
	// References have no blanks inside: the national form of a time would split.
	ref := countySender + "," + id + "," + w.sent.In(beijing).Format("2006-01-02T15:04:05") + "+08:00"
	s := sent{ref, text}
	c.sent = append(c.sent, s)
	return s, err
}

// leave puts an alert into the watched folder: under another name first, so that
// nobody reads half of it.
func (c *county) leave(s sent) error {
	part := filepath.Join(c.drop(), fmt.Sprintf(".%d.part", c.n))
	if err := os.WriteFile(part, s.text, 0o644); err != nil {
		return err
	}
	return os.Rename(part, filepath.Join(c.drop(), fmt.Sprintf("%d.xml", c.n)))
}

// verdict is what the box answers to an alert that is handed in.
type verdict struct {
	WellFormed bool `json:"well_formed"`
	Genuine    bool `json:"genuine"`
	Trusted    bool `json:"trusted"`
	InForce    bool `json:"in_force"`
	Reasons    []struct {
		Path string `json:"path"`
		Text words  `json:"text"`
	} `json:"reasons"`
	Outcome words `json:"outcome"`
}

func (v verdict) String() string {
	s := fmt.Sprintf("well-formed %v, genuine %v, trusted %v, in force %v", v.WellFormed, v.Genuine, v.Trusted, v.InForce)
	for _, r := range v.Reasons {
		s += "; " + r.Text.EN + " [" + r.Path + "]"
		break
	}
	return s
}

// hand gives an alert to the box's socket, by the technician's own command.
func (c *county) hand(b *box, text []byte) (v verdict, err error) {
	cmd := exec.Command(c.edged, "--socket", b.socket(), "alert", "send", "--json", "-")
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.Output()
	if len(out) == 0 && err != nil {
		return v, fmt.Errorf("edged alert send: %w", err)
	}
	return v, json.Unmarshal(out, &v)
}
