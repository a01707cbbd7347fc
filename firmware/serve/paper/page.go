package paper

import (
	"bytes"
	_ "embed"
	"sync"

	"tocsin/firmware/serve/hypertext"
)

//go:embed sheet.html
var sheetHTML string

// sheetPage is read when something is printed first, and kept.
var sheetPage = sync.OnceValues(func() (*hypertext.Set, error) { return hypertext.Parse("sheet", sheetHTML) })

// printed is what the page is made of.
type printed struct {
	Sheet
	Style, Tag string
}

// Page makes the page to print; style is the address of its style sheet.
func Page(s Sheet, style string) ([]byte, error) {
	page, err := sheetPage()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.Write(&b, "sheet", printed{s, style, map[bool]string{true: "en", false: "zh-CN"}[s.Lang == "en"]}, nil)
	return b.Bytes(), err
}
