package station

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/video/terms"
)

func TestWhatIsFoundIsSaidAsTheSitesFileHasIt(t *testing.T) {
	for name, c := range map[string]struct {
		camera    terms.Camera
		pull, low string
	}{
		"address alone": {terms.Camera{Address: "http://192.168.1.64/onvif/device_service"}, "rtsp://…", ""},
		"two streams": {terms.Camera{Address: "http://192.168.1.64/a", Streams: []terms.CameraStream{{URL: "rtsp://192.168.1.64/x", Codec: "JPEG"}, {URL: "rtsp://192.168.1.64/main", Codec: "H265"}, {URL: "rtsp://192.168.1.64/sub", Codec: "H264"}}},
			"rtsp://192.168.1.64/main", "rtsp://192.168.1.64/sub"},
		"a camera that writes YAML": {terms.Camera{Address: "http://192.168.1.64/\"\n  record: {}", Streams: []terms.CameraStream{{URL: "rtsp://h/\"}\nx: &a"}}}, "rtsp://h/\"}\nx: &a", ""},
	} {
		var doc struct{ Video config.Video }
		text := CameraText(c.camera, "", "", 1)
		if err := yaml.UnmarshalWithOptions([]byte(text), &doc, yaml.Strict()); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		got := doc.Video.Streams["camera-1"]
		if got.ONVIF != c.camera.Address || got.Pull != c.pull || got.Low != c.low || got.User != "view" || got.Password == "" || doc.Video.Record != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestThePageSearchesForCamerasSeldom(t *testing.T) {
	p, end := bare(t, t.TempDir(), nil, &recordedChild{})
	defer end()
	asked := 0
	var refuse error
	p.find = func(context.Context, CameraSearch) (FoundCameras, error) {
		asked++
		return FoundCameras{Networks: []string{"eth0"}, Cameras: []terms.Camera{{Address: "http://192.168.1.64/a", Name: "<b>", Hardware: "C1"}}}, refuse
	}
	search := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, videoAPI+"/cameras", nil)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r.WithContext(api.WithGrant(r.Context(), access.Grant{Role: access.Viewer, Addr: "192.0.2.7"})))
		return w
	}
	if w := search(); w.Code != 200 || !strings.Contains(w.Body.String(), "192.168.1.64/a") || !strings.Contains(w.Body.String(), "camera-1") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := search(); w.Code != http.StatusTooManyRequests || asked != 1 {
		t.Errorf("%d, searched %d times", w.Code, asked)
	}
	if got := kinds(t, p); len(got) != 1 || got[0] != "searched " {
		t.Errorf("%v", got)
	}
	p.mu.Lock()
	p.searched = 0 // long ago
	p.mu.Unlock()
	refuse = phrase.E("station.search_failed", "why", "x")
	if w := search(); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "搜索摄像机没有成功") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
