package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"tocsin/cmd/hubd/console"
	"tocsin/cmd/hubd/hubfile"
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
	To     string `required:"" placeholder:"AREA" help:"区划代码（2 至 12 位）或站点编号 · division code (2 to 12 digits) or a station's id"`
	Config string `short:"c" type:"path" placeholder:"FILE" help:"中心文件，用来找到套接字 · the hub's file, for its socket"`
	Socket string `type:"path" default:"/var/lib/hubd/hubd.sock" env:"HUBD_SOCKET" help:"中心的本地套接字 · the hub's local socket"`
}

// Run sends, and exits with 1 where a station was not given it.
func (c *AlertSendCmd) Run(g *Globals) error {
	l := g.lang()
	if c.Config != "" {
		f, ps := hubfile.Load(c.Config)
		if f == nil {
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
	a, err := ask(c.Socket, c.To, raw)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hubd:", phrase.In(err, l))
		return exitCode(exitUnreachable)
	}
	for _, m := range a.Odd {
		fmt.Fprintln(g.out(), m.In(l))
	}
	if len(a.Sent) > 0 {
		fmt.Fprintln(g.out(), phrase.M("hubd.alert_sent", "about", a.About, "id", a.ID, "count", len(a.Sent)).In(l))
	}
	for _, s := range a.Failed {
		fmt.Fprintln(os.Stderr, phrase.M("hubd.alert_failed", "station", string(s)).In(l))
	}
	if !a.Error.IsZero() {
		fmt.Fprintln(os.Stderr, "hubd:", a.Error.In(l))
		return exitCode(exitRefused)
	}
	return nil
}

func ask(socket, to string, raw []byte) (*console.Answer, error) {
	h := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	r, err := h.Post("http://hubd/v1/alert?to="+url.QueryEscape(to), "application/cap+xml", bytes.NewReader(raw))
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
