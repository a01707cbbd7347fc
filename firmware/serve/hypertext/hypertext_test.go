package hypertext_test

import (
	"bytes"
	"html/template"
	"strings"
	"testing"

	"tocsin/firmware/serve/hypertext"
)

type thing struct {
	S, T string
	N    int
	B    bool
	L    []thing
	M    map[string]string
	P    *thing
	Any  any
}

func word(code string) string { return "«" + code + "»" }

// ours renders a text; the error is of reading it or of writing.
func ours(text string, given any) (string, error) {
	s, err := hypertext.Parse("x", text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = s.Write(&b, "x", given, word)
	return b.String(), err
}

// theirs renders it with html/template, the oracle.
func theirs(t testing.TB, text string, given any) string {
	t.Helper()
	x, err := template.New("x").Funcs(template.FuncMap{"t": word}).Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := x.Execute(&b, given); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// pages are templates with each thing that is taken.
var pages = []string{
	`<p>{{.S}}</p>`, `<title>{{.S}} · {{.T}}</title>`, `<a href="{{.S}}">{{.T}}</a>`, `<a href='{{.S}}'>x</a>`, `<a href="/a/{{.S}}/b?c={{.T}}&amp;d={{.N}}#{{.S}}">x</a>`,
	`<a href="{{.S}}?to={{.T}}">x</a>`, `<a href="{{.S}}{{.T}}">x</a>`, `<a href="#{{.S}}">x</a>`, `<img src="{{.S}}" alt="{{.T}}" width="{{.N}}">`, `<form action="{{.S}}" class="a {{.T}}">`,
	`<p data-x="{{.S}}" aria-label="{{.T}}" title='{{.S}}'>`, `<p{{if .B}} class="b"{{end}}>x</p>`, `<details{{if .B}} open{{end}}>`, `<meta content="20;url={{.S}}?l={{.T}}">`,
	`{{if .B}}{{.S}}{{else if .N}}{{.N}}{{else}}{{.T}}{{end}}`, `{{with .P}}{{.S}}{{else}}none {{.T}}{{end}}`, `{{with .S}}<b>{{.}}</b>{{$.T}}{{end}}`,
	`{{range .L}}<i>{{.S}}{{$.T}}</i>{{else}}empty{{end}}`, `{{range $i, $x := .L}}{{$i}}:{{$x.T}} {{end}}`, `{{range $k, $v := .M}}<dd data-word="{{$k}}">{{$v}}</dd>{{end}}`,
	`{{$v := .}}{{with .P}}{{$v.S}}{{$w := .T}}{{range $v.L}}{{$w}}{{.N}}{{end}}{{end}}{{$y := .N}}{{$y}}`, `{{if and .B (not .S)}}a{{end}}{{if or .S .N}}b{{end}}{{and .S .T}}{{or .S .T}}`,
	`{{if and .P .P.B}}p{{end}}`, `{{if eq .S "a"}}a{{else}}b{{end}}{{if ne .S .T}}c{{end}}{{eq .N .N}}`, `{{len .L}} {{len .S}}`, `{{t "a.b"}}<p title="{{t "c"}}">`,
	`{{define "y"}}<b>{{.S}}</b>{{$}}{{end}}{{range .L}}{{template "y" .}}{{end}}`, `{{define "z"}}{{.}}{{end}}{{template "z" "w&"}}{{template "z" .S}}`,
	`<!doctype html><script src="/a.js" defer></script><style></style>{{.S}}`, "{{- /* no */ -}} {{.S -}} \n x", `{{.Any}}{{.B}}`, `<svg viewBox="0 0 1 1"><path d="M1"/></svg>{{.S}}`,
	`{{if .B}}<a href="/{{.S}}">{{else}}<a href="/">{{end}}x</a>`,
}

var nasty = []string{"", "a", `<script>alert(1)</script>`, `" onload="x`, `' x='`, "javascript:alert(1)", "JaVaScRiPt:x", " javascript:x", "data:text/html,x", "https://a/b?c=d&e=%41%zz", "//evil", "mailto:a@b", "a/b:c", "?x=1#y",
	"&amp;&#34;", "a+b", "\x00", "\xff\xfe", "中 文", "%", "%4", "a\nb", "</title><img src=x>", "x:y", "http:x", "\t", "`", "{{.}}", "-->", "=1"}

func values() (all []thing) {
	for i, s := range nasty {
		next := nasty[(i+1)%len(nasty)]
		x := thing{S: s, T: next, N: i % 3, B: i%2 == 0}
		if i%3 > 0 {
			x.P, x.L = &thing{S: next, T: s, B: i%2 == 1}, []thing{{S: s, N: 1}, {T: s, S: next}}
			x.M = map[string]string{s: next, "b": s, next: "c"}
			x.Any = s
		}
		all = append(all, x)
	}
	return all
}

func TestEveryValueIsWrittenAsHTMLTemplateWritesIt(t *testing.T) {
	for _, page := range pages {
		for _, v := range values() {
			if strings.Contains(page, "{{.Any}}") && v.Any == nil {
				v.Any = 7
			}
			got, err := ours(page, &v)
			if err != nil {
				t.Fatalf("%s: %v", page, err)
			}
			if want := theirs(t, page, &v); got != want {
				t.Errorf("%s with %q, %q:\n got %q\nwant %q", page, v.S, v.T, got, want)
			}
		}
	}
}

func TestAPageInWhichAValueCouldBeWrongIsRefused(t *testing.T) {
	for _, page := range []string{
		`<p {{.S}}>`, `<{{.S}}>`, `<p class={{.S}}>`, `<p {{.S}}="x">`, `<p onclick="{{.S}}">`, `<p style="{{.S}}">`, `<script>{{.S}}</script>`, `<style>{{.S}}</style>`, `<SCRIPT>{{.S}}</SCRIPT>`,
		`<script src="a.js"></scrip>{{.S}}</script>`, `<!-- {{.S}} -->`, `<!-- x -->`, `<!doctype {{.S}}>`, `<p data-onclick="{{.S}}">`, `<p data-src="{{.S}}">`, `<p data-my-url="{{.S}}">`, `<p data-style="{{.S}}">`,
		`<img srcset="{{.S}}">`, `<iframe srcdoc="{{.S}}">`, `<p unknown="{{.S}}">`, `<a xlink:href="{{.S}}">`, `<p class="{{.S}}`, `<p class="{{if .B}}">{{end}}`, `{{if .B}}<p{{end}}>`, `{{range .L}}<p class="{{end}}">`,
		`<p class="{{template "x" .}}">`, `{{.S | html}}`, `{{printf "%s" .S}}`, `{{html .S}}`, `{{.S.Len}} {{call .S}}`, `{{template "none" .}}`, `{{template "x"}}`, `{{$v}}`, `{{if .B}}{{$v := .S}}{{end}}{{$v}}`,
		`{{$v := .S}}{{$v = .T}}`, `{{range .L}}{{break}}{{end}}`, `{{block "b" .}}{{end}}{{js .S}}`, `a < b`, `a <`, `<p "{{.S}}">`, `{{eq .S .T .S}}`, `{{not}}`, `{{.S .T}}`, `{{len 3}}`, `<a href="/a{{if .B}}?{{end}}{{.S}}">`, `<a href="/a&quest;b={{.S}}">`,
		`<!x>`, `</0>`, `<a-!>`,
	} {
		if s, err := ours(page, &thing{S: "a", B: true, L: []thing{{}}}); err == nil {
			t.Errorf("%s was written: %q", page, s)
		}
	}
}

type moody struct{ S string }

func (moody) Act() string { panic("called") }

func TestNoMethodIsEverCalledAndNoErrorPanics(t *testing.T) {
	for _, page := range []string{`{{.Act}}`, `{{.Nothing}}`, `{{.S.T}}`, `{{len .}}`, `{{eq .S 1}}`, `{{range .S}}x{{end}}`, `{{template "x" .}}`} {
		if s, err := ours(page, moody{"a"}); err == nil {
			t.Errorf("%s was written: %q", page, s)
		}
	}
	for _, given := range []any{nil, (*thing)(nil), 3} {
		if s, err := ours(`{{.S}}`, given); err == nil {
			t.Errorf("%v was written: %q", given, s)
		}
	}
}

// FuzzValue compares what is written with what html/template writes.
func FuzzValue(f *testing.F) {
	for i, s := range nasty {
		f.Add(i, s, nasty[(i+3)%len(nasty)])
	}
	f.Fuzz(func(t *testing.T, page int, a, b string) {
		v := thing{S: a, T: b, N: len(a), B: len(b)%2 == 0, L: []thing{{S: b}}, M: map[string]string{a: b}, P: &thing{S: b, T: a}, Any: a}
		for _, p := range []string{pages[uint(page)%uint(len(pages))]} {
			got, err := ours(p, &v)
			if err != nil {
				t.Fatalf("%s: %v", p, err)
			}
			if want := theirs(t, p, &v); got != want {
				t.Errorf("%s with %q, %q:\n got %q\nwant %q", p, a, b, got, want)
			}
		}
	})
}

// FuzzTemplate reads any template: what is taken is written as html/template writes it.
func FuzzTemplate(f *testing.F) {
	for _, p := range pages {
		f.Add(p, "a<b")
	}
	f.Fuzz(func(t *testing.T, page, s string) {
		v := &thing{S: s, T: "<", N: 1, B: true, L: []thing{{S: s}}, P: &thing{T: s}, Any: s}
		got, err := ours(page, v)
		if err != nil {
			return
		}
		x, err := template.New("x").Funcs(template.FuncMap{"t": word}).Parse(page)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if x.Execute(&b, v) != nil {
			return // it refuses more in what is no page
		}
		if got != b.String() {
			t.Errorf("%q with %q:\n got %q\nwant %q", page, s, got, b.String())
		}
	})
}
