package gb28181

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// Bounds of a body of MANSCDP: the longest that the standard knows is a catalog's
// part, of some kilobytes.
const (
	mostXML   = 64 << 10
	mostDepth = 8
	mostNodes = 2048
	mostText  = 1024
)

var (
	errXML     = errors.New("not a body of MANSCDP")
	errXMLSize = errors.New("a body of MANSCDP beyond the bounds")
)

// node is an element of a body, with the text right in it.
type node struct {
	name, text string
	parts      []*node
}

func (n *node) part(name string) *node {
	for _, p := range n.parts {
		if p.name == name {
			return p
		}
	}
	return nil
}

// get is the text of a part, empty where there is none.
func (n *node) get(name string) string {
	if p := n.part(name); p != nil {
		return p.text
	}
	return ""
}

// utf8Of decodes a body. Annex A says GB 2312 (2022: GB 18030, which holds it); platforms
// send UTF-8 as well and declare either falsely, so what does not fit its declaration
// is read as the other.
func utf8Of(b []byte) ([]byte, error) {
	b = bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF"))
	declared := ""
	if head, _, ok := bytes.Cut(b[:min(len(b), 200)], []byte("?>")); ok {
		if _, e, ok := bytes.Cut(bytes.ToUpper(head), []byte("ENCODING")); ok {
			declared = strings.Trim(string(e), " \t\r\n='\"")
		}
	}
	valid := utf8.Valid(b)
	if valid && (!strings.HasPrefix(declared, "GB") || han(b)) {
		return b, nil
	}
	out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
	if err == nil && !bytes.ContainsRune(out, utf8.RuneError) {
		return out, nil
	}
	if valid {
		return b, nil
	}
	return nil, errXML
}

// han says that good UTF-8 is meant so: it has characters of three bytes, or nothing
// beyond ASCII. A few characters of GB 2312 can make good UTF-8 of two bytes each by
// chance, hardly any of three.
func han(b []byte) bool {
	plain := true
	for _, r := range string(b) {
		if r >= 0x2E80 {
			return true
		}
		plain = plain && r < utf8.RuneSelf
	}
	return plain
}

// readXML reads a body as a tree. Document types are refused whole; nothing is ever
// fetched or expanded.
func readXML(b []byte) (*node, error) {
	if len(b) > mostXML {
		return nil, errXMLSize
	}
	b, err := utf8Of(b)
	if err != nil {
		return nil, err
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // decoded above
	var root *node
	var open []*node
	nodes := 0
	for {
		t, err := d.Token()
		if err == io.EOF && len(open) == 0 && root != nil {
			return root, nil
		}
		if err != nil {
			return nil, errXML
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, errXML
		case xml.StartElement:
			if nodes++; nodes > mostNodes || len(open) >= mostDepth {
				return nil, errXMLSize
			}
			n := &node{name: t.Name.Local}
			if len(open) == 0 {
				if root != nil {
					return nil, errXML
				}
				root = n
			} else {
				up := open[len(open)-1]
				up.parts = append(up.parts, n)
			}
			open = append(open, n)
		case xml.EndElement:
			open[len(open)-1].text = strings.TrimSpace(open[len(open)-1].text)
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				n := open[len(open)-1]
				if len(n.text)+len(t) > mostText {
					if strings.TrimSpace(string(t)) != "" {
						return nil, errXMLSize
					}
					continue
				}
				n.text += string(t)
			}
		}
	}
}

// message is what a body of MANSCDP asks or says (Annex A.2).
type message struct {
	kind    string // Query, Control, Notify, Response
	command string // CmdType
	sn      string
	device  string
	body    *node
}

func readMessage(b []byte) (message, error) {
	n, err := readXML(b)
	if err != nil {
		return message{}, err
	}
	m := message{kind: n.name, command: n.get("CmdType"), sn: n.get("SN"), device: n.get("DeviceID"), body: n}
	if m.command == "" || len(m.command) > 40 || len(m.sn) > 10 || !digits(m.sn) || checkID("", m.device) != nil {
		return message{}, errXML
	}
	return m, nil
}

// An element is written with its text or its parts.
type element struct {
	name  string
	attr  string // Num of lists
	text  string
	parts []element
}

func el(name, text string) element { return element{name: name, text: text} }

// writeXML writes a body in the charset that the platform reads: "UTF-8", or GB 2312,
// which then has the characters of GB 18030.
func writeXML(charset string, root element) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="` + charset + "\"?>\r\n")
	root.write(&b)
	if charset == "UTF-8" {
		return b.Bytes()
	}
	out, err := simplifiedchinese.GB18030.NewEncoder().Bytes(b.Bytes())
	if err != nil { // no text of ours is outside GB 18030; whatever is not UTF-8 was never valid
		return b.Bytes()
	}
	return out
}

func (e element) write(b *bytes.Buffer) {
	b.WriteString("<" + e.name)
	if e.attr != "" {
		b.WriteString(` Num="` + e.attr + `"`)
	}
	b.WriteString(">")
	if len(e.parts) > 0 {
		b.WriteString("\r\n")
	}
	for _, p := range e.parts {
		p.write(b)
	}
	_ = xml.EscapeText(b, []byte(strings.ToValidUTF8(e.text, "?")))
	b.WriteString("</" + e.name + ">\r\n")
}
