package main

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	qrcode "github.com/skip2/go-qrcode"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// LabelCmd prints what belongs on the unit: where its page is, and the set-up secret while
// set-up is open. Below it stands the stop token, which belongs beside whoever is on duty.
type LabelCmd struct {
	by
	Open bool   `help:"重新打开开通，换一个新的开通码 · open set-up anew, with another secret"`
	PNG  string `name:"png" type:"path" help:"二维码存为 PNG · write the code as PNG" placeholder:"FILE"`
	SVG  string `name:"svg" type:"path" help:"二维码存为 SVG · write the code as SVG" placeholder:"FILE"`
	Addr string `help:"标签上写这个地址，默认第一个 · the address on the label, the first by default" placeholder:"URL"`
	JSON bool   `name:"json" help:"输出 JSON · Print JSON"`
}

// Run prints.
func (c *LabelCmd) Run(g *Globals) error {
	var l api.Label
	var ask any
	if c.Open {
		ask = api.Named{Who: c.name()}
	}
	if err := g.get("/label", ask, &l); err != nil {
		return err
	}
	if c.JSON {
		return g.printLine(l)
	}
	at := c.Addr
	if at == "" {
		if len(l.Addresses) == 0 {
			return &clientError{phrase.E("label.no_address"), exitRefused}
		}
		at = l.Addresses[0]
	}
	code, err := qrcode.New(setupURL(at, l.Secret), qrcode.Medium)
	if err != nil {
		return err
	}
	if c.PNG != "" {
		b, err := code.PNG(600)
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.PNG, b, 0o600); err != nil {
			return err
		}
	}
	if c.SVG != "" {
		if err := os.WriteFile(c.SVG, svg(code.Bitmap()), 0o600); err != nil {
			return err
		}
	}
	fmt.Fprintln(g.out(), code.ToSmallString(false))
	fmt.Fprintf(g.out(), "Tocsin %s  %s\n%s\n", g.text(l.Site), api.Clean(l.Station, 40), api.Clean(at, 200))
	for _, other := range l.Addresses {
		if other != at {
			fmt.Fprintln(g.out(), api.Clean(other, 200))
		}
	}
	if l.Secret == "" {
		g.say(phrase.M("label.closed"))
	} else {
		g.say(phrase.M("label.secret", "secret", l.Secret, "left", l.Open.Round(time.Minute)))
	}
	if l.Fingerprint != "" {
		g.say(phrase.M("label.fingerprint", "sha256", l.Fingerprint))
	}
	if l.Stop != "" {
		g.say(phrase.M("label.stop", "token", l.Stop))
	}
	return nil
}

// setupURL is what the code holds. The secret stands behind the number sign, which no
// browser sends (RFC 9110, 4.2.5 and RFC 3986, 3.5): so it is in no log, proxy or Referer.
func setupURL(at, secret string) string {
	if secret == "" {
		return strings.TrimSuffix(at, "/") + "/"
	}
	return strings.TrimSuffix(at, "/") + "/setup#" + url.Values{"s": {secret}}.Encode()
}

// svg draws the code's dark modules, one unit each.
func svg(m [][]bool) []byte {
	var b bytes.Buffer
	n := strconv.Itoa(len(m))
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ` + n + ` ` + n + `" shape-rendering="crispEdges"><rect width="` + n + `" height="` + n + `" fill="#fff"/><path d="`)
	for y, row := range m {
		for x, dark := range row {
			if dark {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	b.WriteString(`"/></svg>` + "\n")
	return b.Bytes()
}
