package rtsp

import (
	"slices"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"
	"github.com/pion/sdp/v3"
)

// maxTracks bounds how many tracks an announcement may have.
const maxTracks = 8

// mend makes of what an encoder announces or a camera describes something that is taken. What is wrong about one
// track must not cost the others: a description of sound that cannot be read makes it an
// unknown sound, which is dropped. Of a push directions are left out: the sender's own
// (sendonly) would read as a back channel. An H.264 track without a packetization mode is
// one of single units (mode 0), which is read as mode 1 is.
func mend(body []byte, pushed bool) ([]byte, bool) {
	s, err := sdpunmarshaler.Unmarshal(body)
	if err != nil || len(s.MediaDescriptions) == 0 || len(s.MediaDescriptions) > maxTracks {
		return body, false
	}
	for _, m := range s.MediaDescriptions {
		m.ConnectionInformation, m.Bandwidth, m.EncryptionKey, m.MediaTitle = nil, nil, nil, nil
		m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool {
			switch a.Key {
			case "sendonly", "recvonly", "sendrecv", "inactive":
				return pushed
			case "mid", "key-mgmt":
				return true
			}
			return false
		})
		mode(m)
		if readable(m) {
			continue
		}
		m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool { return a.Key == "fmtp" })
		mode(m)
		if readable(m) {
			continue
		}
		kind := "unknown"
		m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool {
			if a.Key == "rtpmap" && isAAC(a.Value) {
				kind = unreadAAC
			}
			return a.Key == "rtpmap"
		})
		for i, f := range m.MediaName.Formats {
			if len(f) < 2 || f < "96" { // a static number that is not what it says
				m.MediaName.Formats[i] = "127"
			}
			m.Attributes = append(m.Attributes, sdp.Attribute{Key: "rtpmap", Value: m.MediaName.Formats[i] + " " + kind + "/90000"})
		}
		if !readable(m) {
			return body, false
		}
	}
	// Of the session only the URL is needed: its own lines are as often wrong.
	s.Attributes = slices.DeleteFunc(s.Attributes, func(a sdp.Attribute) bool { return a.Key != "control" })
	out, err := (&sdp.SessionDescription{
		Origin:            sdp.Origin{Username: "-", NetworkType: "IN", AddressType: "IP4", UnicastAddress: "0.0.0.0"},
		SessionName:       "-",
		TimeDescriptions:  []sdp.TimeDescription{{}},
		Attributes:        s.Attributes,
		MediaDescriptions: s.MediaDescriptions,
	}).Marshal()
	if err != nil {
		return body, false
	}
	if again, err := sdpunmarshaler.Unmarshal(out); err != nil || len(again.MediaDescriptions) != len(s.MediaDescriptions) || !all(again.MediaDescriptions, readable) {
		return body, false
	}
	return out, true
}

// unreadAAC stands for AAC whose description cannot be read: it is dropped in any case.
const unreadAAC = "unread-aac"

func isAAC(rtpmap string) bool {
	s := strings.ToLower(rtpmap)
	return strings.Contains(s, "mpeg4-generic") || strings.Contains(s, "mp4a") || strings.Contains(s, unreadAAC)
}

func all[T any](s []T, ok func(T) bool) bool {
	return !slices.ContainsFunc(s, func(v T) bool { return !ok(v) })
}

func readable(m *sdp.MediaDescription) bool {
	var d description.Media
	return d.Unmarshal(m) == nil
}

// mode says of each H.264 format that it is of packetization mode 1 where it says
// nothing or 0.
func mode(m *sdp.MediaDescription) {
	for _, f := range m.MediaName.Formats {
		h264, fmtp := false, -1
		for i, a := range m.Attributes {
			pt, v, _ := strings.Cut(strings.TrimSpace(a.Value), " ")
			if pt != f {
				continue
			}
			switch a.Key {
			case "rtpmap":
				h264 = strings.HasPrefix(strings.ToLower(strings.TrimSpace(v)), "h264/")
			case "fmtp":
				fmtp = i
			}
		}
		if !h264 {
			continue
		}
		if fmtp < 0 {
			m.Attributes = append(m.Attributes, sdp.Attribute{Key: "fmtp", Value: f + " packetization-mode=1"})
			continue
		}
		_, v, _ := strings.Cut(strings.TrimSpace(m.Attributes[fmtp].Value), " ")
		parts := slices.DeleteFunc(strings.Split(v, ";"), func(p string) bool {
			return strings.HasPrefix(strings.ToLower(strings.TrimSpace(p)), "packetization-mode=")
		})
		m.Attributes[fmtp].Value = f + " packetization-mode=1;" + strings.Join(parts, ";")
	}
}
