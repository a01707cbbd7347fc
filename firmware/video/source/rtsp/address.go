package rtsp

import (
	"net/url"
	"strings"

	"tocsin/firmware/phrase"
)

// Bounds of what a stranger may write into a URL.
const (
	maxName = 64
	maxKey  = 128
)

// asked reads which stream a path names and which key its query has. The path is
// /NAME or /live/NAME, which many encoders insist on; players put a slash behind it.
func asked(path, query string) (name, key string, err error) {
	name = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	name = strings.TrimPrefix(name, "live/")
	if !validName(name) {
		return "", "", phrase.E("video-rtsp.name", "path", shorten(path))
	}
	for part := range strings.SplitSeq(query, "&") {
		// FFmpeg puts "/" behind the query, and "/streamid=0" of a track.
		if k, v, ok := strings.Cut(part, "="); ok && k == "key" {
			v, _, _ = strings.Cut(v, "/")
			if key, err = url.QueryUnescape(v); err != nil || len(key) > maxKey {
				return "", "", phrase.E("video-rtsp.key_form", "stream", name)
			}
		}
	}
	return name, key, nil
}

func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return s[0] != '.'
}

func shorten(s string) string {
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "") + "…"
	}
	return s
}

// without gives a camera's URL as it may be shown and logged: no password.
func without(u *url.URL) string {
	c := *u
	c.User = nil
	if q := c.Query(); len(q) > 0 { // some cameras take the password there
		for k := range q {
			if k := strings.ToLower(k); strings.Contains(k, "pass") || strings.Contains(k, "pwd") || strings.Contains(k, "key") || strings.Contains(k, "token") {
				c.RawQuery = ""
			}
		}
	}
	return c.String()
}
