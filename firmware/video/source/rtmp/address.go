package rtmp

import (
	"net/url"
	"strings"

	"tocsin/firmware/phrase"
)

// What may stand in an address.
const (
	application = "live"
	nameBytes   = 64
	keyBytes    = 256
	pathBytes   = 2048
)

// address puts together what connect (app, tcUrl) and publish (name) say: which stream, and
// its key. Clients cut the address in different places, so it is put together first; the
// key may be in the query of any of the three, the publisher's own name first.
func address(app, tcURL, name string) (stream, key string, err error) {
	if len(app)+len(tcURL)+len(name) > pathBytes {
		return "", "", phrase.E("rtmp.address")
	}
	app, appQuery, _ := strings.Cut(app, "?")
	name, nameQuery, _ := strings.Cut(name, "?")
	_, tcQuery, _ := strings.Cut(tcURL, "?")
	parts := strings.Split(strings.Trim(app, "/")+"/"+strings.Trim(name, "/"), "/")
	for len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	for _, q := range []string{nameQuery, appQuery, tcQuery} {
		v, _ := url.ParseQuery(q)
		if key = v.Get("key"); key != "" {
			break
		}
	}
	switch {
	case len(parts) == 2:
	case len(parts) == 3 && key == "":
		key = parts[2]
	default:
		return "", "", phrase.E("rtmp.address")
	}
	if parts[0] != application || parts[1] == "" || len(parts[1]) > nameBytes || len(key) > keyBytes {
		return "", "", phrase.E("rtmp.address")
	}
	if key == "" {
		return "", "", phrase.E("rtmp.no_key", "stream", parts[1])
	}
	return parts[1], key, nil
}
