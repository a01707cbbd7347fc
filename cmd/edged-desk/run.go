package main

import (
	"os"
	"syscall"

	"tocsin/firmware/phrase"
	"tocsin/firmware/station"
)

// RunCmd is edged's own command. It stands here for its help and its mistakes, and for
// command lines that edged does not read by itself.
type RunCmd struct {
	Config string `short:"c" required:"" type:"path" placeholder:"FILE" help:"站点文件 · the site's file"`
	Data   string `default:"/var/lib/tocsin" type:"path" help:"数据目录 · directory of journal and clock"`
	Listen string `help:"网页地址，off 为不开 · address of the page, off for none"`
	Bench  string `hidden:"" type:"path" help:"台架的升级和网络 · folder of a bench's installer and network"`
	Log    string `enum:"text,json" default:"text" help:"日志格式 · format of the log"`
}

// Run goes on as edged, with the command line in the form that it reads.
func (c *RunCmd) Run(g *Globals) error {
	at, err := station.Beside("edged")
	if err != nil {
		return err
	}
	err = syscall.Exec(at, c.args(g), os.Environ())
	return phrase.Wrap(err, "edged.file", "file", at, "detail", err)
}

func (c *RunCmd) args(g *Globals) []string {
	args := []string{"edged", "--socket=" + g.Socket}
	if g.Lang != "" {
		args = append(args, "--lang="+g.Lang)
	}
	args = append(args, "run", "--config="+c.Config, "--data="+c.Data, "--log="+c.Log)
	for name, v := range map[string]string{"--listen=": c.Listen, "--bench=": c.Bench} {
		if v != "" {
			args = append(args, name+v)
		}
	}
	return args
}
