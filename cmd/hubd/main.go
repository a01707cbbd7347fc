package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
)

// Version is set by the build.
var Version = "dev"

type cli struct {
	Globals

	Run     RunCmd     `cmd:"" help:"运行中心 · Run the hub"`
	Check   CheckCmd   `cmd:"" help:"检查中心文件 · Check the hub's file"`
	Alert   AlertCmd   `cmd:"" help:"下发签名预警 · Hand signed alerts down"`
	Talk    TalkCmd    `cmd:"" help:"用站点的扬声器喊话 · Speak by a station's loudspeakers"`
	Release ReleaseCmd `cmd:"" help:"给各站的升级包 · Software for stations"`
	SetUp   SetUpCmd   `cmd:"" name:"set-up" help:"控制台第一个账号的开通码 · The secret by which the console's first account is made"`
	State   StateCmd   `cmd:"" help:"输出中心所知：各站、警报、下发与回执，按链路（JSON） · Print what the hub knows, by link, as JSON"`
	Key     KeyCmd     `cmd:"" help:"生成站点密钥 · Make a station's key"`
	Token   TokenCmd   `cmd:"" help:"生成令牌及其摘要 · Make a token and its digest"`
	Version VersionCmd `cmd:"" help:"版本 · Show the version"`
}

// Globals are every command's.
type Globals struct {
	Lang string    `help:"语言 zh 或 en，默认按系统 · Language, by default the system's" enum:"zh,en," default:"" env:"HUBD_LANG"`
	Out  io.Writer `kong:"-"`
}

func (g *Globals) lang() phrase.Lang {
	switch g.Lang {
	case "zh":
		return phrase.ZH
	case "en":
		return phrase.EN
	}
	for _, k := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(k); v != "" {
			if strings.HasPrefix(v, "en") {
				return phrase.EN
			}
			break
		}
	}
	return phrase.ZH
}

func (g *Globals) out() io.Writer {
	if g.Out == nil {
		return os.Stdout
	}
	return g.Out
}

// exitCode ends the program with a code, its message having been printed.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// The exit codes, beside 0.
const (
	exitRefused     = 1
	exitUsage       = 2
	exitUnreachable = 3
)

func main() {
	var c cli
	p := kong.Must(&c, kong.Name("hubd"), kong.Description("Tocsin 警钟：县级中心 · the county's hub"))
	k, err := p.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "hubd:", err)
		os.Exit(exitUsage)
	}
	err = k.Run(&c.Globals)
	var code exitCode
	switch {
	case err == nil:
	case errors.As(err, &code):
		os.Exit(int(code))
	default:
		fmt.Fprintln(os.Stderr, "hubd:", phrase.In(err, c.lang()))
		os.Exit(exitRefused)
	}
}

// VersionCmd shows the version.
type VersionCmd struct{}

// Run prints it.
func (VersionCmd) Run(g *Globals) error {
	_, err := fmt.Fprintln(g.out(), "hubd", Version)
	return err
}

// tell prints problems as file:line:col: message.
func tell(w io.Writer, ps []config.Problem, l phrase.Lang) {
	for _, p := range ps {
		word := phrase.M("check.error")
		if p.Warning {
			word = phrase.M("check.warning")
		}
		fmt.Fprintf(w, "%s %s\n", word.In(l), p.In(l))
	}
}
