package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func TestAWrongCommandLineIsToldInOneLine(t *testing.T) {
	for _, c := range []struct{ line, zh, en string }{
		{"stop", "缺少 --who=NAME。用法见 edged stop --help", "--who=NAME is missing; see edged stop --help"},
		{"ack --who 张三", "缺少 \"<alarm>\"。用法见 edged ack --help", "\"<alarm>\" is missing; see edged ack --help"},
		{"bogus", "不认识 bogus。用法见 edged --help", "bogus is not understood; see edged --help"},
		{"read --bogus", "不认识 --bogus。用法见 edged read --help", "--bogus is not understood; see edged read --help"},
		{"", "没有写要做什么。用法见 edged --help", "no command is given; see edged --help"},
	} {
		for lang, want := range map[string]string{"zh": c.zh, "en": c.en} {
			var x cli
			k, err := kong.New(&x, kong.Name("edged"))
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("EDGED_LANG", lang)
			_, err = k.Parse(strings.Fields(c.line))
			if err == nil {
				t.Fatalf("%q was understood", c.line)
			}
			var said strings.Builder
			if code := badUsage(&Globals{Lang: lang}, &said, err); code != exitUsage || said.String() != "edged: "+want+"\n" {
				t.Errorf("%q, %s: %d %q\nwant %q", c.line, lang, code, said.String(), want)
			}
		}
	}
}
