package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"tocsin/cmd/hubd/console"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/issue"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// AlertCmd holds what the desk does with alerts.
type AlertCmd struct {
	Send AlertSendCmd `cmd:"" help:"把签名的 CAP 文件下发到一个区划的各站 · Hand a signed CAP file to every station of an area"`
}

// AlertSendCmd hands an alert's very bytes to the running hub.
type AlertSendCmd struct {
	File   string `arg:"" type:"path" help:"签名的 CAP 文件 · the signed CAP file"`
	Key    string `name:"issuer-key" type:"path" placeholder:"FILE" help:"发布单位的 Ed25519 私钥：同时签发 78 字节短预警，走北斗、短信等窄带 · the issuer's Ed25519 key: also signs 78 bytes for narrow links"`
	Words  uint16 `name:"template" placeholder:"N" help:"短预警的文字模板（configs/alerts/compact.yaml），默认 0 · the short form's template, by default 0"`
	P      uint8  `name:"p" placeholder:"N" help:"模板的第一个数 · the template's first number"`
	Q      uint8  `name:"q" placeholder:"N" help:"模板的第二个数 · the template's second number"`
	To     string `required:"" placeholder:"AREA" help:"区划代码（2 至 12 位）或站点编号 · division code (2 to 12 digits) or a station's id"`
	Config string `short:"c" type:"path" placeholder:"FILE" help:"中心文件，用来找到套接字 · the hub's file, for its socket"`
	Socket string `type:"path" default:"/var/lib/hubd/hubd.sock" env:"HUBD_SOCKET" help:"中心的本地套接字 · the hub's local socket"`
}

// Run sends, and exits with 1 where a station was not given it.
func (c *AlertSendCmd) Run(g *Globals) error {
	l := g.lang()
	var f *hubfile.File
	if c.Config != "" {
		var ps []config.Problem
		if f, ps = hubfile.Load(c.Config); f == nil {
			tell(os.Stderr, ps, l)
			return exitCode(exitUsage)
		}
		c.Socket = f.Socket
	}
	st, err := os.Stat(c.File)
	if err == nil && st.Size() > letter.BodyMost {
		return phrase.E("hubd.alert_large", "most", letter.BodyMost)
	}
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return phrase.Wrap(err, "hubd.file_read", "file", c.File)
	}
	full, err := c.give(g, "alert", "", raw)
	if err != nil {
		return err
	}
	if c.Key == "" {
		return nil
	}
	// The full form is on its way; what the short one cannot say must not hold it up.
	if f == nil {
		return phrase.E("hubd.issuer_config")
	}
	short, err := condense(f, raw, c)
	if err != nil {
		return phrase.Wrap(err, "hubd.short_not_sent")
	}
	fmt.Fprintln(g.out(), phrase.M("hubd.short_says", "says", short.Says).In(l))
	for _, m := range short.Told {
		fmt.Fprintln(g.out(), phrase.M("hubd.short_told", "what", m).In(l))
	}
	_, err = c.give(g, "short", "&with="+url.QueryEscape(full.ID), short.Bytes)
	return err
}

func condense(f *hubfile.File, raw []byte, c *AlertSendCmd) (*issue.Short, error) {
	key, err := issue.LoadKey(c.Key)
	if err != nil {
		return nil, err
	}
	return issue.Condense(f, raw, key, issue.Words{Template: c.Words, P: c.P, Q: c.Q}, time.Now())
}

// give hands one form to the daemon and says what it answers.
func (c *AlertSendCmd) give(g *Globals, form, more string, raw []byte) (*console.Answer, error) {
	l := g.lang()
	a, err := ask(c.Socket, form, url.QueryEscape(c.To)+more, raw)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hubd:", phrase.In(err, l))
		return nil, exitCode(exitUnreachable)
	}
	for _, m := range a.Odd {
		fmt.Fprintln(g.out(), m.In(l))
	}
	if len(a.Sent) > 0 {
		fmt.Fprintln(g.out(), phrase.M("hubd.alert_sent", "about", a.About, "id", a.ID, "count", len(a.Sent)).In(l))
		for _, m := range a.Ways {
			fmt.Fprintln(g.out(), "  "+m.In(l))
		}
	}
	for _, s := range a.Failed {
		fmt.Fprintln(os.Stderr, phrase.M("hubd.alert_failed", "station", string(s)).In(l))
	}
	if !a.Error.IsZero() {
		fmt.Fprintln(os.Stderr, "hubd:", a.Error.In(l))
		return nil, exitCode(exitRefused)
	}
	return a, nil
}

func ask(socket, form, to string, raw []byte) (*console.Answer, error) {
	h := overSocket(socket)
	r, err := h.Post("http://hubd/v1/"+form+"?to="+to, "application/cap+xml", bytes.NewReader(raw))
	if err != nil {
		return nil, phrase.E("hubd.unreachable", "socket", socket)
	}
	defer r.Body.Close()
	var a console.Answer
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 4<<20)).Decode(&a); err != nil {
		return nil, phrase.E("hubd.unreachable", "socket", socket)
	}
	return &a, nil
}
