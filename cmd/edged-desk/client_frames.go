package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// FramesCmd prints the last frames of a line with their meaning.
type FramesCmd struct {
	Line   string `arg:"" help:"线路名 · The line's name"`
	Follow bool   `help:"一直跟着打印，Ctrl-C 结束 · Go on with what is new; end with Ctrl-C" short:"f"`
	JSON   bool   `name:"json" help:"输出 JSON，一行一条 · Print JSON, one value a line"`
}

// Run prints.
func (c *FramesCmd) Run(g *Globals) error {
	path := "/lines/" + url.PathEscape(c.Line) + "/frames"
	if c.Follow {
		return g.follow(path+"/stream", func(line []byte) error { return c.print(g, line) })
	}
	var all []json.RawMessage
	if err := g.get(path, nil, &all); err != nil {
		return err
	}
	for _, f := range all {
		if err := c.print(g, f); err != nil {
			return err
		}
	}
	return nil
}

func (c *FramesCmd) print(g *Globals, line []byte) error {
	if c.JSON {
		return g.printLine(json.RawMessage(line))
	}
	var f api.Frame
	if err := json.Unmarshal(line, &f); err != nil {
		return &clientError{phrase.Wrap(err, "serve.stream_ended"), exitRefused}
	}
	arrow := map[string]string{"asked": "→", "answer": "←", "late": "⇠", "stray": "?", "fault": "✗"}[f.Kind]
	who := fmt.Sprint(f.Unit)
	if f.Device != "" {
		who = api.Clean(f.Device, 64)
	}
	var vs []string
	for _, v := range f.Values {
		s := api.Clean(string(v.Point), 128) + "=" + g.value(v.Value, v.Unit) + g.unit(v.Unit)
		if v.Quality != point.Good {
			s += " " + g.quality(v.Quality)
		}
		vs = append(vs, s)
	}
	_, err := fmt.Fprintln(g.out(), strings.TrimRight(fmt.Sprintf("%s %s %s  %s  %s  %s", local(f.At).Format("15:04:05.000"), arrow, pad(who, 12),
		pad(f.Bytes, 36), g.text(f.Meaning), strings.Join(vs, " ")), " "))
	return err
}
