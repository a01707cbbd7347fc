package paper

import (
	"bytes"
	_ "embed"
	"html/template"
)

//go:embed sheet.html
var sheetHTML string

var sheetPage = template.Must(template.New("sheet").Parse(sheetHTML))

// Page makes the page to print; style is the address of its style sheet.
func Page(s Sheet, style string) ([]byte, error) {
	var b bytes.Buffer
	err := sheetPage.Execute(&b, struct {
		Sheet
		Style, Tag string
	}{s, style, map[bool]string{true: "en", false: "zh-CN"}[s.Lang == "en"]})
	return b.Bytes(), err
}
