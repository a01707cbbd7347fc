package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/audit"
)

// AuditCmd shows, exports and proves who changed what.
type AuditCmd struct {
	Show   AuditShowCmd   `cmd:"" default:"withargs" help:"列出操作；--json 导出可核验的原文 · Show acts; --json exports lines that can be proved"`
	Verify AuditVerifyCmd `cmd:"" help:"核验审计有没有被改过 · Prove that the audit was not changed"`
}

// AuditShowCmd shows.
type AuditShowCmd struct {
	JSON  bool  `name:"json" help:"导出原文，一行一条 · Export the lines as they are kept"`
	After int64 `help:"从这一条之后 · Begin after this entry" placeholder:"N"`
}

// each calls f with every entry after a number.
func (g *Globals) eachAudited(after int64, f func(audit.Entry) error) error {
	for {
		var all []audit.Entry
		if err := g.get("/audit?after="+strconv.FormatInt(max(0, after), 10)+"&limit=1000", nil, &all); err != nil {
			return err
		}
		for _, e := range all {
			if err := f(e); err != nil {
				return err
			}
			after = max(after, e.N)
		}
		if len(all) < 1000 {
			return nil
		}
	}
}

// Run prints.
func (c *AuditShowCmd) Run(g *Globals) error {
	return g.eachAudited(c.After, func(e audit.Entry) error {
		if c.JSON {
			// As it is kept, so that the export is proved as the file is.
			b, err := json.Marshal(e)
			if err == nil {
				_, err = g.out().Write(append(b, '\n'))
			}
			return err
		}
		op := api.Clean(e.Op, 100)
		if m, ok := e.Words(); ok {
			op = m.In(g.lang())
		}
		what := []string{op, strconv.Itoa(e.Status)}
		if e.Target != "" {
			what = append(what, api.Clean(e.Target, 64))
		}
		if e.Old != "" || e.New != "" {
			what = append(what, api.Clean(e.Old, 24)+" → "+api.Clean(e.New, 24))
		}
		if e.Times > 0 {
			what = append(what, "×"+strconv.FormatInt(e.Times, 10))
		}
		at := local(e.At).Format("2006-01-02 15:04:05")
		if e.Trust == "free" {
			at += "?"
		}
		_, err := fmt.Fprintf(g.out(), "%6d  %s  %s  %s\n", e.N, pad(at, 20), pad(api.Clean(e.Who, 24)+"@"+e.Via, 20), strings.Join(what, "  "))
		return err
	})
}

// AuditVerifyCmd proves an exported file, or the running box's own against its journal.
type AuditVerifyCmd struct {
	File string `arg:"" optional:"" type:"existingfile" help:"导出的文件；不写则核验运行中的盒子 · an exported file; without one the running box's"`
}

// Run proves, and exits with 1 where the chain is broken.
func (c *AuditVerifyCmd) Run(g *Globals) error {
	var chain audit.Chain
	told := 0
	var err error
	if c.File != "" {
		var f *os.File
		if f, err = os.Open(c.File); err != nil {
			return err
		}
		defer f.Close()
		err = audit.Verify(f, &chain)
	} else {
		told, err = g.proveAudit(&chain)
	}
	var broken *audit.Broken
	if errors.As(err, &broken) {
		return &clientError{phrase.E("audit.verify_broken", "n", broken.N, "why", broken.Why), exitRefused}
	}
	if err != nil {
		return err
	}
	g.say(phrase.M("audit.verify_good", "n", chain.N, "told", told, "hash", chain.Hash))
	return nil
}

// proveAudit holds the box's audit to itself and to the heads that its journal was told,
// which whoever cut the audit's end off could not take back.
func (g *Globals) proveAudit(chain *audit.Chain) (told int, err error) {
	heads := map[int64]string{}
	last, after := int64(0), int64(0)
	for {
		var all []api.Record
		if err := g.get("/journal?after="+strconv.FormatInt(after, 10)+"&limit=1000", nil, &all); err != nil {
			return 0, err
		}
		for _, r := range all {
			after = max(after, r.Seq)
			n, _ := r.Body["n"].(float64)
			if hash, ok := r.Body["hash"].(string); ok && r.Kind == "audit.head" {
				heads[int64(n)], last = hash, int64(n)
			}
		}
		if len(all) < 1000 {
			break
		}
	}
	err = g.eachAudited(0, func(e audit.Entry) error {
		if err := chain.Next(e); err != nil {
			return err
		}
		if h, ok := heads[e.N]; ok {
			if told++; h != e.Hash {
				return &audit.Broken{N: e.N, Why: "the journal was told another digest"}
			}
		}
		return nil
	})
	if err == nil && last > chain.N {
		err = &audit.Broken{N: chain.N + 1, Why: fmt.Sprintf("the journal was told of %d entries", last)}
	}
	return told, err
}
