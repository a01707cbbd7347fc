package main

import (
	"tocsin/firmware/station"
)

// BlackBoxCmd prints a black box that is in a folder; the one of a box that runs is in its
// support bundle.
type BlackBoxCmd struct {
	Dir string `arg:"" type:"existingdir" help:"数据目录，或 blackbox 目录 · a box's data folder, or its folder blackbox"`
}

// Run prints it.
func (c *BlackBoxCmd) Run(g *Globals) error {
	text, err := station.BlackBox(c.Dir)
	if err != nil {
		return err
	}
	return g.writeTo("", []byte(text), 0)
}
