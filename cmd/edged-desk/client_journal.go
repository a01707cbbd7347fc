package main

import (
	"encoding/json"
	"fmt"
	"strconv"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// JournalCmd prints committed records of the journal, oldest first. A program
// that was cut off goes on with --after and the last seq it saw.
type JournalCmd struct {
	Follow bool  `help:"一直跟着打印，Ctrl-C 结束 · Go on with what is new; end with Ctrl-C" short:"f"`
	JSON   bool  `name:"json" help:"输出 JSON，一行一条 · Print JSON, one value a line"`
	After  int64 `help:"从这个序号之后开始 · Begin after this sequence number" default:"0" placeholder:"SEQ"`
	Limit  int   `help:"最多几条（1–1000） · How many at most" default:"100"`
}

// Run prints.
func (c *JournalCmd) Run(g *Globals) error {
	after := strconv.FormatInt(max(0, c.After), 10)
	if c.Follow {
		return g.follow("/journal/stream?after="+after, func(line []byte) error { return c.print(g, line) })
	}
	var all []json.RawMessage
	if err := g.get("/journal?after="+after+"&limit="+strconv.Itoa(c.Limit), nil, &all); err != nil {
		return err
	}
	for _, r := range all {
		if err := c.print(g, r); err != nil {
			return err
		}
	}
	return nil
}

func (c *JournalCmd) print(g *Globals, line []byte) error {
	if c.JSON {
		return g.printLine(json.RawMessage(line))
	}
	var r api.Record
	if err := json.Unmarshal(line, &r); err != nil {
		return &clientError{phrase.Wrap(err, "serve.stream_ended"), exitRefused}
	}
	who := ""
	if r.Who != nil && r.Who.Via != "rule" {
		who = api.Clean(r.Who.Name, 64) + "  "
	}
	_, err := fmt.Fprintf(g.out(), "%6d  %s  %s  %s%s\n", r.Seq, local(r.At).Format("2006-01-02 15:04:05"), pad(r.Kind, 18), who, g.text(r.Text))
	return err
}
