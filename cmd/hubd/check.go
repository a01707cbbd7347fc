package main

import (
	"fmt"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/phrase"
)

// CheckCmd proves the hub's file without opening any port.
type CheckCmd struct {
	File string `arg:"" type:"path" help:"中心文件 · the hub's file"`
}

// Run prints problems, and exits with 2 where the file cannot be used.
func (c *CheckCmd) Run(g *Globals) error {
	f, ps := hubfile.Load(c.File)
	tell(g.out(), ps, g.lang())
	if f == nil {
		return exitCode(exitUsage)
	}
	_, err := fmt.Fprintln(g.out(), phrase.M("hubd.good", "file", c.File, "stations", len(f.Stations)).In(g.lang()))
	return err
}
