package srt

import (
	"net/url"
	"strings"

	gosrt "github.com/datarhei/gosrt"
)

// What a stream id may hold; SRT bounds it to 512 bytes.
const (
	nameBytes = 64
	keyBytes  = 256
	standard  = "#!::"
)

// streamID reads who wants to publish what: "publish:STREAM:KEY", or the standard's
// "#!::r=STREAM,m=publish,s=KEY". A reason other than 0 says why it is refused.
func streamID(id string) (stream, key string, no gosrt.RejectionReason) {
	if strings.HasPrefix(id, "%23!::") { // as ffmpeg sends what a URL must write so
		if plain, err := url.PathUnescape(id); err == nil {
			id = plain
		}
	}
	mode := "request" // where nothing is said (Access Control Guidelines, "m")
	if rest, ok := strings.CutPrefix(id, standard); ok {
		for part := range strings.SplitSeq(rest, ",") {
			switch k, v, _ := strings.Cut(part, "="); k {
			case "r":
				stream = v
			case "m":
				mode = v
			case "s":
				key = v
			}
		}
	} else {
		parts := strings.SplitN(id, ":", 3)
		mode = parts[0]
		if len(parts) > 1 {
			stream = parts[1]
		}
		if len(parts) > 2 {
			key = parts[2]
		}
	}
	switch {
	case mode == "request" || mode == "play" || mode == "bidirectional":
		return "", "", gosrt.REJX_BAD_MODE
	case mode != "publish" || stream == "" || key == "" || len(stream) > nameBytes || len(key) > keyBytes:
		return "", "", gosrt.REJX_BAD_REQUEST
	}
	return stream, key, 0
}
