package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// UpdateCmd replaces the running box's software.
type UpdateCmd struct {
	Show     UpdateShowCmd     `cmd:"" default:"1" help:"查看现在的软件、试运行和上次为什么退回 · Show what runs, what is on trial, and why the last one was taken back"`
	May      UpdateMayCmd      `cmd:"" help:"现在能不能换软件或重启；不能时返回非零，给脚本用 · Whether the software may be replaced or the board restarted now; fails where it may not, for scripts"`
	Stage    UpdateStageCmd    `cmd:"" help:"传上签名的升级包，核验但不启用 · Bring a signed release: verified, not yet run"`
	Activate UpdateActivateCmd `cmd:"" help:"启用传上的升级包，先试运行 · Run what was brought, on trial"`
	Confirm  UpdateConfirmCmd  `cmd:"" help:"确认试运行的软件 · Let the release on trial stay"`
	Back     UpdateBackCmd     `cmd:"" help:"退回试运行之前的软件 · Take the release on trial back"`
}

// UpdateShowCmd prints how the software stands.
type UpdateShowCmd struct {
	JSON bool `name:"json" help:"输出 JSON，一行一条 · Print JSON, one value a line"`
}

// Run prints.
func (c *UpdateShowCmd) Run(g *Globals) error {
	if c.JSON {
		return g.raw("/update")
	}
	var u api.Update
	if err := g.get("/update", nil, &u); err != nil {
		return err
	}
	return g.updateTable(u)
}

func (g *Globals) updateTable(u api.Update) error {
	l := g.lang()
	t := table{{phrase.M("edged.update_running").In(l), releaseName(&u.Running)}}
	row := func(what phrase.Message, v string) { t = append(t, []string{what.In(l), v}) }
	switch u.Phase {
	case "staged":
		row(phrase.M("edged.update_staged"), releaseName(u.Next))
	case "trial":
		row(phrase.M("edged.update_trial"), phrase.M("edged.update_left", "left", u.Left.Round(time.Second)).In(l))
		row(phrase.M("edged.update_before"), releaseName(u.Before))
	}
	for _, x := range []struct {
		what phrase.Message
		text *api.Text
	}{{phrase.M("edged.update_why"), u.Why}, {phrase.M("edged.update_reason"), u.Reason}, {phrase.M("edged.update_barred"), u.Barred}, {phrase.M("edged.update_unfit"), u.Unfit}, {phrase.M("edged.update_ordered"), u.Ordered}} {
		if x.text != nil {
			row(x.what, g.text(*x.text))
		}
	}
	return t.write(g.out(), -1)
}

func releaseName(r *api.Release) string {
	if r == nil {
		return ""
	}
	return api.Clean(r.Version, 64)
}

// UpdateMayCmd fails where nothing may be replaced now.
type UpdateMayCmd struct{}

// Run says why not. A box that does not answer stands no watch that an update could break.
func (c *UpdateMayCmd) Run(g *Globals) error {
	var u api.Update
	if err := g.get("/update", nil, &u); err != nil {
		return err
	}
	if u.Barred != nil {
		return &clientError{phrase.E("serve.refused", "text", phrase.Text{ZH: u.Barred.ZH, EN: u.Barred.EN}, "code", "update.barred"), exitRefused}
	}
	return nil
}

// acting is who acts.
type acting struct {
	Who string `short:"w" help:"操作人姓名，记入日志 · Name of the acting person, kept in the journal" env:"EDGED_WHO" placeholder:"NAME"`
}

func (a acting) name() (string, error) {
	w := strings.TrimSpace(a.Who)
	if w == "" {
		return "", &clientError{phrase.E("serve.needs_name"), exitUsage}
	}
	return w, nil
}

// UpdateStageCmd brings a release.
type UpdateStageCmd struct {
	File string `arg:"" type:"existingfile" help:"升级包（.tocsin） · The release file"`
	acting
}

// stageMost is how long a release may take to be verified and written.
const stageMost = 30 * time.Minute

// Run brings it.
func (c *UpdateStageCmd) Run(g *Globals) error {
	who, err := c.name()
	if err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	ctx, cancel := g.context()
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, stageMost)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://edged/api/v1/update/file?who="+url.QueryEscape(who), io.LimitReader(f, api.LargestRelease))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	hc := g.client()
	hc.Transport.(*http.Transport).ResponseHeaderTimeout = stageMost
	resp, err := hc.Do(r)
	if err != nil {
		return g.unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return refusal(resp)
	}
	var rel api.Release
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&rel); err != nil {
		return &clientError{phrase.Wrap(err, "serve.bad_answer", "status", resp.StatusCode), exitRefused}
	}
	g.say(phrase.M("edged.update_is_staged", "version", releaseName(&rel)))
	return nil
}

// UpdateActivateCmd runs it on trial.
type UpdateActivateCmd struct {
	Within time.Duration `help:"试运行多久，到时没有自证正常就退回 · How long it is on trial before it goes back" placeholder:"10m"`
	acting
}

// Run activates.
func (c *UpdateActivateCmd) Run(g *Globals) error {
	return c.post(g, "activate", map[string]any{"within_ns": c.Within})
}

// UpdateConfirmCmd lets it stay.
type UpdateConfirmCmd struct{ acting }

// Run confirms.
func (c *UpdateConfirmCmd) Run(g *Globals) error { return c.post(g, "confirm", map[string]any{}) }

// UpdateBackCmd takes it back.
type UpdateBackCmd struct {
	Why string `help:"为什么退回 · Why" placeholder:"TEXT"`
	acting
}

// Run takes it back.
func (c *UpdateBackCmd) Run(g *Globals) error {
	return c.post(g, "back", map[string]any{"reason": c.Why})
}

func (a acting) post(g *Globals, what string, body map[string]any) error {
	who, err := a.name()
	if err != nil {
		return err
	}
	body["who"] = who
	var u api.Update
	if err := g.get("/update/"+what, body, &u); err != nil {
		return err
	}
	return g.updateTable(u)
}
