package station

import (
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

const (
	videoListen     = ":8555"
	videoViewers    = 16
	videoViewerMost = 64
	videoMemory     = 256 << 20
	videoLeast      = 64 << 20
	videoQuota      = 4 << 30
	videoClips      = 1 << 30
	videoRing       = 64 << 20
	videoBefore     = time.Minute
	videoAfter      = 5 * time.Minute
	videoPinMost    = time.Hour
)

// proveVideo proves a site's live pictures.
func (p *prover) proveVideo() {
	v := p.site.Video
	if v == nil {
		return
	}
	ports := map[string]string{}
	port := func(key, at string) {
		if at == "" {
			return
		}
		if _, n, err := net.SplitHostPort(at); err != nil || n == "" {
			p.problem(phrase.M("site.video_port", "port", at), "video", key)
		} else if other, there := ports[n]; there {
			p.problem(phrase.M("site.video_port_twice", "port", n, "other", other), "video", key)
		} else {
			ports[n] = key
		}
	}
	port("listen", orElse(v.Listen, videoListen))
	port("rtsp", v.RTSP)
	port("rtmp", v.RTMP)
	port("srt", v.SRT)
	if v.Upper != nil {
		port("upper", orElse(v.Upper.Listen, gbListen))
	}
	if v.Viewers < 0 || v.Viewers > videoViewerMost {
		p.problem(phrase.M("site.video_viewers", "n", v.Viewers, "most", videoViewerMost), "video", "viewers")
	}
	if m := v.Memory.Bytes(); m != 0 && m < videoLeast {
		p.problem(phrase.M("site.video_memory"), "video", "memory")
	}
	if len(v.Streams) > letter.StreamsMost {
		p.problem(phrase.M("site.video_many", "n", len(v.Streams), "most", letter.StreamsMost), "video", "streams")
	}
	for _, name := range slices.Sorted(maps.Keys(v.Streams)) {
		p.proveCamera(name, v.Streams[name])
	}
	p.proveNational(v)
	if r := v.Record; r != nil {
		for key, q := range map[string]int64{"quota": r.Quota.Bytes(), "clips": r.Clips.Bytes()} {
			if n := int64(max(len(v.Streams), 1)); q != 0 && q/n < videoRing {
				p.problem(phrase.M("site.video_quota", "least", n*videoRing>>20), "video", "record", key)
			}
		}
		for key, d := range map[string]time.Duration{"before": r.Before.Duration(), "after": r.After.Duration()} {
			if d < 0 || d > videoPinMost {
				p.problem(phrase.M("site.video_pin"), "video", "record", key)
			}
		}
	}
}

func (p *prover) proveCamera(name string, c config.Camera) {
	at := func(m phrase.Message, key ...any) { p.problem(m, append([]any{"video", "streams", name}, key...)...) }
	if !letter.IsStream(name) {
		at(phrase.M("site.video_name", "stream", name))
	}
	if n := oneOf(c.Key, c.Pull, c.Port, string(c.Device)); n != 1 {
		at(phrase.M("site.video_way", "stream", name))
	}
	if c.Key != "" {
		p.secret(c.Key, readToken, "video", "streams", name, "key")
	}
	if c.View != "" {
		p.secret(c.View, readToken, "video", "streams", name, "view")
	}
	if c.Password != "" {
		p.secret(c.Password, readToken, "video", "streams", name, "password")
	}
	for key, a := range map[string]string{"pull": c.Pull, "low": c.Low} {
		if a == "" {
			continue
		}
		if u, err := url.Parse(a); err != nil || u.Scheme != "rtsp" && u.Scheme != "rtsps" || u.Host == "" || u.User != nil {
			at(phrase.M("site.video_rtsp", "url", config.Hide(a)), key)
		}
	}
	if c.Low != "" && c.Pull == "" {
		at(phrase.M("site.video_low", "stream", name), "low")
	}
	if c.ONVIF != "" {
		if u, err := url.Parse(c.ONVIF); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			at(phrase.M("site.video_onvif", "url", config.Hide(c.ONVIF)), "onvif")
		}
	}
	if c.Port != "" {
		if _, n, err := net.SplitHostPort(c.Port); err != nil || n == "" {
			at(phrase.M("site.video_port", "port", c.Port), "port")
		}
		if _, err := netip.ParsePrefix(c.From); err != nil {
			at(phrase.M("site.video_from", "from", c.From), "from")
		}
	}
}

func orElse(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
