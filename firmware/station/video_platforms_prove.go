package station

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
)

const (
	gbSessions      = 4
	gbSessionsMost  = 16
	gbPlatformsMost = 8
	gbPort          = 5060
	gbListen        = ":5060"
	gbExpires       = time.Hour
	gbExpiresLeast  = time.Minute
	gbExpiresMost   = 24 * time.Hour
	gbKeepalive     = time.Minute
	gbKeepLeast     = 5 * time.Second
	gbKeepMost      = 10 * time.Minute
	gbMisses        = 3
	gbMissesMost    = 10
	gbCode          = 20
	gbDomainLeast   = 10
)

// isDigits says whether a code has so many digits and nothing else.
func isDigits(c config.Code, least, most int) bool {
	return len(c) >= least && len(c) <= most && strings.Trim(string(c), "0123456789") == ""
}

// proveNational proves the platforms of GB/T 28181 at which the box signs in, and those
// that sign in here. local are ports that are taken already.
func (p *prover) proveNational(v *config.Video) {
	if v.Sessions < 0 || v.Sessions > gbSessionsMost {
		p.problem(phrase.M("site.gb_sessions", "most", gbSessionsMost), "video", "sessions")
	}
	if n := len(v.Platforms); n > gbPlatformsMost {
		p.problem(phrase.M("site.gb_platforms", "n", n, "most", gbPlatformsMost), "video", "platforms")
	}
	taken := map[int]bool{}
	if u := v.Upper; u != nil {
		_, n, _ := net.SplitHostPort(orElse(u.Listen, gbListen))
		port, _ := strconv.Atoi(n)
		taken[port] = true
	}
	for _, name := range slices.Sorted(maps.Keys(v.Platforms)) {
		p.proveNationalOne(name, v.Platforms[name], v, taken)
	}
	p.proveUpper(v)
}

func (p *prover) code(c config.Code, path ...any) {
	if !isDigits(c, gbCode, gbCode) {
		p.problem(phrase.M("site.gb_code", "code", c), path...)
	}
}

func (p *prover) networks(all []string, path ...any) {
	for i, n := range all {
		if _, err := netip.ParsePrefix(n); err != nil {
			p.problem(phrase.M("site.gb_network", "network", n), append(slices.Clone(path), i)...)
		}
	}
}

func (p *prover) proveNationalOne(name string, c config.Platform, v *config.Video, taken map[int]bool) {
	path := func(key ...any) []any { return append([]any{"video", "platforms", name}, key...) }
	at := func(m phrase.Message, key ...any) { p.problem(m, path(key...)...) }
	p.code(c.ID, path("id")...)
	p.code(c.Device, path("device")...)
	if c.Domain != "" && !isDigits(c.Domain, gbDomainLeast, gbCode) {
		at(phrase.M("site.gb_domain", "code", c.Domain), "domain")
	}
	if host, port := hostPort(c.Address); host == "" || port == 0 {
		at(phrase.M("site.gb_address", "platform", name, "address", c.Address), "address")
	}
	if c.Transport != "" && c.Transport != "udp" && c.Transport != "tcp" {
		at(phrase.M("site.gb_transport", "platform", name, "transport", c.Transport), "transport")
	}
	if c.Charset != "" && !slices.Contains([]string{"GB2312", "GB18030", "UTF-8"}, c.Charset) {
		at(phrase.M("site.gb_charset", "platform", name, "charset", c.Charset), "charset")
	}
	p.secret(c.Password, readToken, path("password")...)
	p.proveChannels(name, c, v)
	if c.Records && v.Record == nil {
		at(phrase.M("site.gb_records", "platform", name), "records")
	}
	if d := c.Expires.Duration(); d != 0 && (d < gbExpiresLeast || d > gbExpiresMost) {
		at(phrase.M("site.gb_expires", "platform", name), "expires")
	}
	if d := c.Keepalive.Duration(); d != 0 && (d < gbKeepLeast || d > gbKeepMost) {
		at(phrase.M("site.gb_keepalive", "platform", name), "keepalive")
	}
	if c.Misses < 0 || c.Misses > gbMissesMost {
		at(phrase.M("site.gb_misses", "platform", name), "misses")
	}
	if c.Local != 0 {
		if c.Local < 0 || c.Local > 65535 || taken[c.Local] {
			at(phrase.M("site.gb_local", "port", c.Local), "local")
		}
		taken[c.Local] = true
	}
	p.networks(c.Media, path("media")...)
}

func (p *prover) proveChannels(name string, c config.Platform, v *config.Video) {
	if len(c.Channels) == 0 {
		p.problem(phrase.M("site.gb_channels", "platform", name), "video", "platforms", name)
	}
	by := map[config.Code]string{c.Device: name}
	for _, stream := range slices.Sorted(maps.Keys(c.Channels)) {
		id := c.Channels[stream]
		path := []any{"video", "platforms", name, "channels", stream}
		p.code(id, path...)
		if cam, there := v.Streams[stream]; !there {
			p.problem(phrase.M("site.gb_stream", "platform", name, "stream", stream, "streams", strings.Join(slices.Sorted(maps.Keys(v.Streams)), ", ")), path...)
		} else if cam.Here {
			p.problem(phrase.M("site.gb_here", "platform", name, "stream", stream), path...)
		}
		if other, there := by[id]; there {
			p.problem(phrase.M("site.gb_twice", "code", id, "other", other), path...)
		}
		by[id] = stream
		if isDigits(id, gbCode, gbCode) && id[10:13] != "131" && id[10:13] != "132" {
			p.warn(phrase.M("site.gb_kind", "code", id, "kind", id[10:13]), path...)
		}
	}
}

// proveUpper proves this box as a platform, and the streams of the devices that sign in.
func (p *prover) proveUpper(v *config.Video) {
	by := map[config.Code]string{}
	for _, name := range slices.Sorted(maps.Keys(v.Streams)) {
		c := v.Streams[name]
		path := func(key ...any) []any { return append([]any{"video", "streams", name}, key...) }
		if c.Device == "" {
			for key, is := range map[string]bool{"channel": c.Channel != "", "tcp": c.TCP, "sha256": c.SHA256} {
				if is {
					p.problem(phrase.M("site.gb_device_only", "stream", name, "key", key), path(key)...)
				}
			}
			continue
		}
		p.code(c.Device, path("device")...)
		if c.Channel != "" {
			p.code(c.Channel, path("channel")...)
		}
		if c.Password == "" {
			p.secret("", readToken, path("password")...)
		}
		if other, there := by[c.Device]; there {
			p.problem(phrase.M("site.gb_twice", "code", c.Device, "other", other), path("device")...)
		}
		by[c.Device] = name
		if v.Upper == nil {
			p.problem(phrase.M("site.gb_upper", "stream", name), path("device")...)
		}
	}
	u := v.Upper
	if u == nil {
		return
	}
	p.code(u.ID, "video", "upper", "id")
	if u.Domain != "" && !isDigits(u.Domain, gbDomainLeast, gbCode) {
		p.problem(phrase.M("site.gb_domain", "code", u.Domain), "video", "upper", "domain")
	}
	if _, err := listenAt(u.Listen); err != nil {
		p.problem(phrase.M("site.video_port", "port", u.Listen), "video", "upper", "listen")
	}
	p.networks(u.From, "video", "upper", "from")
	if len(by) == 0 {
		p.warn(phrase.M("site.gb_upper_idle"), "video", "upper")
	}
}

// hostPort takes an address apart; where it names no port it is that of SIP.
func hostPort(a string) (host string, port int) {
	host, n, err := net.SplitHostPort(a)
	if err != nil {
		if strings.Contains(a, ":") && net.ParseIP(a) == nil {
			return "", 0
		}
		return a, gbPort
	}
	v, err := strconv.ParseUint(n, 10, 16)
	if err != nil {
		return "", 0
	}
	return host, int(v)
}

// listenAt is where devices sign in.
func listenAt(at string) (netip.AddrPort, error) {
	host, n, err := net.SplitHostPort(orElse(at, gbListen))
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := strconv.ParseUint(n, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr := netip.IPv4Unspecified()
	if host != "" {
		if addr, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}
