package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/phrase"
)

// StateCmd prints what the running hub knows.
type StateCmd struct {
	Config string `short:"c" type:"path" placeholder:"FILE" help:"中心文件，用来找到套接字 · the hub's file, for its socket"`
	Socket string `type:"path" default:"/var/lib/hubd/hubd.sock" env:"HUBD_SOCKET" help:"中心的本地套接字 · the hub's local socket"`
}

// stateMost bounds what is printed.
const stateMost = 64 << 20

// overSocket asks over the hub's local socket.
func overSocket(socket string) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
}

// Run prints one JSON document: stations, alarms and what was sent, each with its links.
func (c *StateCmd) Run(g *Globals) error {
	if c.Config != "" {
		f, ps := hubfile.Load(c.Config)
		if f == nil {
			tell(os.Stderr, ps, g.lang())
			return exitCode(exitUsage)
		}
		c.Socket = f.Socket
	}
	h := overSocket(c.Socket)
	r, err := h.Get("http://hubd/v1/state")
	if err != nil || r.StatusCode != http.StatusOK {
		return phrase.E("hubd.unreachable", "socket", c.Socket)
	}
	defer r.Body.Close()
	_, err = io.Copy(g.out(), io.LimitReader(r.Body, stateMost))
	return err
}
