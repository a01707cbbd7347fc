package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tocsin/firmware/decide/command"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// CommandCmd makes, releases and hands in signed commands.
type CommandCmd struct {
	Sign   CommandSignCmd   `cmd:"" help:"写一条指令并签名 · Write a command and sign it"`
	Cosign CommandCosignCmd `cmd:"" help:"第二人复核放行 · A second person's release"`
	Show   CommandShowCmd   `cmd:"" help:"读出一条指令的内容 · Show what a command says"`
	Send   CommandSendCmd   `cmd:"" help:"交给运行中的盒子 · Hand a command to the running box"`
	Offer  CommandOfferCmd  `cmd:"" help:"交上一份由指令指明的站点文件 · Hand in the site's file that a command names"`
}

// CommandSignCmd makes a command of flags; what its scope does not allow is refused
// with the field's name.
type CommandSignCmd struct {
	Scope   string        `required:"" enum:"sound,stop,drill,volume,configuration,software" help:"做什么 · what to do"`
	Key     string        `required:"" type:"path" help:"签发人的私钥（PEM） · the issuer's private key"`
	Group   string        `required:"" help:"发给哪个组，或一个站的 12 位代码 · the group, or one box's 12-digit code"`
	Box     []string      `help:"组里只发给这些站 · only these boxes of the group"`
	Counter uint64        `help:"序号，只增不减；默认当前 Unix 秒 · a number that only rises; by default the present Unix second"`
	ID      string        `name:"id" help:"指令编号，默认按序号 · the command's name, by default of the counter"`
	Person  string        `required:"" help:"签发人姓名 · the person's name"`
	Valid   time.Duration `default:"10m" help:"多久之内有效，发声也到此为止；不短于 --for · how long it may be carried out and sounds at the longest; never less than --for"`
	Level   string        `help:"级别代码 · a level's code"`
	Output  []string      `help:"输出名 · outputs"`
	Zone    []string      `help:"片区名 · zones"`
	For     time.Duration `name:"for" help:"最长响多久，默认 10m · how long at the longest, 10m by default"`
	Kind    string        `help:"演练的种类 drill、test · kind of a drill"`
	Tone    string        `help:"提示音 · a tone"`
	Clip    []string      `help:"录音 · clips"`
	Text    string        `help:"文字（中文） · words, in Chinese"`
	Volume  int           `help:"音量百分比 · volume in percent"`
	Cause   string        `help:"解除哪条指令引起的警报（警报编号，w-command- 开头），不写则只静音 · the alarm of the command that a stop lifts (w-command-…); without it a stop silences"`
	File    string        `type:"path" help:"configuration 指明的站点文件 · the site's file that configuration names"`
	Release uint64        `help:"software 启用的版本序号；不写是撤回还在等的命令 · the number of the release that software activates; without it what waits is withdrawn"`
	Not     time.Time     `name:"not-before" placeholder:"2026-06-01T02:00:00+08:00" help:"software：不早于 · software: not before"`
	Out     string        `short:"o" type:"path" help:"写到文件，默认标准输出 · write to a file, by default standard output"`
}

// defaultFor is how long a command sounds that does not say so.
const defaultFor = 10 * time.Minute

// Run writes the signed command.
func (c *CommandSignCmd) Run(g *Globals) error {
	key, err := loadKey(c.Key)
	if err != nil {
		return err
	}
	now := time.Now()
	c.Valid = max(c.Valid, c.For)
	p := command.Payload{
		ID: c.ID, Group: c.Group, Boxes: c.Box, Counter: c.Counter, Issued: now, Expires: now.Add(c.Valid), Scope: command.Scope(c.Scope), Person: c.Person,
		Kind: c.Kind, Level: c.Level, Outputs: c.Output, Zones: c.Zone, Seconds: int(c.For / time.Second), Tone: c.Tone, Clips: c.Clip,
		Text: phrase.Text{ZH: c.Text}, Volume: c.Volume, Cause: c.Cause,
		Release: c.Release, NotBefore: c.Not,
	}
	counted := p.Counter == 0
	if counted {
		p.Counter = uint64(now.Unix())
	}
	if p.ID == "" {
		p.ID = fmt.Sprintf("c%d", p.Counter)
	}
	if p.Seconds == 0 && (p.Scope == command.Sound || p.Scope == command.Drill) {
		p.Seconds = int(defaultFor / time.Second)
	}
	if c.File != "" {
		if p.Content, err = contentOf(c.File); err != nil {
			return err
		}
	}
	b, err := command.Sign(p, key)
	if err != nil {
		return said(err)
	}
	if err := g.writeTo(c.Out, b, 0o644); err != nil {
		return err
	}
	if counted {
		g.done() // whoever sends it from a pipe waits for nothing more
		// A box would take the next one of this second for this one.
		time.Sleep(time.Until(now.Truncate(time.Second).Add(time.Second)))
	}
	return nil
}

// said gives a refusal its words for people.
func said(err error) error {
	var r *command.Refusal
	if errors.As(err, &r) {
		return r.Err
	}
	return err
}

// CommandCosignCmd adds a signature.
type CommandCosignCmd struct {
	File string `arg:"" help:"已签名的指令，- 为标准输入 · the signed command, - for standard input"`
	Key  string `required:"" type:"path" help:"复核人的私钥（PEM） · the second person's private key"`
	Out  string `short:"o" type:"path" help:"写到文件，默认标准输出 · write to a file, by default standard output"`
}

// Run shows what is signed before it is signed.
func (c *CommandCosignCmd) Run(g *Globals) error {
	b, p, err := readCommand(c.File)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, phrase.M("edged.cosigns", "id", p.ID, "scope", string(p.Scope), "person", api.Clean(p.Person, 60), "group", p.Group).In(g.lang()))
	key, err := loadKey(c.Key)
	if err != nil {
		return err
	}
	if b, err = command.Cosign(b, key); err != nil {
		return said(err)
	}
	return g.writeTo(c.Out, b, 0o644)
}

// readCommand reads a signed command and what it says, believing nothing.
func readCommand(file string) ([]byte, *command.Payload, error) {
	b, err := readMessage(file)
	if err != nil {
		return nil, nil, err
	}
	p, err := command.Show(b)
	return b, p, said(err)
}

// CommandShowCmd shows a command. It vouches for nothing.
type CommandShowCmd struct {
	File string `arg:"" help:"指令文件，- 为标准输入 · the command, - for standard input"`
}

// Run prints the payload.
func (c *CommandShowCmd) Run(g *Globals) error {
	_, p, err := readCommand(c.File)
	if err != nil {
		return err
	}
	j, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	fmt.Fprintln(g.out(), string(j))
	g.say(phrase.M("edged.command_only"))
	return nil
}

// CommandSendCmd hands a command in.
type CommandSendCmd struct {
	File string `arg:"" help:"指令文件，- 为标准输入 · the command, - for standard input"`
	JSON bool   `name:"json" help:"以 JSON 输出 · write JSON"`
}

// Run prints what became of it and exits with 1 where it was refused.
func (c *CommandSendCmd) Run(g *Globals) error {
	b, err := readMessage(c.File)
	if err != nil {
		return err
	}
	var v api.CommandVerdict
	if err := g.post("/commands", dsseType, b, &v); err != nil {
		return err
	}
	if c.JSON {
		if err := g.printLine(v); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(g.out(), strings.TrimSpace(g.text(v.Outcome)))
	}
	if !v.Accepted {
		return exitCode(exitRefused)
	}
	return nil
}

// CommandOfferCmd hands in a document.
type CommandOfferCmd struct {
	File string `arg:"" help:"站点文件 · the site's file"`
}

// Run prints what became of it.
func (c *CommandOfferCmd) Run(g *Globals) error {
	b, err := readMessage(c.File)
	if err != nil {
		return err
	}
	var t api.Text
	if err := g.post("/documents", "application/yaml", b, &t); err != nil {
		return err
	}
	fmt.Fprintln(g.out(), g.text(t))
	return nil
}

// contentOf names a file by its digest.
func contentOf(file string) (*command.Content, error) {
	b, err := readMessage(file)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return &command.Content{Name: filepath.Base(file), SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(b))}, nil
}
