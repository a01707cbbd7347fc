package main

import (
	"fmt"
	"io"
	"net/url"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/station"
)

// RecordCmd makes proof for a profile from what is heard on a line, or a new
// profile from registers that were picked.
type RecordCmd struct {
	Target  string   `arg:"" help:"线路名；新设备也可以写串口或网关 · The line's name; with --pick also a port or a gateway"`
	Unit    int      `arg:"" help:"站号 · The unit number"`
	Profile string   `help:"设备文件名 · The profile's name" required:"" placeholder:"NAME"`
	Pick    []string `help:"新设备的测点，如 'level=holding 0x0002 float32 CDAB m 0..20'，可写多次 · A point of a new profile; may be given several times" sep:"none" placeholder:"POINT"`
	Baud    int      `help:"新设备的波特率 · The new device's rate" default:"9600"`
	Format  string   `help:"新设备的格式 · The new device's format" default:"8N1"`
	Write   bool     `help:"写到站点文件旁边的 profiles 里 · Write it into profiles beside the site's file; needs --config"`
	For     int      `help:"最多听几秒 · How many seconds to listen at most" default:"30"`
	Asking
}

// Run prints YAML to paste, or writes it.
func (c *RecordCmd) Run(g *Globals) error {
	if c.Write && c.Config == "" {
		return &clientError{phrase.E("scan.needs_site"), exitUsage}
	}
	if len(c.Pick) > 0 {
		return c.fresh(g)
	}
	deadline := time.Now().Add(time.Duration(c.For) * time.Second)
	for {
		var fs []api.Frame
		if err := g.get("/lines/"+url.PathEscape(c.Target)+"/frames", nil, &fs); err != nil {
			return err
		}
		es, text, err := station.RecordProof(c.Config, c.Profile, c.Unit, fs)
		if err != nil {
			if text != nil && time.Now().Before(deadline) && station.NotHeard(err) {
				time.Sleep(500 * time.Millisecond)
				continue
			}
			return err
		}
		if !c.Write {
			_, err := io.WriteString(g.out(), "proof:\n"+station.ProofYAML(es))
			return err
		}
		path, err := station.WriteProof(c.Config, c.Profile, text, es)
		if err != nil {
			return err
		}
		g.say(phrase.M("scan.written", "path", path))
		return nil
	}
}

// fresh makes a new profile.
func (c *RecordCmd) fresh(g *Globals) error {
	picks, ranges, err := station.PickRanges(c.Pick)
	if err != nil {
		return err
	}
	q, err := c.query()
	if err != nil {
		return err
	}
	q.Units, q.Bauds, q.Formats, q.Ranges, q.First, q.Ask = []int{c.Unit}, []int{c.Baud}, []string{c.Format}, ranges, true, true
	f, err := g.findOne(c.Target, c.Config, q)
	if err != nil {
		return err
	}
	text, es, err := station.NewProfile(c.Profile, f, picks, time.Now())
	if err != nil {
		return err
	}
	for _, e := range es {
		for _, v := range e.Values {
			unit := ""
			for _, p := range picks {
				if p.ID == v.Point {
					unit = string(p.Unit)
				}
			}
			fmt.Fprintf(g.out(), "# %s = %s %s\n", v.Point, g.value(&v.Value, unit), g.unit(unit))
		}
	}
	if !c.Write {
		_, err := g.out().Write(text)
		return err
	}
	path, err := station.WriteProfile(c.Config, c.Profile, text, false)
	if err != nil {
		return err
	}
	g.say(phrase.M("scan.written", "path", path))
	return nil
}
