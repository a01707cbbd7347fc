package main

import (
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/station"
)

// CheckCmd proves a site's file without opening any port.
type CheckCmd struct {
	File    string `arg:"" type:"path" help:"站点文件 · the site's file"`
	Explain bool   `help:"列出各规则的实际取值 · print what each rule works with, defaults included"`
}

// Run prints problems as file:line:col, then the worst delay from crossing to
// sound of each point. It exits with 2 where the file cannot be used.
func (c *CheckCmd) Run(g *Globals) error {
	l := g.lang()
	bp, problems := station.Load(c.File)
	for _, p := range problems {
		word := phrase.M("check.error")
		if p.Warning {
			word = phrase.M("check.warning")
		}
		fmt.Fprintf(os.Stdout, "%s %s\n", word.In(l), p.In(l))
	}
	if config.Fatal(problems) {
		return exitCode(2)
	}
	fmt.Println(phrase.M("check.good", "lines", len(bp.Lines), "points", len(bp.Points), "rules", len(bp.Rules), "outputs", len(bp.Outputs)).In(l))
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, d := range bp.Delays() {
		fmt.Fprintf(w, "  %s\t%s\n", d.Point, phrase.M("check.delay", "worst", round(d.Worst()), "period", round(d.Period),
			"queue", round(d.Queue), "read", round(d.Read), "hold", round(d.Hold), "dwell", round(d.Dwell), "switch", round(d.Switch), "output", d.Output).In(l))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if c.Explain {
		for _, m := range bp.Explain() {
			fmt.Println("  " + m.In(l))
		}
	}
	return nil
}

func round(d time.Duration) string { return d.Round(time.Millisecond).String() }
