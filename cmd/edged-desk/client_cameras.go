package main

import (
	"encoding/json"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/station"
)

// CamerasCmd finds the cameras of the site's network (ONVIF). It needs no box that runs; what cameras say is read by
// edged-video, a process that ends with the search.
type CamerasCmd struct {
	At       string        `arg:"" optional:"" help:"只问这个地址（跨网段时用） · Ask this address alone, where a question to all does not get through" placeholder:"192.168.1.64"`
	User     string        `help:"摄像机用户名，用来查它的视频流地址 · The cameras' user: they are asked for their streams too"`
	Password string        `type:"existingfile" help:"存有密码的文件（权限 600） · A file with their password" placeholder:"FILE"`
	Wait     time.Duration `help:"每个网络等多久 · How long answers are waited for on each network" default:"2s"`
	JSON     bool          `name:"json" help:"输出 JSON · Print JSON"`
}

// Run searches.
func (c *CamerasCmd) Run(g *Globals) error {
	q := station.CameraSearch{At: c.At, User: c.User, Wait: c.Wait}
	if c.Password != "" {
		b, err := os.ReadFile(c.Password)
		if err != nil {
			return err
		}
		q.Password = strings.TrimSpace(string(b))
	}
	ctx, cancel := g.context()
	defer cancel()
	f, err := station.SearchCameras(ctx, q)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(g.out()).Encode(f)
	}
	for _, m := range f.Why {
		g.say(m)
	}
	for i, x := range f.Cameras {
		g.say(phrase.M("station.camera_found", "name", api.Clean(strings.TrimSpace(x.Name+" "+x.Hardware), 96), "address", api.Clean(x.Address, 300), "network", api.Clean(x.Network, 40)))
		if x.Why != nil {
			g.say(*x.Why)
		}
		text := station.CameraText(x, c.User, c.Password, i+1)
		if _, err := io.WriteString(g.out(), text); err != nil {
			return err
		}
		if u, err := url.Parse(x.Address); err == nil && u.Hostname() != "" && len(x.Streams) == 0 && c.User == "" {
			g.say(phrase.M("station.camera_ask", "at", u.Hostname()))
		}
	}
	g.say(phrase.M("station.cameras_total", "n", len(f.Cameras), "networks", strings.Join(f.Networks, ", ")))
	return nil
}
