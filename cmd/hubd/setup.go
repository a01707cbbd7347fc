package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"tocsin/cmd/hubd/console"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/phrase"
)

// SetUpCmd says how the console's first account is made.
type SetUpCmd struct {
	Config string `short:"c" type:"path" placeholder:"FILE" help:"中心文件，用来找到套接字 · the hub's file, for its socket"`
	Socket string `type:"path" default:"/var/lib/hubd/hubd.sock" env:"HUBD_SOCKET" help:"中心的本地套接字 · the hub's local socket"`
	Again  bool   `help:"已有管理员时也重新开通：管理员都不在了才用 · open it anew though there is an owner: where all owners are gone"`
}

// Run asks the running hub, whose socket is its owner's alone, and exits with 1 where there is an owner already.
func (c *SetUpCmd) Run(g *Globals) error {
	l := g.lang()
	if c.Config != "" {
		f, ps := hubfile.Load(c.Config)
		if f == nil {
			tell(os.Stderr, ps, l)
			return exitCode(exitUsage)
		}
		c.Socket = f.Socket
	}
	h := overSocket(c.Socket)
	url := "http://hubd/v1/set-up"
	if c.Again {
		url += "?again=1"
	}
	r, err := h.Post(url, "", nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hubd:", phrase.M("hubd.unreachable", "socket", c.Socket).In(l))
		return exitCode(exitUnreachable)
	}
	defer r.Body.Close()
	var a console.SetupAnswer
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 64<<10)).Decode(&a); err != nil {
		return phrase.E("hubd.unreachable", "socket", c.Socket)
	}
	switch {
	case !a.Error.IsZero():
		fmt.Fprintln(os.Stderr, "hubd:", a.Error.In(l))
		return exitCode(exitRefused)
	case a.Secret == "":
		fmt.Fprintln(os.Stderr, "hubd:", phrase.M("county.owned", "page", a.Page).In(l))
		return exitCode(exitRefused)
	}
	_, err = fmt.Fprintf(g.out(), "page: %s\nsecret: %s\n%s\n", a.Page, a.Secret, phrase.M("county.setup_how", "minutes", int(a.Left/time.Minute)).In(l))
	return err
}
