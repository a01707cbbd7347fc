package main

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// LinksCmd prints the ways to the county, what waits for them and what the county has.
type LinksCmd struct {
	JSON bool `name:"json" help:"输出 JSON，一行一条 · Print JSON, one value a line"`
}

// Run prints.
func (c *LinksCmd) Run(g *Globals) error {
	if c.JSON {
		return g.raw("/links")
	}
	var x api.Links
	if err := g.get("/links", nil, &x); err != nil {
		return err
	}
	l := g.lang()
	if len(x.Links) == 0 {
		g.say(phrase.M("serve.page_no_links"))
	} else {
		t := table{{phrase.M("serve.col_link").In(l), phrase.M("serve.col_state").In(l), phrase.M("serve.col_arrive").In(l), phrase.M("serve.col_receipt").In(l), phrase.M("serve.col_last").In(l),
			phrase.M("serve.col_out").In(l), phrase.M("serve.col_money").In(l), phrase.M("serve.col_because").In(l)}}
		for _, k := range x.Links {
			t = append(t, linkRow(g, k))
		}
		if err := t.write(g.out(), -1); err != nil {
			return err
		}
	}
	if !x.County {
		return nil
	}
	fmt.Fprintln(g.out())
	if x.Why != nil {
		fmt.Fprintln(g.out(), g.text(*x.Why))
	}
	t := table{{phrase.M("serve.page_class").In(l), phrase.M("serve.page_waiting").In(l), phrase.M("serve.page_late").In(l), phrase.M("serve.page_oldest").In(l), phrase.M("serve.col_delivered").In(l)}}
	for _, k := range x.Classes {
		oldest := ""
		if k.Waiting > 0 {
			oldest = k.Oldest.Round(time.Second).String()
		}
		t = append(t, []string{g.text(k.ClassText), strconv.Itoa(k.Waiting), strconv.Itoa(k.Late), oldest, strconv.FormatInt(k.Delivered, 10)})
	}
	if err := t.write(g.out(), -1); err != nil || len(x.Receipts) == 0 {
		return err
	}
	fmt.Fprintln(g.out(), "\n"+phrase.M("serve.page_county").In(l))
	t = nil
	for _, r := range x.Receipts {
		late := ""
		if r.Late {
			late = phrase.M("serve.page_late").In(l)
		}
		what := g.text(r.What)
		if what == "" {
			what = r.Message
		}
		t = append(t, []string{local(r.At).Format("01-02 15:04:05"), g.text(r.LinkText), r.After.Round(100 * time.Millisecond).String(), late, what})
	}
	return t.write(g.out(), -1)
}

func linkRow(g *Globals, k api.Link) []string {
	name := g.text(k.NameText)
	if name != k.Name {
		name += " (" + k.Name + ")"
	}
	why := g.text(k.Why)
	if why == g.text(k.StateText) {
		why = ""
	}
	row := []string{name, g.text(k.StateText), "", "", "", "", "", why}
	if k.State == "listening" {
		return row
	}
	row[2] = strconv.Itoa(int(math.Floor(100*k.Delivery))) + "%"
	row[3] = k.Latency.Round(10 * time.Millisecond).String()
	if k.Quiet != nil {
		row[4] = phrase.M("serve.ago", "span", k.Quiet.Round(time.Second).String()).In(g.lang())
	}
	row[5] = strconv.Itoa(k.Out)
	if k.Full > 0 {
		row[6] = fmt.Sprintf("%.2f/%.2f", k.Balance, k.Full)
	}
	return row
}
