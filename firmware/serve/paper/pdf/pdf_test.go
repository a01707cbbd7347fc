package pdf

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/paper"
)

// arphic is where Debian's fonts-arphic-gbsn00lp lies (make peers).
const arphic = "/usr/share/fonts/truetype/arphic-gbsn00lp/gbsn00lp.ttf"

func shot(t *testing.T) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 120, 90))
	for i := range m.Pix {
		m.Pix[i] = uint8(200 + i%40)
	}
	m.Set(1, 1, color.Black)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	f := filepath.Join(t.TempDir(), "1-1.jpg")
	if err := os.WriteFile(f, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func example(t *testing.T) paper.Sheet {
	return paper.Sheet{Lang: phrase.ZH, Title: "警钟站点开通报告", Verdict: "未开通，还差：拔电试验", Facts: []paper.Fact{{Name: "站点", Value: "黄渡村 441882103201"}},
		Parts: []paper.Part{{Title: "1. 雨量计注水试验", Mark: "通过", Good: true, Lines: []string{"数到 10.2 mm，应为 10 mm，偏差 2%", "注水 314 mL"},
			Rows:  [][]string{{"接地电阻", "3.86 Ω"}},
			Shots: []paper.Shot{{URL: "/api/v1/commissioning/photos/1-1.jpg", File: shot(t), Kind: "jpeg", Width: 120, Height: 90, Text: "王工 2026-06-14"}}}},
		Labels: []paper.Label{{Big: "west", Small: []string{"9600 8N1"}}}, Sign: []string{"安装人"}, Foot: "第 1 份"}
}

func TestAFontWithoutDigitsOrChineseIsRefused(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none.ttf")
	os.WriteFile(none, []byte("\x00\x01\x00\x00 and nothing"), 0o600)
	order, _ := json.Marshal(paper.Order{Sheet: example(t), Fonts: []string{filepath.Join(dir, "gone.ttf"), none, "/etc/hostname"}})
	var said bytes.Buffer
	if err := Draw(bytes.NewReader(order), &said); err != nil {
		t.Fatal(err)
	}
	if _, err := paper.Drawn(said.Bytes()); phrase.Of(err).Code != "paper.no_font" {
		t.Error(err)
	}
	// A font of Latin letters alone, and one whose ASCII is empty, where the machine has them.
	for _, f := range []string{"/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf", "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"} {
		if _, err := os.Stat(f); err == nil {
			if _, err := ReadFont(f); err == nil {
				t.Errorf("%s was taken", f)
			}
		}
	}
}

func drawn(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(arphic); err != nil {
		t.Skip("fonts-arphic-gbsn00lp is not installed (make peers)")
	}
	order, _ := json.Marshal(paper.Order{Sheet: example(t), Fonts: []string{"/gone.ttf", arphic}})
	var b bytes.Buffer
	if err := Draw(bytes.NewReader(order), &b); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 400<<10 {
		t.Errorf("%d bytes: the font was not cut to what is used", b.Len())
	}
	f := filepath.Join(t.TempDir(), "report.pdf")
	if err := os.WriteFile(f, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestThePDFSaysWhatTheSheetSays(t *testing.T) {
	f := drawn(t)
	tool, err := exec.LookPath("pdftotext")
	if err != nil {
		t.Skip("pdftotext is not installed (make peers: poppler-utils)")
	}
	out, err := exec.Command(tool, "-layout", f, "-").CombinedOutput()
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for _, want := range []string{"警钟站点开通报告", "314 mL", "3.86", "10.2 mm", "441882103201", "安装人"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// TestTheDigitsOfThePDFAreDigits looks at the picture of a page: a font without ASCII
// prints each digit as the same box, which no extraction of text tells.
func TestTheDigitsOfThePDFAreDigits(t *testing.T) {
	if _, err := os.Stat(arphic); err != nil {
		t.Skip("fonts-arphic-gbsn00lp is not installed (make peers)")
	}
	tool, err := exec.LookPath("pdftoppm")
	if err != nil {
		t.Skip("pdftoppm is not installed (make peers: poppler-utils)")
	}
	font, err := ReadFont(arphic)
	if err != nil {
		t.Fatal(err)
	}
	look := func(text string) []byte {
		f := filepath.Join(t.TempDir(), "p.pdf")
		w, _ := os.Create(f)
		if err := PDF(paper.Sheet{Title: text}, font, w); err != nil {
			t.Fatal(err)
		}
		w.Close()
		out, err := exec.Command(tool, "-png", "-r", "60", "-gray", "-singlefile", "-W", "300", "-H", "80", f, strings.TrimSuffix(f, ".pdf")).CombinedOutput()
		if err != nil {
			t.Fatalf("%v %s", err, out)
		}
		b, err := os.ReadFile(strings.TrimSuffix(f, ".pdf") + ".png")
		if err != nil {
			t.Fatal(err)
		}
		m, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		var pix []byte
		dark := 0
		for y := range m.Bounds().Dy() {
			for x := range m.Bounds().Dx() {
				g := color.GrayModel.Convert(m.At(x, y)).(color.Gray).Y
				if pix = append(pix, g); g < 128 {
					dark++
				}
			}
		}
		if dark < 20 {
			t.Fatalf("%q is blank", text)
		}
		return pix
	}
	seen := map[string]string{}
	for _, d := range []string{"0000", "1111", "2222", "3333", "4444", "5555", "6666", "7777", "8888", "9999"} {
		p := string(look(d))
		if other, twice := seen[p]; twice {
			t.Errorf("%s looks like %s", d, other)
		}
		seen[p] = d
	}
}
