package paper

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
)

func example() Sheet {
	return Sheet{Lang: phrase.ZH, Title: "警钟站点开通报告", Verdict: "未开通，还差：拔电试验", Facts: []Fact{{"站点", "黄渡村 441882103201"}},
		Parts: []Part{{Title: "1. 雨量计注水试验", Mark: "通过", Good: true, Lines: []string{"数到 10.2 mm，应为 10 mm，偏差 2%", "注水 314 mL"},
			Rows:  [][]string{{"接地电阻", "3.86 Ω"}},
			Shots: []Shot{{URL: "/api/v1/commissioning/photos/1-1.jpg", Kind: "jpeg", Width: 120, Height: 90, Text: "王工 2026-06-14"}}}},
		Labels: []Label{{Big: "west", Small: []string{"9600 8N1"}}}, Sign: []string{"安装人"}, Foot: "第 1 份"}
}

func TestThePagePrintsWithoutScriptAndEscapesWhatPeopleWrote(t *testing.T) {
	s := example()
	s.Parts[0].Lines = append(s.Parts[0].Lines, `<script>alert(1)</script>`)
	b, err := Page(s, "/page/paper.css")
	if err != nil {
		t.Fatal(err)
	}
	got := string(b)
	for _, want := range []string{`lang="zh-CN"`, "警钟站点开通报告", "314 mL", `src="/api/v1/commissioning/photos/1-1.jpg"`, "&lt;script&gt;"} {
		if !strings.Contains(got, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	for _, not := range []string{"<script", "style=", "<style", "http://", "https://"} {
		if strings.Contains(got, not) {
			t.Errorf("the page has %s", not)
		}
	}
}

func TestFontsThatCannotBeEmbeddedAreNotOffered(t *testing.T) {
	dir := t.TempDir()
	var all []string
	for name, head := range map[string]string{"a.ttf": "\x00\x01\x00\x00", "c.ttc": "ttcf", "o.otf": "OTTO", "e.ttf": ""} {
		f := filepath.Join(dir, name)
		if err := os.WriteFile(f, []byte(head), 0o600); err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	all = append(all, filepath.Join(dir, "gone.ttf"))
	got, err := Fonts(all)
	if err != nil || len(got) != 1 || filepath.Base(got[0]) != "a.ttf" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Fonts([]string{filepath.Join(dir, "c.ttc")}); phrase.Of(err).Code != "paper.no_font" {
		t.Error(err)
	}
}

func TestWhatTheDrawingProcessWroteIsAPDFOrWhyNot(t *testing.T) {
	if b, err := Drawn([]byte("%PDF-1.3 …")); err != nil || len(b) == 0 {
		t.Error(err)
	}
	for out, code := range map[string]string{`{"tried":["/a.ttf"]}`: "paper.no_font", "": "paper.failed", "panic: …": "paper.failed", "{}": "paper.failed"} {
		if _, err := Drawn([]byte(out)); phrase.Of(err).Code != code {
			t.Errorf("%q: %v", out, err)
		}
	}
}
