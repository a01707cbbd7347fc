package main

import (
	"encoding/pem"
	"strconv"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// KeyCmd shows by which names and key others know this box.
type KeyCmd struct {
	PEM  bool `name:"pem" help:"只输出公钥，给下游站的 beacons.from.*.key 或中心用 · Print the public key alone, for a station downstream or the hub"`
	JSON bool `name:"json" help:"输出 JSON，一行一条 · Print JSON, one value a line"`
}

// Run prints.
func (c *KeyCmd) Run(g *Globals) error {
	if c.JSON {
		return g.raw("/identity")
	}
	var id api.Identity
	if err := g.get("/identity", nil, &id); err != nil {
		return err
	}
	// Read and written anew: what a terminal shows came over a socket.
	block, _ := pem.Decode([]byte(id.PEM))
	if block == nil {
		return phrase.E("serve.key_none")
	}
	if !c.PEM {
		l := g.lang()
		t := table{{phrase.M("serve.key_station").In(l), id.Station}, {phrase.M("serve.key_number").In(l), strconv.Itoa(id.Number)}, {phrase.M("serve.key_id").In(l), id.Key}}
		if err := t.write(g.out(), -1); err != nil {
			return err
		}
	}
	return pem.Encode(g.out(), &pem.Block{Type: "PUBLIC KEY", Bytes: block.Bytes})
}
