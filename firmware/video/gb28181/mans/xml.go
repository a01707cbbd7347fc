package mans

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

// Node is an element of a body, with the text right in it.
type Node struct {
	Name, Text string
	Parts      []*Node
}

// Part is the first part of that name, or nil.
func (n *Node) Part(name string) *Node {
	for _, p := range n.Parts {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Get is the text of a part, empty where there is none.
func (n *Node) Get(name string) string {
	if p := n.Part(name); p != nil {
		return p.Text
	}
	return ""
}

// decode decodes a body. Annex A says GB 2312 (2022: GB 18030, which holds it); platforms
// send UTF-8 as well and declare either falsely, so what does not fit its declaration
// is read as the other.
func decode(b []byte) ([]byte, error) {
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

// readTree reads a body as a tree. Document types are refused whole; nothing is ever
// fetched or expanded.
func readTree(b []byte) (*Node, error) {
	if len(b) > mostXML {
		return nil, errXMLSize
	}
	b, err := decode(b)
	if err != nil {
		return nil, err
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // decoded above
	var root *Node
	var open []*Node
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
			n := &Node{Name: t.Name.Local}
			if len(open) == 0 {
				if root != nil {
					return nil, errXML
				}
				root = n
			} else {
				up := open[len(open)-1]
				up.Parts = append(up.Parts, n)
			}
			open = append(open, n)
		case xml.EndElement:
			open[len(open)-1].Text = strings.TrimSpace(open[len(open)-1].Text)
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				n := open[len(open)-1]
				if len(n.Text)+len(t) > mostText {
					if strings.TrimSpace(string(t)) != "" {
						return nil, errXMLSize
					}
					continue
				}
				n.Text += string(t)
			}
		}
	}
}

// Message is what a body of MANSCDP asks or says (Annex A.2).
type Message struct {
	Kind    string // Query, Control, Notify, Response
	Command string // CmdType
	SN      string
	Device  string
	Body    *Node
}

// Read reads a body. One without command, number or a code of 20 digits is none.
func Read(b []byte) (Message, error) {
	n, err := readTree(b)
	if err != nil {
		return Message{}, err
	}
	m := Message{Kind: n.Name, Command: n.Get("CmdType"), SN: n.Get("SN"), Device: n.Get("DeviceID"), Body: n}
	if m.Command == "" || len(m.Command) > 40 || len(m.SN) > 10 || !Digits(m.SN) || !IsCode(m.Device) {
		return Message{}, errXML
	}
	return m, nil
}

// An Element is written with its text or its parts.
type Element struct {
	Name  string
	Num   string // the attribute of lists
	Text  string
	Parts []Element
}

// El is an element with text.
func El(name, text string) Element { return Element{Name: name, Text: text} }

// Write writes a body in the charset that the platform reads: "UTF-8", or GB 2312,
// which then has the characters of GB 18030.
func Write(charset string, root Element) []byte {
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

func (e Element) write(b *bytes.Buffer) {
	b.WriteString("<" + e.Name)
	if e.Num != "" {
		b.WriteString(` Num="` + e.Num + `"`)
	}
	b.WriteString(">")
	if len(e.Parts) > 0 {
		b.WriteString("\r\n")
	}
	for _, p := range e.Parts {
		p.write(b)
	}
	_ = xml.EscapeText(b, []byte(strings.ToValidUTF8(e.Text, "?")))
	b.WriteString("</" + e.Name + ">\r\n")
}

// IsCode says that it is a code of a device, channel or platform: 20 digits.
func IsCode(s string) bool { return len(s) == 20 && Digits(s) }

// Digits says that it is of digits alone, and of one at least.
func Digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
