package station

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/config/edit"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/network"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/update/board"
)

// How long a change of the network waits for its confirmation: somebody must find the box
// at its new address.
const (
	networkLeast = 60 * time.Second
	networkMost  = 10 * time.Minute
	// networkSettles is how long a lease or a cable may take before it is called missing.
	networkSettles = 20 * time.Second
	networkLook    = time.Second
)

// setter is what sets this board's network.
func (h *House) setter() network.Setter {
	if h.o.Bench != "" {
		return network.Bench{File: filepath.Join(h.o.Bench, "network.json")}
	}
	if s := initSocket(); s != "" {
		return network.Board{Set: func(want map[string]network.Setting) error { return board.Init{Socket: s}.Network(want) }}
	}
	return network.Kernel{}
}

// networkOf reads what the document says of an interface.
// Secrets are read from files beside the site's file.
func networkOf(name string, n config.Network, file string) (network.Setting, error) {
	s := network.Setting{DHCP: n.DHCP, VLAN: n.VLAN}
	var err error
	if n.Address != "" {
		if s.Address, err = netip.ParsePrefix(n.Address); err != nil {
			return s, phrase.E("network.bad_address", "name", name, "address", n.Address)
		}
	}
	if n.Gateway != "" {
		if s.Gateway, err = netip.ParseAddr(n.Gateway); err != nil {
			return s, phrase.E("network.wrong", "name", name, "key", "gateway", "err", err)
		}
	}
	for _, d := range n.DNS {
		a, err := netip.ParseAddr(d)
		if err != nil {
			return s, phrase.E("network.wrong", "name", name, "key", "dns", "err", err)
		}
		s.DNS = append(s.DNS, a)
	}
	if w := n.WiFi; w != nil {
		s.WiFi = &network.WiFi{SSID: w.SSID}
		if w.Key != "" {
			key, err := readToken(beside(file, w.Key))
			if err != nil {
				return s, err
			}
			s.WiFi.Key = string(key)
		}
	}
	return s, s.Check(name)
}

func (p *prover) network() {
	for name, n := range p.site.Network {
		if _, err := networkOf(name, n, p.bp.Doc.File); err != nil {
			p.problem(phrase.Of(err), "network", name)
		}
	}
}

// network is what the document says of the board's interfaces.
func (bp *Blueprint) network() map[string]network.Setting {
	want := map[string]network.Setting{}
	for name, n := range bp.Doc.Site.Network {
		if s, err := networkOf(name, n, bp.Doc.File); err == nil {
			want[name] = s
		}
	}
	return want
}

// applyNetwork makes the board's network what the document says, at a start and where that has
// changed; what was not taken is a fault. A document that says nothing is applied too: a trial that
// ended while the box was off may have left something behind.
func (h *House) applyNetwork(bp *Blueprint) {
	want := bp.network()
	h.mu.Lock()
	same := reflect.DeepEqual(h.networked, want)
	h.networked = want
	h.mu.Unlock()
	if same {
		return
	}
	h.guard.Go("reach", "network", guard.Once, func(ctx context.Context) error {
		set := h.setter()
		if err := set.Apply(want); err != nil {
			if errors.Is(err, network.ErrReadOnly) {
				h.setFault("network", phrase.M("network.read_only"))
			} else {
				h.setFault("network", phrase.M("network.failed", "err", err))
			}
			h.networkTried(want)
			return nil
		}
		// A lease and a cable take their time: what is not there by then is called, and looked
		// for until it comes or something else is wanted.
		for since := time.Now(); ; {
			wrong := notTaken(set, want)
			switch {
			case wrong.IsZero():
				h.clearFault("network")
			case time.Since(since) >= networkSettles || h.o.Bench != "":
				h.setFault("network", wrong)
			}
			if wrong.IsZero() || time.Since(since) >= networkSettles || h.o.Bench != "" {
				h.networkTried(want)
			}
			if wrong.IsZero() || h.o.Bench != "" {
				return nil
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(networkLook):
			}
			h.mu.RLock()
			over := !reflect.DeepEqual(h.networked, want)
			h.mu.RUnlock()
			if over {
				return nil
			}
		}
	})
}

// networkTried says that what is wanted was asked for, and had its time to be.
func (h *House) networkTried(want map[string]network.Setting) {
	h.mu.Lock()
	h.networkDone = want
	h.mu.Unlock()
}

// notTaken says what of the network is not as it shall be; the zero Message for nothing.
func notTaken(set network.Setter, want map[string]network.Setting) phrase.Message {
	is, err := set.Read()
	if err != nil {
		return phrase.M("network.failed", "err", err)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		i := slices.IndexFunc(is, func(i network.Interface) bool { return i.Name == name })
		if i < 0 || !want[name].Holds(is[i]) {
			return phrase.M("network.not_taken", "name", name)
		}
	}
	return phrase.Message{}
}

// Network gives what the board's interfaces are and shall be.
func (h *House) Network() (api.Network, error) {
	set := h.setter()
	is, err := set.Read()
	if err != nil {
		return api.Network{}, phrase.Wrap(err, "network.failed", "err", err)
	}
	out := api.Network{Interfaces: []api.NetworkInterface{}}
	if _, fixed := set.(network.Kernel); fixed {
		t := api.TextOf(phrase.M("network.read_only"))
		out.Why = &t
	}
	doc := h.seen().bp.Doc
	for _, i := range is {
		x := api.NetworkInterface{Name: i.Name, Up: i.Up, MAC: i.MAC, Addresses: []string{}, Held: true}
		for _, a := range i.Addresses {
			x.Addresses = append(x.Addresses, a.String())
		}
		if i.Gateway.IsValid() {
			x.Gateway = i.Gateway.String()
		}
		if n, ok := doc.Site.Network[i.Name]; ok {
			x.Set = &api.NetworkSetting{DHCP: n.DHCP, Address: n.Address, Gateway: n.Gateway, DNS: n.DNS}
			s, err := networkOf(i.Name, n, doc.File)
			x.Held = err == nil && s.Holds(i)
		}
		out.Interfaces = append(out.Interfaces, x)
	}
	return out, nil
}

// ProposeNetwork puts one interface's setting into the document, on trial; never while a level stands:
// what tells the county of it goes by that network.
func (h *House) ProposeNetwork(ctx context.Context, p api.NetworkProposal, who api.Who) (api.Revision, error) {
	if _, fixed := h.setter().(network.Kernel); fixed {
		return api.Revision{}, phrase.E("network.read_only")
	}
	if h.seen().worst > point.Calm {
		return api.Revision{}, phrase.E("network.level")
	}
	if p.Within < networkLeast || p.Within > networkMost {
		return api.Revision{}, phrase.E("network.within", "least", networkLeast, "most", networkMost)
	}
	n := config.Network{DHCP: p.DHCP, Address: p.Address, Gateway: p.Gateway, DNS: p.DNS}
	was := h.seen().bp.Doc
	if old, ok := was.Site.Network[p.Interface]; ok {
		n.VLAN, n.WiFi = old.VLAN, old.WiFi // what the page does not ask for stays
	}
	if _, err := networkOf(p.Interface, n, was.File); err != nil {
		return api.Revision{}, err
	}
	now, err := h.Revision(0)
	if err != nil {
		return api.Revision{}, err
	}
	type wifi struct {
		SSID string `json:"ssid"`
		Key  string `json:"key,omitempty"`
	}
	set := struct {
		api.NetworkSetting
		VLAN int   `json:"vlan,omitempty"`
		WiFi *wifi `json:"wifi,omitempty"`
	}{NetworkSetting: p.NetworkSetting, VLAN: n.VLAN}
	if n.WiFi != nil {
		set.WiFi = &wifi{n.WiFi.SSID, n.WiFi.Key}
	}
	v, err := json.Marshal(set)
	if err != nil {
		return api.Revision{}, err
	}
	doc, err := edit.Apply([]byte(now.Document), []edit.Edit{{Op: edit.Set, Path: "/network/" + p.Interface, Value: v}})
	if err != nil {
		return api.Revision{}, err
	}
	return h.Propose(ctx, api.Proposal{Base: p.Base, Document: string(doc), Who: who.Name, Why: p.Why, Session: p.Session, Within: p.Within}, who)
}
