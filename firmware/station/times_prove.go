package station

import (
	"net"
	"regexp"
	"strconv"
	"strings"

	"tocsin/firmware/clock/source"
	"tocsin/firmware/phrase"
)

var (
	pulsePath = regexp.MustCompile(`^/dev/pps[0-9]{1,3}$`)
	chipPath  = regexp.MustCompile(`^/dev/rtc[0-9]{1,3}$`)
	hostName  = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z._-]*[0-9A-Za-z])?$`)
)

// proveTime proves the sources of time.
func (p *prover) proveTime() {
	t := p.site.Time
	r, err := source.LoadRules(p.fsys)
	if err != nil {
		p.problem(phrase.M("site.time_rules", "detail", err), "time")
		return
	}
	p.bp.Time = r
	if t.PPS != "" && !pulsePath.MatchString(t.PPS) {
		p.problem(phrase.M("site.time_device", "got", t.PPS, "want", "/dev/pps0"), "time", "pps")
	}
	if t.RTC != "" && !chipPath.MatchString(t.RTC) {
		p.problem(phrase.M("site.time_device", "got", t.RTC, "want", "/dev/rtc0"), "time", "rtc")
	}
	if len(t.NTP) > r.NTP.Most {
		p.problem(phrase.M("site.time_many", "n", len(t.NTP), "most", r.NTP.Most), "time", "ntp")
	}
	for i, s := range t.NTP {
		if !isServer(s) {
			p.problem(phrase.M("site.time_server", "server", s), "time", "ntp", i)
		}
		for _, o := range t.NTP[:i] {
			if o == s {
				p.problem(phrase.M("site.time_twice", "server", s), "time", "ntp", i)
			}
		}
	}
	if len(t.NTP) == 2 {
		p.warn(phrase.M("site.time_two"), "time", "ntp")
	}
}

// isServer tells whether a name may be a time server's: host or host:port.
func isServer(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = s, "123"
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 1 && n <= 65535 && (net.ParseIP(strings.Trim(host, "[]")) != nil || len(host) <= 253 && hostName.MatchString(host))
}
