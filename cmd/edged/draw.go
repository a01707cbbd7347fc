package main

import (
	"os"

	"tocsin/firmware/serve/paper"
)

// DrawCmd draws a PDF in a process of its own, under the caps that the box gave it. The
// box calls it.
type DrawCmd struct{}

// Run reads an order from standard input and writes the PDF to standard output.
func (c *DrawCmd) Run(*Globals) error { return paper.Draw(os.Stdin, os.Stdout) }
