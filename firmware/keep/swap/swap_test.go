package swap

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

const word = "稻田山路水车风铃竹影石桥"

var content = Content{Site: "441882103201", Document: "version: 1\n", Parts: []Part{{Site, "secrets/county.key", true, []byte("5a5a")}, {Data, "box.key", true, []byte("KEY")}}}

func TestOnlyThePassphraseOpensIt(t *testing.T) {
	t.Parallel()
	b, err := Seal(word, content)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"county.key", "5a5a", "KEY", "version", "NWE1YQ"} {
		if bytes.Contains(b, []byte(s)) {
			t.Errorf("%q can be read", s)
		}
	}
	c, err := Open(word, b)
	if err != nil || c.Document != content.Document || len(c.Parts) != 2 || string(c.Parts[1].Bytes) != "KEY" || !c.Parts[0].Secret {
		t.Fatalf("%+v %v", c, err)
	}
	if _, err := Open(word+"x", b); err == nil {
		t.Error("another passphrase opened it")
	}
	again, _ := Seal(word, content)
	if bytes.Equal(again[:64], b[:64]) {
		t.Error("two files of one content begin alike")
	}
	for _, at := range []int{0, len(head), len(head) + saltSize, len(b) / 2, len(b) - 1} {
		x := bytes.Clone(b)
		x[at] ^= 1
		if _, err := Open(word, x); err == nil {
			t.Errorf("byte %d was changed and nobody saw it", at)
		}
	}
	if _, err := Open(word, b[:len(b)-1]); err == nil {
		t.Error("cut short and nobody saw it")
	}
}

func TestAShortPassphraseSealsNothing(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"", "elevenrunes", strings.Repeat("a", 129), "twelve\xffrunes"} {
		if _, err := Seal(p, content); err == nil {
			t.Errorf("%q", p)
		}
	}
}

func TestAHostileContentIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Content){
		"a way out":        func(c *Content) { c.Parts[0].Name = "../../etc/passwd" },
		"an absolute":      func(c *Content) { c.Parts[0].Name = "/etc/passwd" },
		"something hidden": func(c *Content) { c.Parts[0].Name = "a/.ssh/keys" },
		"not clean":        func(c *Content) { c.Parts[0].Name = "a//b" },
		"a drive":          func(c *Content) { c.Parts[0].Name = `c:\x` },
		"another place":    func(c *Content) { c.Parts[0].Place = "etc" },
		"twice the same":   func(c *Content) { c.Parts[1] = c.Parts[0] },
		"no document":      func(c *Content) { c.Document = "" },
		"a large part":     func(c *Content) { c.Parts[0].Bytes = make([]byte, MostPart+1) },
		"many parts":       func(c *Content) { c.Parts = make([]Part, MostParts+1) },
	} {
		c := content
		c.Parts = append([]Part(nil), content.Parts...)
		c.Version = 1
		change(&c)
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(b); err == nil {
			t.Errorf("%s was taken", name)
		}
		if _, err := Seal(word, c); err == nil {
			t.Errorf("%s was sealed", name)
		}
	}
	if _, err := Open(word, make([]byte, Most+1)); err == nil {
		t.Error("too large, and opened")
	}
}

func FuzzOpen(f *testing.F) {
	b, _ := json.Marshal(content)
	f.Add(b)
	f.Add([]byte(head + strings.Repeat("x", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !bytes.HasPrefix(b, []byte(head)) || len(b) < len(head)+saltSize { // else it costs a key
			if _, err := Open(word, b); err == nil {
				t.Fatal("what is no sealed file was opened")
			}
		}
		c, err := read(b)
		if err != nil {
			return
		}
		for _, p := range c.Parts {
			if !Plain(p.Name) || strings.Contains(p.Name, "..") && strings.Contains("/"+p.Name+"/", "/../") {
				t.Fatalf("%q was taken", p.Name)
			}
		}
	})
}
