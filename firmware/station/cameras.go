package station

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/video/terms"
)

// CameraSearch asks for cameras, FoundCameras are those that answered.
type (
	CameraSearch = terms.Search
	FoundCameras = terms.Found
)

// Bounds of a search for cameras: the program that searches is ended then, and may say no more.
const (
	searchIn     = 45 * time.Second
	searchAnswer = 256 << 10
	searchMemory = 128 << 20
	searchAgain  = 10 * time.Second // before whoever sees the page may have it searched again
)

// SearchCameras asks what cameras there are, by the video process's own program: what they say is read there and
// not here. It needs no box that runs.
func SearchCameras(ctx context.Context, q CameraSearch) (f FoundCameras, err error) {
	program, err := Beside(terms.Program)
	if err != nil {
		return f, err
	}
	in, err := json.Marshal(q)
	if err != nil {
		return f, err
	}
	cmd := exec.Command(program, terms.SearchWord)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TZ=" + os.Getenv("TZ")}
	cmd.Dir, cmd.Stdin = "/", bytes.NewReader(in)
	out, tail := &atMost{n: searchAnswer}, &tailOf{}
	cmd.Stdout, cmd.Stderr = out, tail
	g := guard.New(ctx, slog.New(slog.DiscardHandler), nil)
	if err := g.Child(ctx, "video", "search", cmd, guard.Caps{Memory: searchMemory, Nice: videoNice, Within: searchIn}); err != nil {
		if why := tail.last(); why != "" {
			err = errors.New(why)
		}
		return f, phrase.E("station.search_failed", "why", err)
	}
	return f, json.Unmarshal(out.Bytes(), &f)
}

// atMost keeps the first n bytes that are written.
type atMost struct {
	bytes.Buffer
	n int
}

func (a *atMost) Write(b []byte) (int, error) {
	if a.Len()+len(b) > a.n {
		return 0, errors.New("too much is said")
	}
	return a.Buffer.Write(b)
}

// CameraText is what to write into the site's file for a camera that was found, the n-th.
func CameraText(c terms.Camera, user, password string, n int) string {
	var b strings.Builder
	if user == "" {
		user = "view"
	}
	if password == "" {
		password = "secrets/camera.pw"
	}
	main, low := "rtsp://…", ""
	for _, s := range c.Streams {
		switch {
		case s.Codec != "" && s.Codec != "H264" && s.Codec != "H265":
		case main == "rtsp://…":
			main = s.URL
		default:
			low = s.URL
		}
	}
	q := func(s string) string { // YAML's double quotes are JSON's
		j, _ := json.Marshal(s)
		return string(j)
	}
	fmt.Fprintf(&b, "video:\n  streams:\n    camera-%d:\n      onvif: %s\n      pull: %s\n", n, q(c.Address), q(main))
	if low != "" {
		fmt.Fprintf(&b, "      low: %s\n", q(low))
	}
	fmt.Fprintf(&b, "      user: %s\n      password: %s\n", q(user), q(password))
	return b.String()
}

// foundCamera is a camera as the page is told of it.
type foundCamera struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Network string `json:"network"`
	Text    string `json:"text"` // for the site's file
}

// search has the cameras of the site's network asked for, for whoever sees the page: seldom, and one at a time.
func (p *pictures) search(w http.ResponseWriter, r *http.Request, who string) {
	now := p.h.clock.Now().Mono
	p.mu.Lock()
	early := p.searching || p.searched != 0 && now-p.searched < searchAgain
	if !early {
		p.searching = true
	}
	p.mu.Unlock()
	if early {
		w.Header().Set("Retry-After", "10")
		refusePicture(w, http.StatusTooManyRequests, phrase.E("station.search_early"))
		return
	}
	defer func() {
		p.mu.Lock()
		p.searching, p.searched = false, p.h.clock.Now().Mono
		p.mu.Unlock()
	}()
	p.h.record("video.searched", phrase.M("station.searched", "who", who), map[string]any{"who": who})
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(searchIn + videoAsk))
	f, err := p.find(r.Context(), CameraSearch{})
	if err != nil {
		refusePicture(w, http.StatusServiceUnavailable, err)
		return
	}
	out := struct {
		Cameras  []foundCamera `json:"cameras"`
		Networks []string      `json:"networks"`
		Why      []phrase.Text `json:"why_text,omitempty"`
	}{Cameras: []foundCamera{}, Networks: f.Networks}
	for i, c := range f.Cameras {
		out.Cameras = append(out.Cameras, foundCamera{Name: strings.TrimSpace(c.Name + " " + c.Hardware), Address: c.Address, Network: c.Network, Text: CameraText(c, "", "", i+1)})
	}
	for _, m := range f.Why {
		out.Why = append(out.Why, saidBoth(m))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}
