package rtsp

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"
)

func clockAt0() time.Duration { return 0 }

func TestNameAndKeyAreReadFromTheAddress(t *testing.T) {
	for _, c := range []struct{ path, query, name, key string }{
		{"/mast", "", "mast", ""},
		{"/mast/", "key=abc", "mast", "abc"},
		{"/live/mast", "a=1&key=a%2Fb", "mast", "a/b"},
		{"/mast", "key=abc/trackID=0", "mast", "abc"},
		{"/", "key=abc", "", ""},
		{"/a/b", "", "", ""},
		{"/../etc", "", "", ""},
		{"/.x", "", "", ""},
		{"/" + strings.Repeat("a", 65), "", "", ""},
		{"/mast", "key=%zz", "", ""},
		{"/mast", "key=" + strings.Repeat("a", 129), "", ""},
	} {
		name, key, err := asked(c.path, c.query)
		if name != c.name || key != c.key || (err == nil) != (c.name != "") {
			t.Errorf("%s?%s: %q %q %v", c.path, c.query, name, key, err)
		}
	}
}

func TestNoPasswordIsShown(t *testing.T) {
	for in, want := range map[string]string{
		"rtsp://admin:secret@10.0.0.2:554/main":             "rtsp://10.0.0.2:554/main",
		"rtsp://10.0.0.2/user=admin&x?password=secret&a=1":  "rtsp://10.0.0.2/user=admin&x",
		"rtsp://10.0.0.2/Streaming/Channels/101?transport=": "rtsp://10.0.0.2/Streaming/Channels/101?transport=",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := without(u); got != want {
			t.Errorf("%s is shown as %s", in, got)
		}
	}
}

func FuzzAsked(f *testing.F) {
	f.Add("/live/mast/", "key=a%20b/trackID=1&key=")
	f.Fuzz(func(t *testing.T, path, query string) {
		name, key, err := asked(path, query)
		if err != nil && name+key != "" || err == nil && !validName(name) || len(key) > maxKey {
			t.Errorf("%q %q %v", name, key, err)
		}
	})
}

const announced = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=No Name\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
	"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=sendonly\r\na=control:streamid=0\r\n"

func TestWhatIsWrongAboutOneTrackDoesNotCostTheOthers(t *testing.T) {
	for name, sound := range map[string]string{
		"none":                          "",
		"AAC without its configuration": "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\na=control:streamid=1\r\n",
		"AAC with a broken one":         "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\na=fmtp:97 config=zz;sizelength=99\r\na=control:streamid=1\r\n",
		"a number of no format":         "m=audio 0 RTP/AVP 97\r\na=control:streamid=1\r\n",
		"a static number misused":       "m=audio 0 RTP/AVP 22\r\na=control:streamid=1\r\n",
		"directions of both kinds":      "m=audio 0 RTP/AVP 8\r\na=recvonly\r\na=control:streamid=1\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			b, ok := mend([]byte(announced+sound), true)
			if !ok {
				t.Fatal("not mended")
			}
			s, err := sdpunmarshaler.Unmarshal(b)
			if err != nil {
				t.Fatal(err)
			}
			var d description.Session
			if err := d.Unmarshal2(s); err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			picture, _, _ := choose(&d)
			if picture == nil || picture.media.Control != "streamid=0" || picture.media.IsBackChannel {
				t.Errorf("%+v", picture)
			}
			if sound != "" && (len(d.Medias) != 2 || d.Medias[1].Control != "streamid=1") {
				t.Errorf("the track of sound cannot be set up: %s", b)
			}
		})
	}
}

func FuzzMend(f *testing.F) {
	f.Add([]byte(announced), true)
	f.Add([]byte(announced+"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, pushed bool) {
		out, ok := mend(b, pushed)
		if !ok {
			return
		}
		s, err := sdpunmarshaler.Unmarshal(out)
		if err != nil {
			t.Fatalf("what was mended cannot be read: %v\n%s", err, out)
		}
		for _, m := range s.MediaDescriptions {
			if !readable(m) {
				t.Fatalf("a track cannot be read:\n%s", out)
			}
		}
	})
}
