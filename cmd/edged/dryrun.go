package main

import (
	"os"

	"tocsin/firmware/station"
)

// DryRunCmd is the child that plays history through rules. It is not for people.
type DryRunCmd struct{}

// Run reads a task from standard input and writes what would have been.
func (c *DryRunCmd) Run(*Globals) error { return station.PlayRules(os.Stdin, os.Stdout) }
