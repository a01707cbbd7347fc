package gb28181

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/video/gb28181/mans"
	"tocsin/firmware/video/stream"
)

const (
	mostSDP      = 4096
	mostSDPLines = 64
)

var errSDP = errors.New("an offer that cannot be served")

// How the RTP goes (RFC 4145); said of the platform.
type way int

const (
	byUDP    way = iota
	weDial       // the platform is passive
	theyDial     // the platform is active
)

func (w way) String() string { return [...]string{"udp", "tcp-active", "tcp-passive"}[w] }

// offer is what an INVITE asks for.
type offer struct {
	kind     string // Play, Playback, Download
	owner    string // the platform's code of o=
	to       netip.AddrPort
	way      way
	ssrc     string // ten digits, empty where none was told
	from     time.Time
	until    time.Time
	speed    float64
	payloads []string
}

// readOffer reads a session description as GB/T 28181 shapes it. What it does not name is left
// unread; what it must have and has not is an error.
func readOffer(b []byte) (offer, error) {
	if len(b) > mostSDP {
		return offer{}, fmt.Errorf("%w: %d bytes", errSDP, len(b))
	}
	lines := strings.Split(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
	if len(lines) > mostSDPLines {
		return offer{}, fmt.Errorf("%w: %d lines", errSDP, len(lines))
	}
	o := offer{speed: 4}
	var session, media netip.Addr
	var port uint64
	setup, tcp, inMedia, seen, ps := "", false, false, false, false
	for _, l := range lines {
		if len(l) < 2 || l[1] != '=' {
			continue
		}
		v := strings.TrimSpace(l[2:])
		if l[0] == 'm' {
			f := strings.Fields(v)
			inMedia = len(f) >= 4 && f[0] == "video"
			if !inMedia || seen {
				inMedia = false
				continue
			}
			seen = true
			var err error
			if port, err = strconv.ParseUint(f[1], 10, 16); err != nil {
				return offer{}, fmt.Errorf("%w: port %s", errSDP, shown(f[1]))
			}
			switch f[2] {
			case "RTP/AVP":
			case "TCP/RTP/AVP":
				tcp = true
			default:
				return offer{}, fmt.Errorf("%w: protocol %s", errSDP, shown(f[2]))
			}
			o.payloads = f[3:]
			continue
		}
		switch l[0] {
		case 's':
			o.kind = v
		case 'o':
			if f := strings.Fields(v); len(f) > 0 {
				o.owner = f[0]
			}
		case 'c':
			f := strings.Fields(v)
			if len(f) < 3 {
				return offer{}, fmt.Errorf("%w: c=%s", errSDP, shown(v))
			}
			a, err := netip.ParseAddr(f[2])
			if err != nil || a.Zone() != "" {
				return offer{}, fmt.Errorf("%w: address %s", errSDP, shown(f[2]))
			}
			switch {
			case inMedia:
				media = a.Unmap()
			case !seen:
				session = a.Unmap()
			}
		case 't':
			f := strings.Fields(v)
			if len(f) != 2 {
				return offer{}, fmt.Errorf("%w: t=%s", errSDP, shown(v))
			}
			a, err1 := strconv.ParseInt(f[0], 10, 40)
			z, err2 := strconv.ParseInt(f[1], 10, 40)
			if err1 != nil || err2 != nil || a < 0 || z < 0 {
				return offer{}, fmt.Errorf("%w: t=%s", errSDP, shown(v))
			}
			if a > 0 || z > 0 {
				o.from, o.until = time.Unix(a, 0), time.Unix(z, 0)
			}
		case 'y':
			if len(v) != 10 || !mans.Digits(v) {
				return offer{}, fmt.Errorf("%w: y=%s", errSDP, shown(v))
			}
			if n, err := strconv.ParseUint(v, 10, 32); err != nil || n == 0 {
				return offer{}, fmt.Errorf("%w: y=%s", errSDP, shown(v))
			}
			o.ssrc = v
		case 'a':
			if !inMedia {
				continue
			}
			k, x, _ := strings.Cut(v, ":")
			switch k {
			case "setup":
				setup = x
			case "rtpmap":
				ps = ps || strings.HasPrefix(x, "96 PS/90000")
			case "downloadspeed":
				if n, err := strconv.ParseFloat(x, 64); err == nil && n >= 0.25 && n <= 16 {
					o.speed = n
				}
			}
		}
	}
	a := session
	if media.IsValid() {
		a = media
	}
	switch {
	case o.kind != "Play" && o.kind != "Playback" && o.kind != "Download":
		return offer{}, fmt.Errorf("%w: s=%s", errSDP, shown(o.kind))
	case !seen || port == 0:
		return offer{}, fmt.Errorf("%w: no pictures are asked for", errSDP)
	case !a.IsValid():
		return offer{}, fmt.Errorf("%w: no address", errSDP)
	case o.kind != "Play" && !o.until.After(o.from):
		return offer{}, fmt.Errorf("%w: no time is told", errSDP)
	}
	// Platforms that list no mapping at all mean the program stream.
	has96 := ps
	for _, p := range o.payloads {
		has96 = has96 || p == "96"
	}
	if !has96 {
		return offer{}, fmt.Errorf("%w: no program stream is asked for", errSDP)
	}
	o.to = netip.AddrPortFrom(a, uint16(port))
	if tcp {
		switch setup {
		case "active":
			o.way = theyDial
		case "passive", "":
			o.way = weDial
		default:
			return offer{}, fmt.Errorf("%w: setup %s", errSDP, shown(setup))
		}
	}
	return o, nil
}

// answer is the session description of a 200.
func (o offer) answer(channel string, at netip.AddrPort, ssrc, form string) []byte {
	var b strings.Builder
	ip := "IP4"
	if at.Addr().Is6() {
		ip = "IP6"
	}
	line := func(s string, args ...any) { fmt.Fprintf(&b, s+"\r\n", args...) }
	line("v=0")
	line("o=%s 0 0 IN %s %s", channel, ip, at.Addr())
	line("s=%s", o.kind)
	line("c=IN %s %s", ip, at.Addr())
	if o.kind == "Play" {
		line("t=0 0")
	} else {
		line("t=%d %d", o.from.Unix(), o.until.Unix())
	}
	switch o.way {
	case byUDP:
		line("m=video %d RTP/AVP 96", at.Port())
	default:
		line("m=video %d TCP/RTP/AVP 96", at.Port())
	}
	line("a=sendonly")
	line("a=rtpmap:96 PS/90000")
	switch o.way {
	case weDial:
		line("a=setup:active\r\na=connection:new")
	case theyDial:
		line("a=setup:passive\r\na=connection:new")
	}
	if o.kind == "Download" {
		line("a=downloadspeed:%g", o.speed)
	}
	line("y=%s", ssrc)
	line("f=%s", form)
	return []byte(b.String())
}

// form is f=: what the pictures and the sound are, as far as known.
func form(st stream.State) string {
	video, audio := "v/////", "a///"
	codec := map[stream.Codec]string{stream.H264: "2", stream.H265: "5"}[st.Picture.Codec]
	if codec != "" {
		size := ""
		switch w, h := st.Picture.Width, st.Picture.Height; {
		case h >= 1080:
			size = "6"
		case h >= 720:
			size = "5"
		case w >= 700:
			size = "4"
		case w >= 352:
			size = "2"
		case w > 0:
			size = "1"
		}
		rate, fps := "", ""
		if st.Bitrate > 0 {
			rate = strconv.Itoa(max(1, st.Bitrate/1000))
		}
		if st.FPS >= 1 {
			fps = strconv.Itoa(min(99, int(st.FPS+0.5)))
		}
		video = "v/" + codec + "/" + size + "/" + fps + "/2/" + rate
	}
	if st.Sound == stream.PCMA || st.Sound == stream.PCMU {
		audio = "a/1/8/1" // G.711, 64 kbit/s, 8 kHz
	}
	return video + audio
}
