package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/keep/config/edit"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// ConfigCmd reads and changes the running box's document.
type ConfigCmd struct {
	List    ConfigListCmd    `cmd:"" default:"1" help:"查看配置的历史版本 · Show what the configuration has been"`
	Show    ConfigShowCmd    `cmd:"" help:"读出一个版本 · Print a revision"`
	Diff    ConfigDiffCmd    `cmd:"" help:"比较两个版本 · Show what differs between two revisions"`
	Apply   ConfigApplyCmd   `cmd:"" help:"换用新的站点文件，先试用，确认后生效 · Use another site file, on trial until it is confirmed"`
	Again   ConfigAgainCmd   `cmd:"" help:"恢复一个旧版本 · Bring an earlier revision back"`
	Confirm ConfigConfirmCmd `cmd:"" help:"确认正在试用的版本 · Confirm the revision that is on trial"`
	Back    ConfigBackCmd    `cmd:"" help:"撤回正在试用的版本 · Take the revision on trial back"`
	Managed ConfigManagedCmd `cmd:"" help:"哪些配置项归县里管，临时改了什么 · Show what is the county's, and what of it is overridden here"`
}

// ConfigListCmd lists the revisions.
type ConfigListCmd struct {
	JSON bool `name:"json" help:"输出 JSON，一行一条 · Print JSON, one value a line"`
}

// Run prints.
func (c *ConfigListCmd) Run(g *Globals) error {
	if c.JSON {
		return g.raw("/config/revisions")
	}
	var all []api.Revision
	if err := g.get("/config/revisions", nil, &all); err != nil {
		return err
	}
	l := g.lang()
	t := table{{phrase.M("revision.col_number").In(l), phrase.M("revision.col_at").In(l), phrase.M("revision.col_by").In(l), phrase.M("revision.col_who").In(l), phrase.M("revision.col_why").In(l), phrase.M("revision.col_state").In(l)}}
	for i, r := range all {
		state := ""
		switch {
		case r.Trial != nil:
			state = phrase.M("revision.on_trial", "left", r.Trial.Left.Round(time.Second)).In(l)
		case r.UndoneBy > 0:
			state = phrase.M("revision.undone_by", "number", r.UndoneBy).In(l)
		case i == len(all)-1:
			state = phrase.M("revision.in_force").In(l)
		}
		why := api.Clean(r.Why, 60)
		if r.Of > 0 {
			why = strings.TrimSpace(phrase.M("revision.of", "number", r.Of).In(l) + " " + why)
		}
		t = append(t, []string{strconv.Itoa(r.Number), local(r.At).Format(time.DateTime), g.text(r.ByText), api.Clean(r.Who, 32), why, state})
	}
	return t.write(g.out(), 0)
}

// ConfigManagedCmd lists what is the county's.
type ConfigManagedCmd struct{}

// Run prints.
func (c *ConfigManagedCmd) Run(g *Globals) error {
	r, err := g.revision(0)
	if err != nil {
		return err
	}
	if r.Managed == nil {
		g.say(phrase.M("revision.managed_none"))
		return nil
	}
	l := g.lang()
	g.say(phrase.M("revision.managed_by", "by", phrase.Text{ZH: r.Managed.By.ZH, EN: r.Managed.By.EN}, "since", api.Clean(r.Managed.Since, 32), "number", r.Managed.Revision))
	t := table{{phrase.M("revision.col_path").In(l), phrase.M("revision.col_state").In(l), phrase.M("revision.col_who").In(l), phrase.M("revision.col_why").In(l)}}
	for _, s := range r.Managed.Settings {
		t = append(t, []string{s.Path, phrase.M("revision.managed").In(l), "", ""})
	}
	for _, o := range r.Managed.Overrides {
		t = append(t, []string{o.Path, phrase.M("revision.overridden", "left", o.Left.Round(time.Minute)).In(l), api.Clean(o.Who, 32), api.Clean(o.Why, 60)})
	}
	return t.write(g.out(), 0)
}

// ConfigShowCmd prints a revision as it is.
type ConfigShowCmd struct {
	Number int `arg:"" optional:"" help:"版本号，不写则是现在的 · Its number; the one in force without it"`
}

// Run prints.
func (c *ConfigShowCmd) Run(g *Globals) error {
	r, err := g.revision(c.Number)
	if err == nil {
		_, err = io.WriteString(g.out(), r.Document)
	}
	return err
}

func (g *Globals) revision(n int) (r api.RevisionText, err error) {
	return r, g.get("/config/revisions/"+strconv.Itoa(n), nil, &r)
}

// ConfigDiffCmd prints what differs.
type ConfigDiffCmd struct {
	From int `arg:"" help:"版本号 · A revision"`
	To   int `arg:"" optional:"" help:"版本号，不写则是现在的 · Another; the one in force without it"`
}

// Run prints.
func (c *ConfigDiffCmd) Run(g *Globals) error {
	a, err := g.revision(c.From)
	if err != nil {
		return err
	}
	b, err := g.revision(c.To)
	if err == nil {
		_, err = io.WriteString(g.out(), edit.Diff(strconv.Itoa(a.Number), strconv.Itoa(b.Number), a.Document, b.Document))
	}
	return err
}

// proposing is what every change needs.
type proposing struct {
	Who      string        `help:"操作人姓名，记入日志 · Name of the acting person, kept in the journal" env:"EDGED_WHO" placeholder:"NAME"`
	Why      string        `help:"为什么改，记入日志 · Why, kept in the journal" placeholder:"TEXT"`
	Within   time.Duration `default:"3m" help:"试用多久，到时不确认就自动恢复；0 为立即生效 · How long it is on trial before the old one comes back by itself; 0 for none"`
	Override time.Duration `help:"把县管配置项临时改多久，到时自动恢复县里的值 · How long county-managed settings that it changes stand so; then the county's values come back by themselves" placeholder:"12h"`
	Yes      bool          `help:"换用后盒子仍应答就确认，不再询问 · Confirm without asking once the box answers with it"`
}

// ConfigApplyCmd changes the document to a file's.
type ConfigApplyCmd struct {
	File string `arg:"" help:"新的站点文件，- 为标准输入 · The site's file; - for standard input"`
	proposing
}

// Run shows what changes, proposes it and asks for the confirmation.
func (c *ConfigApplyCmd) Run(g *Globals) error {
	b, err := readMessage(c.File)
	if err != nil {
		return err
	}
	return c.propose(g, api.Proposal{Document: string(b)})
}

// ConfigAgainCmd brings an earlier revision back.
type ConfigAgainCmd struct {
	Number int `arg:"" help:"版本号 · Its number"`
	proposing
}

// Run proposes it.
func (c *ConfigAgainCmd) Run(g *Globals) error {
	return c.propose(g, api.Proposal{Again: c.Number})
}

func (c *proposing) propose(g *Globals, p api.Proposal) error {
	p.Override = c.Override
	p.Who, p.Why, p.Within = strings.TrimSpace(c.Who), strings.TrimSpace(c.Why), c.Within
	if p.Who == "" || p.Why == "" {
		return &clientError{phrase.E("revision.needs_why"), exitUsage}
	}
	now, err := g.revision(0)
	if err != nil {
		return err
	}
	p.Base, p.Session = now.Number, word()
	if p.Again > 0 {
		was, err := g.revision(p.Again)
		if err != nil {
			return err
		}
		io.WriteString(g.out(), edit.Diff(strconv.Itoa(now.Number), strconv.Itoa(was.Number), now.Document, was.Document))
	} else {
		io.WriteString(g.out(), edit.Diff(strconv.Itoa(now.Number), phrase.M("revision.new").In(g.lang()), now.Document, p.Document))
	}
	var before api.Status
	if err := g.get("/status", nil, &before); err != nil {
		return err
	}
	var r api.Revision
	if err := g.get("/config", p, &r); err != nil {
		return err
	}
	if r.Trial == nil {
		g.say(phrase.M("revision.applied", "number", r.Number))
		return nil
	}
	g.say(phrase.M("revision.tried", "number", r.Number, "left", r.Trial.Left.Round(time.Second), "session", p.Session))
	if !c.Yes {
		io.WriteString(g.out(), phrase.M("revision.confirm").In(g.lang())+" ")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil && line == "" {
			io.WriteString(g.out(), "\n")
			g.say(phrase.M("revision.left", "number", r.Number, "session", p.Session))
			return nil
		}
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes", "是":
		default:
			return (&ConfigBackCmd{Number: r.Number, Who: p.Who}).Run(g)
		}
	} else if r.Trial.Restart {
		if err := g.begun(before.Started, min(c.Within, time.Minute)); err != nil {
			return err
		}
	}
	return confirm(g, r.Number, p.Session, p.Who)
}

// begun waits until the box has begun anew.
func (g *Globals) begun(before time.Time, most time.Duration) error {
	for end := time.Now().Add(most); ; time.Sleep(500 * time.Millisecond) {
		var now api.Status
		err := g.get("/status", nil, &now)
		if err == nil && !now.Started.Equal(before) {
			return nil
		}
		if time.Now().After(end) {
			return errors.Join(phrase.E("revision.not_begun"), err)
		}
	}
}

// confirm says yes until the box hears it: it may just be taking the change over, or beginning anew.
func confirm(g *Globals, number int, session, who string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		err := g.get(fmt.Sprintf("/config/revisions/%d/confirm", number), map[string]string{"who": who, "session": session}, nil)
		if err == nil {
			g.say(phrase.M("revision.confirmed", "number", number))
			return nil
		}
		var e *clientError
		if !errors.As(err, &e) || e.code != exitUnreachable && e.said.Params["code"] != "revision.early" {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
}

// ConfigConfirmCmd confirms what another call has proposed.
type ConfigConfirmCmd struct {
	Number  int    `arg:"" help:"版本号 · Its number"`
	Session string `required:"" help:"提出改动时给出的口令 · The word that was given with the change"`
	Who     string `help:"操作人姓名，记入日志 · Name of the acting person, kept in the journal" env:"EDGED_WHO" placeholder:"NAME"`
}

// Run confirms.
func (c *ConfigConfirmCmd) Run(g *Globals) error {
	if strings.TrimSpace(c.Who) == "" {
		return &clientError{phrase.E("serve.needs_name"), exitUsage}
	}
	return confirm(g, c.Number, c.Session, c.Who)
}

// ConfigBackCmd takes back what is on trial.
type ConfigBackCmd struct {
	Number int    `arg:"" help:"版本号 · Its number"`
	Who    string `help:"操作人姓名，记入日志 · Name of the acting person, kept in the journal" env:"EDGED_WHO" placeholder:"NAME"`
}

// Run takes it back.
func (c *ConfigBackCmd) Run(g *Globals) error {
	if strings.TrimSpace(c.Who) == "" {
		return &clientError{phrase.E("serve.needs_name"), exitUsage}
	}
	var r api.Revision
	if err := g.get(fmt.Sprintf("/config/revisions/%d/back", c.Number), map[string]string{"who": c.Who}, &r); err != nil {
		return err
	}
	g.say(phrase.M("revision.back", "number", c.Number, "to", r.Number))
	return nil
}

// word is a secret to confirm by.
func word() string {
	var b [10]byte
	rand.Read(b[:])
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}
