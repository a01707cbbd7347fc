package station

import (
	"context"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/proxy"
)

// proveProxies holds the site's proxies: off unless named, and never for all the
// world by an omission.
func (p *prover) proveProxies() {
	for i, x := range p.site.Proxies {
		at := func(m phrase.Message, key string) { p.problem(m, "proxies", i, key) }
		if _, port, err := net.SplitHostPort(x.Listen); err != nil || port == "" {
			at(phrase.M("proxy.listen", "listen", x.Listen), "listen")
		}
		j := slices.IndexFunc(p.bp.Lines, func(l LinePlan) bool { return l.Name == x.Line })
		if j < 0 || p.bp.Lines[j].Text() || p.bp.Lines[j].many() || len(p.bp.Lines[j].Units) == 0 {
			at(phrase.M("proxy.line", "line", x.Line), "line")
		}
		if len(x.Allow) == 0 {
			at(phrase.M("proxy.nobody", "listen", x.Listen), "allow")
		}
		for _, a := range x.Allow {
			if _, err := netOf(a); err != nil {
				at(phrase.M("proxy.allow", "got", a), "allow")
			}
		}
		if x.Rate < 0 || x.Rate > 100 {
			at(phrase.M("proxy.rate"), "rate")
		}
		if x.Write {
			p.warn(phrase.M("proxy.writes", "line", x.Line), "proxies", i, "write")
		}
	}
}

// netOf reads "192.168.1.0/24" or "192.168.1.7".
func netOf(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		n, err := netip.ParsePrefix(s)
		return n.Masked(), err
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// proxies are those that run, from the goroutine that starts and reloads.
type proxies struct {
	configs []config.Proxy
	stop    context.CancelFunc
	ended   []chan struct{}
}

// startProxies runs what is configured, in place of what ran before.
func (h *House) startProxies(ctx context.Context, cs []config.Proxy) {
	if h.proxies.stop != nil {
		if reflect.DeepEqual(h.proxies.configs, cs) {
			return
		}
		h.proxies.stop()
		for _, e := range h.proxies.ended {
			select { // the address must be free again
			case <-e:
			case <-time.After(2 * time.Second):
			}
		}
		for _, c := range h.proxies.configs {
			h.clearFault("proxy " + c.Listen)
		}
	}
	ctx, stop := context.WithCancel(ctx)
	h.proxies = proxies{configs: cs, stop: stop}
	for _, c := range cs {
		x := proxy.New(h.proxyOf(c), proxy.Opts{Guard: h.guard, Log: h.log, Line: func() proxy.Line { return h.guestsOf(c.Line) }, Report: func(why phrase.Message) {
			if why.IsZero() {
				h.clearFault("proxy " + c.Listen)
			} else {
				h.setFault("proxy "+c.Listen, why)
			}
		}})
		ended := make(chan struct{})
		h.proxies.ended = append(h.proxies.ended, ended)
		h.guard.GoIn(ctx, "serve", x.String(), guard.Restart, func(ctx context.Context) error {
			err := x.Serve(ctx)
			if ctx.Err() != nil {
				close(ended)
			}
			return err
		})
	}
}

func (h *House) guestsOf(name string) proxy.Line {
	if r := h.lineOf(name); r != nil && r.regs != nil {
		return r.regs
	}
	return nil
}

func (h *House) proxyOf(c config.Proxy) proxy.Config {
	x := proxy.Config{Name: c.Line, Listen: c.Listen, Write: c.Write, Fresh: c.Fresh.Duration(), Rate: c.Rate}
	for _, a := range c.Allow {
		if n, err := netOf(a); err == nil {
			x.Allow = append(x.Allow, n)
		}
	}
	x.Owned = func(unit uint8) bool { return h.seen().bp.sounds(c.Line, unit) }
	return x
}

// sounds tells whether an output of the site, its feedback or its contactor, hangs
// on a unit. Boards switch all of their relays by one register, so that it is the
// whole unit which nobody else may write to.
func (bp *Blueprint) sounds(line string, unit uint8) bool {
	for _, l := range bp.Lines {
		for _, u := range l.Units {
			if l.Name != line || u.Unit != unit {
				continue
			}
			for _, o := range bp.Outputs {
				for _, r := range []Ref{o.Relay, o.Sensed, o.Cut} {
					if r.Device == u.Device {
						return true
					}
				}
			}
			for _, in := range bp.Inputs {
				if in.Input.Device == u.Device {
					return true
				}
			}
		}
	}
	return false
}
