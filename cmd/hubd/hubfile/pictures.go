package hubfile

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// Pictures is the county's side of live pictures; nil: there is none.
type Pictures struct {
	// Listen is where stations bring their streams (WHIP over HTTPS), URL how they reach
	// it: https://host:port.
	Listen string `yaml:"listen"`
	TLS    *TLS   `yaml:"tls"`
	URL    string `yaml:"url"`
	// Media is where all pictures come and go, UDP and TCP on one port (0.0.0.0:8473),
	// Addresses what stations and viewers are told of it where the hub stands behind NAT.
	Media     string   `yaml:"media"`
	Addresses []string `yaml:"addresses"`
	// TURN helps those through whose network lets nothing else pass.
	TURN *TURN `yaml:"turn"`
	// Keep is for how long it is kept who saw what and why (180d), Linger how long a
	// station goes on pushing after the last viewer left (30s).
	Keep   config.Span `yaml:"keep"`
	Linger config.Span `yaml:"linger"`
	// Clips are what alarms keep of a stream; nil: stations are not asked for them.
	Clips *Clips `yaml:"clips"`
	// Views say who may see what; for each stream the first that names it. A stream that
	// none names is for every officer.
	Views []View `yaml:"views"`
}

// Clips says how the county keeps stations' alarm clips.
type Clips struct {
	// Quota is for all of them (20 GiB), Most for one (2 GiB), Reserve stays free of the
	// disk (1 GiB).
	Quota   config.Size `yaml:"quota"`
	Most    config.Size `yaml:"most"`
	Reserve config.Size `yaml:"reserve"`
	// Keep is how long a clip is kept: the county's word on privacy (90d).
	Keep config.Span `yaml:"keep"`
}

// Bounds gives what holds.
func (c *Clips) Bounds() (quota, most, reserve int64, keep time.Duration) {
	or := func(n, otherwise int64) int64 {
		if n == 0 {
			return otherwise
		}
		return n
	}
	quota, reserve = or(c.Quota.Bytes(), defaultClips), or(c.Reserve.Bytes(), defaultReserve)
	most = min(or(c.Most.Bytes(), defaultClip), quota)
	if keep = c.Keep.Duration(); keep == 0 {
		keep = defaultKeepClips
	}
	return quota, most, reserve, keep
}

// TURN is the relay (RFC 8656).
type TURN struct {
	Listen string `yaml:"listen"` // UDP and TCP
	// TLS is where it is spoken over TLS with the certificate of pictures: tls; 0.0.0.0:443 passes most firewalls.
	TLS string `yaml:"tls"`
	// Address is the hub's, that relayed packets come from; Host the name for URLs (Address).
	Address string `yaml:"address"`
	Host    string `yaml:"host"`
	Ports   string `yaml:"ports"` // first-last, 50000-50999
	// Allow are networks to which it may relay besides the hub's own media port.
	Allow []string `yaml:"allow"`

	From, To uint16         `yaml:"-"`
	Nets     []netip.Prefix `yaml:"-"`
}

// View says who may see the streams that it names.
type View struct {
	// Stations are ids or division codes, Streams names with * at the end for all that
	// begin so; without any, all.
	Stations []string `yaml:"stations"`
	Streams  []string `yaml:"streams"`
	// Roles may see them; without any, every officer.
	Roles []string `yaml:"roles"`
	// Talk are the roles that may speak from that station's loudspeaker; without any, nobody.
	Talk []string `yaml:"talk"`
	// Mask are parts of the picture that the viewer's page covers. The picture itself
	// goes to the viewer's browser: a masked stream must say whose roles may have it. Bare are
	// those of them who see it without.
	Mask []Part   `yaml:"mask"`
	Bare []string `yaml:"bare"`
}

// Part is a rectangle in fractions of the picture's width and height.
type Part struct {
	Left   float64 `yaml:"left" json:"left"`
	Top    float64 `yaml:"top" json:"top"`
	Width  float64 `yaml:"width" json:"width"`
	Height float64 `yaml:"height" json:"height"`
}

// The defaults and bounds of pictures.
const (
	defaultViewings = 180 * dayLong
	defaultLinger   = 30 * time.Second
	defaultPorts    = "50000-50999"
	defaultClips    = 20 << 30
	defaultClip     = 2 << 30
	defaultReserve  = 1 << 30
	leastClips      = 64 << 20
	viewsMost       = 1000
	partsMost       = 16

	defaultKeepClips = 90 * dayLong
)

// KeepViewings is how long it is kept who saw what.
func (p *Pictures) KeepViewings() time.Duration {
	if d := p.Keep.Duration(); d != 0 {
		return d
	}
	return defaultViewings
}

// LingerFor is how long a station pushes after the last viewer left.
func (p *Pictures) LingerFor() time.Duration {
	if d := p.Linger.Duration(); d != 0 {
		return d
	}
	return defaultLinger
}

// ViewOf is what the county says of a stream; the zero View where it says nothing.
func (p *Pictures) ViewOf(s letter.Station, stream string) View {
	for _, v := range p.Views {
		if v.names(s, stream) {
			return v
		}
	}
	return View{}
}

func (v *View) names(s letter.Station, stream string) bool {
	in := len(v.Stations) == 0 || slices.ContainsFunc(v.Stations, func(a string) bool {
		return a == string(s) || code(a) && strings.HasPrefix(s.Code(), level(a))
	})
	return in && (len(v.Streams) == 0 || slices.ContainsFunc(v.Streams, func(a string) bool {
		begin, all := strings.CutSuffix(a, "*")
		return a == stream || all && strings.HasPrefix(stream, begin)
	}))
}

// MaySee tells whether somebody with these roles may have the picture.
func (v *View) MaySee(roles []string) bool { return len(v.Roles) == 0 || shares(v.Roles, roles) }

// MayTalk tells whether they may speak there.
func (v *View) MayTalk(roles []string) bool { return v.MaySee(roles) && shares(v.Talk, roles) }

// MaskFor is what their page covers.
func (v *View) MaskFor(roles []string) []Part {
	if shares(v.Bare, roles) {
		return nil
	}
	return v.Mask
}

func shares(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// pictures proves the section without looking at files.
func (p *prover) pictures() {
	g := p.f.Pictures
	if g == nil {
		return
	}
	at := func(m phrase.Message, path ...any) { p.wrong(m, append([]any{"pictures"}, path...)...) }
	switch {
	case !address(g.Listen):
		at(phrase.M("hubd.listen", "what", clip(g.Listen)), "listen")
	case g.TLS == nil && !Loopback(g.Listen):
		at(phrase.M("hubd.pictures_tls", "listen", g.Listen), "listen")
	}
	p.tlsNames(g.TLS, "pictures", "tls")
	if g.URL != "" || !Loopback(g.Listen) {
		u, err := url.Parse(g.URL)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && !(u.Scheme == "http" && Loopback(u.Host)) {
			at(phrase.M("hubd.pictures_url", "url", clip(g.URL)), "url")
		}
	}
	if !address(g.Media) {
		at(phrase.M("hubd.listen", "what", clip(g.Media)), "media")
	}
	for i, a := range g.Addresses {
		if _, err := netip.ParseAddr(a); err != nil {
			at(phrase.M("hubd.pictures_address", "address", clip(a)), "addresses", i)
		}
	}
	if d := g.Keep.Duration(); d != 0 && (d < dayLong || d > 10*365*dayLong) {
		at(phrase.M("hubd.keep", "days", 1.0), "keep")
	}
	if d := g.Linger.Duration(); d < 0 || d > time.Hour {
		at(phrase.M("hubd.pictures_linger"), "linger")
	}
	if c := g.Clips; c != nil {
		if n := c.Quota.Bytes(); n < 0 || n != 0 && n < leastClips {
			at(phrase.M("hubd.clips_quota", "least", leastClips>>20), "clips", "quota")
		}
		if n := c.Most.Bytes(); n < 0 || n != 0 && n < leastClips {
			at(phrase.M("hubd.clips_quota", "least", leastClips>>20), "clips", "most")
		}
		if d := c.Keep.Duration(); d != 0 && (d < dayLong || d > 10*365*dayLong) {
			at(phrase.M("hubd.keep", "days", 1.0), "clips", "keep")
		}
	}
	p.turn(at)
	if len(g.Views) > viewsMost {
		at(phrase.M("hubd.pictures_many", "most", viewsMost), "views")
		return
	}
	for i := range g.Views {
		p.view(i, &g.Views[i], at)
	}
}

func (p *prover) turn(at func(phrase.Message, ...any)) {
	g := p.f.Pictures
	t := g.TURN
	if t == nil {
		return
	}
	if t.Ports == "" {
		t.Ports = defaultPorts
	}
	from, to, _ := strings.Cut(t.Ports, "-")
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	if errA != nil || errB != nil || a < 1024 || b < a {
		at(phrase.M("hubd.turn_ports", "ports", clip(t.Ports)), "turn", "ports")
	}
	t.From, t.To = uint16(a), uint16(b)
	if !address(t.Listen) {
		at(phrase.M("hubd.listen", "what", clip(t.Listen)), "turn", "listen")
	}
	if ip, err := netip.ParseAddr(t.Address); err != nil || ip.IsUnspecified() {
		at(phrase.M("hubd.pictures_address", "address", clip(t.Address)), "turn", "address")
	}
	switch {
	case t.TLS != "" && !address(t.TLS):
		at(phrase.M("hubd.listen", "what", clip(t.TLS)), "turn", "tls")
	case t.TLS != "" && g.TLS == nil:
		at(phrase.M("hubd.turn_tls"), "turn", "tls")
	}
	if t.Host != "" && (len(t.Host) > 253 || strings.ContainsAny(t.Host, ":/?@ ")) {
		at(phrase.M("hubd.turn_host", "host", clip(t.Host)), "turn", "host")
	}
	t.Nets = nil
	for i, s := range t.Allow {
		n, err := netip.ParsePrefix(s)
		if err != nil || n.Bits() == 0 {
			at(phrase.M("hubd.turn_allow", "net", clip(s)), "turn", "allow", i)
			continue
		}
		t.Nets = append(t.Nets, n.Masked())
	}
}

func (p *prover) view(i int, v *View, at func(phrase.Message, ...any)) {
	for j, s := range v.Stations {
		if _, ok := p.f.Stations[s]; !ok && !code(s) {
			at(phrase.M("hubd.area", "area", clip(s)), "views", i, "stations", j)
		}
	}
	for j, s := range v.Streams {
		if b := strings.TrimSuffix(s, "*"); b != "" && !letter.IsStream(b) || s == "" {
			at(phrase.M("letter.stream", "stream", clip(s), "most", 40), "views", i, "streams", j)
		}
	}
	if len(v.Mask) > partsMost {
		at(phrase.M("hubd.pictures_many", "most", partsMost), "views", i, "mask")
	}
	for j, m := range v.Mask {
		if !(m.Left >= 0 && m.Top >= 0 && m.Width > 0 && m.Height > 0 && m.Left+m.Width <= 1.0001 && m.Top+m.Height <= 1.0001) {
			at(phrase.M("hubd.mask_part"), "views", i, "mask", j)
		}
	}
	if len(v.Mask) > 0 && len(v.Roles) == 0 {
		at(phrase.M("hubd.mask_roles"), "views", i, "mask")
	}
	for _, name := range []string{"roles", "talk", "bare"} {
		for j, r := range map[string][]string{"roles": v.Roles, "talk": v.Talk, "bare": v.Bare}[name] {
			if !letter.IsStream(r) {
				at(phrase.M("hubd.roles"), "views", i, name, j)
			}
		}
	}
}

// Duties are the county's own words for who may see and speak: all that the views name, in their order.
func (p *Pictures) Duties() (all []string) {
	if p == nil {
		return nil
	}
	for _, v := range p.Views {
		for _, r := range slices.Concat(v.Roles, v.Talk, v.Bare) {
			if !slices.Contains(all, r) {
				all = append(all, r)
			}
		}
	}
	return all
}
