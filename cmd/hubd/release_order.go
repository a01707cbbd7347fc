package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/cmd/hubd/console"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/issue"
	"tocsin/cmd/hubd/releases"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/trust"
)

// orderBy is who gives an order, to whom. The keys stay in this process: the running hub carries what they signed.
type orderBy struct {
	releaseFile
	To     []string `help:"站 · stations" placeholder:"STATION"`
	All    bool     `help:"所有站 · all stations"`
	Key    []string `name:"issuer-key" required:"" type:"path" placeholder:"FILE" help:"签发人私钥，须双人放行时写两次；站点授权要有 software · the officer's private key, trusted there for the scope software; twice where two persons must release it"`
	Person string   `required:"" help:"签发人姓名，各站记录在案 · the officer's name, which stations write down"`
}

// ReleaseActivateCmd orders stations to activate a release.
type ReleaseActivateCmd struct {
	orderBy
	Number    uint64 `arg:"" help:"版本序号 · the release's number"`
	Until     string `default:"24h" placeholder:"48h" help:"等到什么时候为止：48h，或 2026-06-01T22:00；最长 7 天 · how long it may wait: 48h, or 2026-06-01T22:00; 7 days at most"`
	NotBefore string `placeholder:"2026-06-01T02:00" help:"不早于 · not before"`
}

// ReleaseWithdrawCmd withdraws the order that waits.
type ReleaseWithdrawCmd struct{ orderBy }

// orderTime reads a time: how long from now, or when, here.
func orderTime(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(d), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation("2006-01-02T15:04", s, now.Location())
	if err != nil {
		return t, phrase.E("hubd.order_time", "value", s)
	}
	return t, nil
}

// Run gives the order, and exits with 1 where a station was not given it.
func (c *ReleaseActivateCmd) Run(g *Globals) error {
	now := time.Now().Truncate(time.Second)
	o := issue.ReleaseOrder{Number: c.Number, Issued: now}
	var err error
	if o.Until, err = orderTime(c.Until, now); err != nil {
		return err
	}
	if c.NotBefore != "" {
		if o.NotBefore, err = orderTime(c.NotBefore, now); err != nil {
			return err
		}
	}
	if !o.Until.After(now) || !o.Until.After(o.NotBefore) || o.Until.Sub(now) > issue.OrderMost {
		return phrase.E("hubd.order_until", "most", int(issue.OrderMost/(24*time.Hour)))
	}
	return c.give(g, o)
}

// Run withdraws it.
func (c *ReleaseWithdrawCmd) Run(g *Globals) error {
	now := time.Now().Truncate(time.Second)
	return c.give(g, issue.ReleaseOrder{Issued: now, Until: now.Add(issue.OrderMost)})
}

// stations are those that are meant.
func (c *orderBy) stations(f *hubfile.File) ([]letter.Station, error) {
	ids := c.To
	if c.All {
		ids = f.Order()
	}
	if len(ids) == 0 {
		return nil, phrase.E("hubd.order_nobody")
	}
	var out []letter.Station
	for _, id := range ids {
		if _, ok := f.Stations[id]; !ok {
			return nil, phrase.E("county.no_station", "station", id)
		}
		if s := letter.Station(id); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out, nil
}

// give signs an order for each station, and hands it to the running hub.
func (c *orderBy) give(g *Globals, o issue.ReleaseOrder) error {
	l := g.lang()
	shelf, f, err := c.open(g)
	if err != nil {
		return err
	}
	to, err := c.stations(f)
	if err != nil {
		return err
	}
	if o.Number > 0 {
		if err := c.known(g, shelf, o.Number, to); err != nil {
			return err
		}
	}
	var keys []trust.Signer
	for _, file := range c.Key {
		k, err := issue.LoadKey(file)
		if err != nil {
			return err
		}
		keys = append(keys, k)
	}
	if err := issue.MayOrder(f, keys); err != nil {
		return err
	}
	id := make([]byte, 8)
	rand.Read(id)
	o.ID, o.Person = hex.EncodeToString(id), c.Person
	sent, refused := 0, exitCode(0)
	for _, s := range to {
		raw, err := o.Sign(s, keys...)
		if err != nil {
			return err
		}
		a, err := desk(f.Socket).order(s, raw)
		if err != nil {
			fmt.Fprintln(os.Stderr, "hubd:", phrase.In(err, l))
			refused = exitUnreachable
			break
		}
		if a.Error.IsZero() {
			sent++
			continue
		}
		refused = exitRefused
		fmt.Fprintln(os.Stderr, phrase.M("hubd.alert_failed", "station", string(s)).In(l), a.Error.In(l))
	}
	fmt.Fprintln(g.out(), phrase.M("hubd.order_sent", "about", o.About(), "count", sent).In(l))
	if sent > 0 {
		// Orders are counted by the second (ReleaseOrder.Issued): a station would take the next one of this second for this one.
		time.Sleep(time.Until(o.Issued.Add(time.Second)))
	}
	if refused != 0 {
		return refused
	}
	return nil
}

// known refuses a number that the hub has no release of, and tells of stations that may not fetch it.
func (c *orderBy) known(g *Globals, shelf *releases.Shelf, number uint64, to []letter.Station) error {
	all, offered := shelf.All()
	var have []string
	for _, r := range all {
		if n := strconv.FormatUint(r.Number, 10); !slices.Contains(have, n) {
			have = append(have, n)
		}
	}
	if !slices.Contains(have, strconv.FormatUint(number, 10)) {
		return phrase.E("hubd.order_release", "number", number, "have", strings.Join(have, "、"))
	}
	for _, s := range to {
		if !slices.ContainsFunc(offered, func(o releases.Offer) bool {
			return o.Number == number && (o.Everybody || slices.Contains(o.To, string(s)))
		}) {
			fmt.Fprintln(os.Stderr, phrase.M("hubd.order_unoffered", "station", string(s)).In(g.lang()))
		}
	}
	return nil
}

// desk is the running hub's socket.
type desk string

func (d desk) order(s letter.Station, raw []byte) (*console.Answer, error) {
	r, err := overSocket(string(d)).Post("http://hubd/v1/software?to="+url.QueryEscape(string(s)), "application/vnd.dsse.envelope.v1+json", bytes.NewReader(raw))
	if err != nil {
		return nil, phrase.E("hubd.unreachable", "socket", string(d))
	}
	defer r.Body.Close()
	a := &console.Answer{}
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20)).Decode(a); err != nil {
		return nil, phrase.E("hubd.unreachable", "socket", string(d))
	}
	return a, nil
}

// softwareOf asks how stations' software stands.
func softwareOf(socket string) (all []console.Software, err error) {
	r, err := overSocket(socket).Get("http://hubd/v1/software")
	if err != nil {
		return nil, phrase.E("hubd.unreachable", "socket", socket)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK || json.NewDecoder(http.MaxBytesReader(nil, r.Body, stateMost)).Decode(&all) != nil {
		return nil, phrase.E("hubd.unreachable", "socket", socket)
	}
	return all, nil
}
