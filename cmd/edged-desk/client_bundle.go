package main

import (
	"context"
	"io"
	"mime"
	"path/filepath"
	"time"

	"tocsin/firmware/phrase"
)

// BundleCmd fetches the support bundle.
type BundleCmd struct {
	Out string `short:"o" type:"path" help:"写到文件，- 为标准输出；默认按盒子给的名字 · the file, - for standard output; by default as the box names it"`
}

// mostBundle is the largest that is taken.
const mostBundle = 32 << 20

// Run fetches it.
func (c *BundleCmd) Run(g *Globals) error {
	ctx, cancel := g.context()
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	resp, err := g.ask(ctx, "/support-bundle", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, mostBundle))
	if err != nil {
		return &clientError{phrase.Wrap(err, "serve.stream_ended"), exitUnreachable}
	}
	if c.Out == "-" {
		return g.writeTo("", b, 0)
	}
	if c.Out == "" {
		c.Out = "tocsin-bundle.tar.gz"
		if _, p, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition")); err == nil && p["filename"] != "" {
			c.Out = filepath.Base(p["filename"])
		}
	}
	if err := g.writeTo(c.Out, b, 0o600); err != nil {
		return err
	}
	g.say(phrase.M("edged.bundle", "file", c.Out, "kib", (len(b)+1023)>>10))
	return nil
}
