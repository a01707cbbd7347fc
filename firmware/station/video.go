package station

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/uplink"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/page"
	"tocsin/firmware/video/ladder"
	"tocsin/firmware/video/terms"
)

const (
	videoLook   = time.Second
	videoAsk    = 5 * time.Second
	videoNice   = 5
	videoFiles  = 1024
	videoAgains = 10 * time.Second // longer waits are told
	// videoNameMost bounds what a viewer says of himself, in characters.
	videoNameMost = 40
	videoClock    = time.Minute
	// videoAnswer bounds what the child says at once: 1024 clips of each stream.
	videoAnswer = 16 << 20
)

// pictures is this box's side of live pictures: it keeps the child that relays them,
// gives it its plan, and passes on what the page and the county ask. The alarm path
// knows nothing of it.
type pictures struct {
	h      *House
	client *http.Client
	proxy  *httputil.ReverseProxy
	state  atomic.Pointer[terms.State]
	clips  atomic.Pointer[[]terms.Clip]

	mu     sync.Mutex
	site   *config.Video
	socket string
	ends   context.CancelFunc // of the child that runs
	films  map[string]playing // what somebody was let play
	// find is SearchCameras; searching and searched keep it seldom.
	find      func(context.Context, CameraSearch) (FoundCameras, error)
	searching bool
	searched  time.Duration
	pinned    map[string]bool // alarms of which clips were asked for
	faults    map[string]bool
	// blank and off are what is done without to save power: recordings, all of it.
	blank, off bool
}

func newPictures(h *House) *pictures {
	p := &pictures{h: h, find: SearchCameras, films: map[string]playing{}, pinned: map[string]bool{}, faults: map[string]bool{}}
	tr := &http.Transport{MaxIdleConnsPerHost: 4, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		p.mu.Lock()
		at := p.socket
		p.mu.Unlock()
		if at == "" {
			return nil, phrase.E("station.video_away")
		}
		var d net.Dialer
		return d.DialContext(ctx, "unix", at)
	}}
	p.client = &http.Client{Transport: tr}
	p.proxy = &httputil.ReverseProxy{
		Transport: tr, ErrorLog: nil,
		Rewrite: func(*httputil.ProxyRequest) {},
		// Kept is who was let in, not who knocked: knocking is free.
		ModifyResponse: func(res *http.Response) error {
			if name, ok := strings.CutPrefix(res.Request.URL.Path, "/view/"); ok && res.StatusCode == http.StatusCreated {
				who := res.Request.URL.Query().Get("who")
				h.record("video.seen", phrase.M("station.video_seen", "who", who, "stream", name), map[string]any{"stream": name, "who": who})
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			h.log.Warn("the video process did not answer", "err", err)
			refusePicture(w, http.StatusServiceUnavailable, phrase.E("station.video_away"))
		},
	}
	return p
}

// run keeps the child until ctx ends; renew ends it where its plan changed.
func (p *pictures) run(ctx context.Context) error {
	tries := p.h.guard.Tries("video", "relay")
	for ctx.Err() == nil {
		once, end := context.WithCancel(ctx)
		p.mu.Lock()
		site := p.spared()
		p.ends = end
		p.mu.Unlock()
		if site == nil {
			p.state.Store(nil)
			<-once.Done()
			continue
		}
		tries.Began()
		err := p.child(once, site)
		changed := once.Err() != nil
		end()
		p.state.Store(nil)
		if ctx.Err() != nil {
			return nil
		}
		if changed {
			tries = p.h.guard.Tries("video", "relay")
			continue
		}
		wait, spent := tries.Died()
		why := phrase.M("station.video_down", "err", err)
		if spent && wait > videoAgains {
			why = phrase.M("station.video_rests", "err", err, "for", point.Span(wait).String())
		}
		p.h.setFault("video", why)
		select {
		case <-ctx.Done():
		case <-once.Done():
		case <-time.After(wait):
		}
	}
	return nil
}

// spare has nothing be recorded, or the child be off, to save power; what has not changed goes on.
func (p *pictures) spare(blank, off bool) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if blank == p.blank && off == p.off {
		return
	}
	restarts := p.site != nil && (off != p.off || !off && p.site.Record != nil)
	p.blank, p.off = blank, off
	if restarts && p.ends != nil {
		p.ends()
	}
}

// spared is the site's plan without what is done without. The lock is held.
func (p *pictures) spared() *config.Video {
	switch {
	case p.site == nil || p.off:
		return nil
	case p.blank && p.site.Record != nil:
		s := *p.site
		s.Record = nil
		return &s
	}
	return p.site
}

// renew takes a site's file over; what has not changed goes on. A house that was built
// without pictures has none.
func (p *pictures) renew(site *config.Video) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if reflect.DeepEqual(site, p.site) {
		return
	}
	p.site = site
	if p.ends != nil {
		p.ends()
	}
}

// plan is what the child is given.
func (p *pictures) plan(site *config.Video) (terms.Plan, error) {
	bp := p.h.seen().bp
	rules, err := fs.ReadFile(bp.FS, ladder.RulesName)
	if err != nil {
		return terms.Plan{}, err
	}
	out := terms.Plan{Listen: orElse(site.Listen, videoListen), RTSP: site.RTSP, RTMP: site.RTMP, SRT: site.SRT, Viewers: site.Viewers, Rules: string(rules), Floor: p.h.clock.Floor(), Trust: p.h.clock.Now().Trust, Loopback: loopbackOnly(site.Listen)}
	if out.Viewers == 0 {
		out.Viewers = videoViewers
	}
	if f, err := exec.LookPath("ffmpeg"); err == nil {
		out.FFmpeg = f
	}
	secret := func(name string) string {
		if name == "" {
			return ""
		}
		b, err := readToken(beside(bp.Doc.File, name))
		if err != nil {
			p.h.setFault("video "+name, phrase.M("station.video_secret", "file", name, "err", err))
			return ""
		}
		p.h.clearFault("video " + name)
		return string(b)
	}
	for _, name := range slices.Sorted(maps.Keys(site.Streams)) {
		c := site.Streams[name]
		s := terms.Source{Name: name, Key: secret(c.Key), View: secret(c.View), UDP: c.UDP, ONVIF: c.ONVIF, User: c.User, Password: secret(c.Password), TS: c.Port, Record: site.Record != nil && !c.Unrecorded, Here: c.Here}
		s.From, _ = netip.ParsePrefix(c.From)
		for _, a := range []string{c.Pull, c.Low} {
			if u, err := url.Parse(a); a != "" && err == nil {
				if c.User != "" {
					u.User = url.UserPassword(c.User, s.Password)
				}
				s.Pull = append(s.Pull, u.String())
			}
		}
		s.Device = deviceOf(c)
		out.Streams = append(out.Streams, s)
	}
	p.nationally(&out, site, secret)
	if r := site.Record; r != nil {
		out.Record = &terms.Record{Dir: filepath.Join(p.h.o.Data, "video"), Quota: r.Quota.Bytes(), ClipQuota: r.Clips.Bytes(), Age: r.Keep.Duration(), ClipAge: r.KeepClips.Duration()}
		if out.Record.Quota == 0 {
			out.Record.Quota = videoQuota
		}
		if out.Record.ClipQuota == 0 {
			out.Record.ClipQuota = videoClips
		}
	}
	return out, nil
}

func loopbackOnly(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && net.ParseIP(host).IsLoopback()
}

// child runs one life of the video process.
func (p *pictures) child(ctx context.Context, site *config.Video) error {
	plan, err := p.plan(site)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "edged-video-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	at := filepath.Join(dir, "socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: at, Net: "unix"})
	if err != nil {
		return err
	}
	defer l.Close()
	sock, err := l.File()
	if err != nil {
		return err
	}
	defer sock.Close()
	b, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	program, err := Beside(terms.Program)
	if err != nil {
		return err
	}
	cmd := exec.Command(program)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TZ=" + os.Getenv("TZ")}
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{sock, read}
	tail := &tailOf{}
	cmd.Stderr = tail
	p.h.guard.GoIn(ctx, "video", "plan", guard.Once, func(context.Context) error {
		_, err := write.Write(b) // a pipe holds 64 KiB, a plan may be longer
		return errors.Join(err, write.Close())
	})
	p.mu.Lock()
	p.socket = at
	p.mu.Unlock()
	watch, end := context.WithCancel(ctx)
	defer end()
	p.h.guard.GoIn(watch, "video", "watch", guard.Restart, p.watch)
	memory := site.Memory.Bytes()
	if memory == 0 {
		memory = videoMemory
	}
	err = p.h.guard.Child(ctx, "video", "relay", cmd, guard.Caps{Memory: memory, Files: videoFiles, Nice: videoNice})
	p.mu.Lock()
	p.socket = ""
	p.mu.Unlock()
	if last := tail.last(); err != nil && last != "" {
		err = fmt.Errorf("%w: %s", err, last)
	}
	if err == nil {
		err = errors.New("it ended by itself")
	}
	return err
}

// tailOf keeps the last words of the child.
type tailOf struct {
	mu sync.Mutex
	b  []byte
}

func (t *tailOf) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if n := len(t.b) - 2000; n > 0 {
		t.b = t.b[n:]
	}
	return len(b), nil
}

func (t *tailOf) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.b)), "\n")
	return lines[len(lines)-1]
}

// watch asks the child how it is, tells it what the links bear and what is to be
// pinned, until ctx ends.
func (p *pictures) watch(ctx context.Context) error {
	t := time.NewTicker(videoLook)
	defer t.Stop()
	up := false
	var told clock.Stamp
	var clips uint64
	var share *uplinkShare
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		// Recordings are named by the hour that the box believes.
		if now := p.h.clock.Now(); now.Trust > clock.Free && (now.Trust != told.Trust || now.Mono-told.Mono >= videoClock) {
			if p.ask(ctx, http.MethodPut, "/clock", now, nil) == nil {
				told = now
			}
		}
		var s terms.State
		if err := p.ask(ctx, http.MethodGet, "/state", nil, &s); err != nil {
			continue
		}
		if !up {
			up = true
			p.h.clearFault("video")
		}
		p.state.Store(&s)
		p.told(s)
		if share == nil {
			share = p.share()
		}
		p.budget(ctx, share, s)
		p.pin(ctx)
		p.shown(ctx)
		clips = p.keepClips(ctx, s, clips)
	}
}

// told makes the child's faults the box's.
func (p *pictures) told(s terms.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for thing := range p.faults {
		if _, still := s.Faults[thing]; !still {
			delete(p.faults, thing)
			p.h.clearFault("video " + thing)
		}
	}
	for thing, why := range s.Faults {
		p.faults[thing] = true
		p.h.setFault("video "+thing, why)
	}
}

// pin asks for clips of what was seen around an alarm that stands and is new.
func (p *pictures) pin(ctx context.Context) {
	p.mu.Lock()
	site := p.site
	p.mu.Unlock()
	if site == nil || site.Record == nil {
		return
	}
	before, after := site.Record.Before.Duration(), site.Record.After.Duration()
	if before == 0 {
		before = videoBefore
	}
	if after == 0 {
		after = videoAfter
	}
	standing := map[string]bool{}
	for _, a := range p.h.Alarms() {
		if a.State == "released" {
			continue
		}
		standing[a.ID] = true
		p.mu.Lock()
		known := p.pinned[a.ID]
		p.mu.Unlock()
		if known {
			continue
		}
		if err := p.ask(ctx, http.MethodPost, "/pin", terms.Pin{Cause: a.ID, Title: titleOf(a), Before: before, After: after}, nil); err == nil {
			p.mu.Lock()
			p.pinned[a.ID] = true
			p.mu.Unlock()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.pinned, func(id string, _ bool) bool { return !standing[id] })
}

// titleOf is an alarm in people's words.
func titleOf(a api.Alarm) phrase.Text {
	both := func(hazard, between, level string) string {
		if hazard == "" || level == "" {
			return hazard + level
		}
		return hazard + between + level
	}
	return phrase.Text{ZH: both(a.HazardText.ZH, " ", a.LevelText.ZH), EN: both(a.HazardText.EN, ": ", a.LevelText.EN)}
}

// ask is one question to the child.
func (p *pictures) ask(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, videoAsk)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://video"+path, body)
	if err != nil {
		return err
	}
	res, err := p.client.Do(r)
	if err != nil {
		return phrase.Wrap(err, "station.video_away")
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, videoAnswer))
	if err != nil {
		return phrase.Wrap(err, "station.video_away")
	}
	if res.StatusCode >= 400 {
		var no struct{ Message phrase.Message }
		if json.Unmarshal(b, &no) == nil && !no.Message.IsZero() {
			return &phrase.Error{Message: no.Message}
		}
		return phrase.E("station.video_away")
	}
	if out == nil || len(b) == 0 {
		return nil
	}
	return json.Unmarshal(b, out)
}

// Push, Stop and Catalogue are what the county asks for over its link.
func (p *pictures) Push(ctx context.Context, q letter.Push) error {
	c, ok := p.camera(q.Stream)
	if !ok {
		return phrase.E("video.unknown", "stream", q.Stream)
	}
	if c.Here {
		return phrase.E("station.video_here", "stream", q.Stream)
	}
	in := terms.Push{URL: q.URL, Token: q.Token}
	for _, s := range q.ICE {
		in.ICE = append(in.ICE, terms.ICE{URLs: s.URLs, User: s.User, Password: s.Password})
	}
	in.CA = p.authority(q.Link)
	if err := p.ask(ctx, http.MethodPost, "/push/"+url.PathEscape(q.Stream), in, nil); err != nil {
		return err
	}
	p.h.record("video.sent", phrase.M("station.video_sent", "stream", q.Stream, "link", q.Link), map[string]any{"stream": q.Stream, "link": q.Link})
	return nil
}

func (p *pictures) Stop(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), videoAsk)
	defer cancel()
	if _, ok := p.camera(name); !ok {
		return nil
	}
	if err := p.ask(ctx, http.MethodDelete, "/push/"+url.PathEscape(name), nil, nil); err != nil {
		return err
	}
	p.h.record("video.ended", phrase.M("station.video_ended", "stream", name), map[string]any{"stream": name})
	return nil
}

func (p *pictures) camera(name string) (config.Camera, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.site == nil {
		return config.Camera{}, false
	}
	c, ok := p.site.Streams[name]
	return c, ok
}

// cameras are what the page shows a card for.
func (p *pictures) cameras() []page.Camera {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.site == nil {
		return nil
	}
	var out []page.Camera
	for _, name := range slices.Sorted(maps.Keys(p.site.Streams)) {
		out = append(out, page.Camera{Name: name, Title: p.site.Streams[name].Name})
	}
	return out
}

func (p *pictures) Catalogue() letter.Catalogue {
	c := letter.Catalogue{Streams: []letter.StreamOf{}, Talk: p.h.mayTalk()}
	s := p.state.Load()
	if s == nil {
		return c
	}
	c.Clips = s.Waiting
	for _, v := range s.Streams {
		cam, ok := p.camera(v.Name)
		if !ok || cam.Here {
			continue
		}
		o := letter.StreamOf{Name: v.Name, Title: cam.Name, State: letter.StreamLost, Codec: v.Codec, Width: v.Width, Height: v.Height, Kbps: (v.Bitrate/1000 + 50) / 100 * 100, Sound: v.Sound != ""}
		if v.From != "" {
			o.State = letter.StreamLive
		}
		if v.Push != nil {
			o.Rung, o.Reason = v.Push.Rung, v.Push.Reason
		}
		if v.Told != nil {
			o.Note = *v.Told
		}
		c.Streams = append(c.Streams, o)
	}
	return c
}

var _ uplink.Pictures = (*pictures)(nil)

// ServeHTTP is what lies below /api/v1/video: who may call was seen to be a viewer.
func (p *pictures) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, videoAPI)
	part := strings.Split(strings.Trim(path, "/"), "/")
	pass := func(to string) {
		r.URL.Scheme, r.URL.Host, r.URL.Path, r.URL.RawPath = "http", "video", to, ""
		r.Header.Del("Cookie")
		p.proxy.ServeHTTP(w, r)
	}
	grant := api.GrantOf(r.Context())
	// A name is what the viewer says; the address is what the box saw.
	who := grant.Addr
	if n := []rune(r.URL.Query().Get("who")); len(n) > 0 {
		who = string(n[:min(len(n), videoNameMost)]) + " " + who
	}
	switch {
	case path == "" || path == "/":
		p.list(w, grant.Role)
	case len(part) == 2 && part[0] == "sessions":
		pass("/session/" + part[1])
	case len(part) == 2 && part[1] == "whep" && r.Method == http.MethodPost:
		r.URL.RawQuery = url.Values{"who": {who}}.Encode()
		pass("/view/" + part[0])
	case len(part) == 2 && part[1] == "whip" && r.Method == http.MethodPost:
		key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		r.Header.Del("Authorization")
		r.Header.Set("Tocsin-Key", strings.TrimSpace(key))
		r.Header.Set("Tocsin-Remote", remoteOf(grant.Addr))
		pass("/publish/" + part[0])
	case len(part) == 1 && part[0] == "cameras" && r.Method == http.MethodPost:
		p.search(w, r, who)
	case len(part) == 2 && part[1] == "play" && r.Method == http.MethodPost:
		p.play(w, r, part[0], who, grant)
	case len(part) == 2 && part[0] == "films" && r.Method == http.MethodGet:
		f, ok := p.film(part[1], grant.Addr)
		if !ok {
			refusePicture(w, http.StatusNotFound, phrase.E("station.video_over"))
			return
		}
		r.URL.RawQuery = f.query
		// A thin line takes longer than other answers may.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(filmWrite))
		pass(f.path)
	case len(part) == 2 && part[1] == "still" && r.Method == http.MethodGet:
		pass("/still/" + part[0])
	case len(part) == 2 && slices.Contains([]string{"spans", "clips", "film"}, part[1]) && r.Method == http.MethodGet:
		if !grant.Role.Allows(access.Operator) {
			refusePicture(w, http.StatusForbidden, phrase.E("serve.forbidden"))
			return
		}
		pass("/" + part[1] + "/" + part[0])
	case len(part) == 3 && part[1] == "clips" && r.Method == http.MethodGet:
		if !grant.Role.Allows(access.Operator) {
			refusePicture(w, http.StatusForbidden, phrase.E("serve.forbidden"))
			return
		}
		pass("/clip/" + part[0] + "/" + part[2])
	default:
		refusePicture(w, http.StatusNotFound, phrase.E("serve.no_path"))
	}
}

// remoteOf is a caller's address as the desk of keys knows it.
func remoteOf(addr string) string {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return ""
	}
	return netip.AddrPortFrom(a, 0).String()
}

const videoAPI = "/api/v1/video"

// picture is one stream as the page is told of it.
type picture struct {
	terms.StreamState
	Title  phrase.Text   `json:"title"`
	Texts  []phrase.Text `json:"notes_text"`
	Reason *phrase.Text  `json:"reason_text,omitempty"`
	WhyNot *phrase.Text  `json:"why_text,omitempty"`
	Clips  []shownClip   `json:"clips"`
}

func (p *pictures) list(w http.ResponseWriter, role access.Role) {
	out := struct {
		Running   bool           `json:"running"`
		Play      bool           `json:"play"` // whoever asks may see what was recorded
		Streams   []picture      `json:"streams"`
		Viewers   []terms.Viewer `json:"viewers"`
		Platforms []platform     `json:"platforms"`
	}{Streams: []picture{}, Viewers: []terms.Viewer{}, Platforms: []platform{}, Play: p.mayPlay(role)}
	if s := p.state.Load(); s != nil {
		out.Running, out.Viewers, out.Platforms = true, s.Viewers, p.platforms(s.Platforms)
		for _, v := range s.Streams {
			c, _ := p.camera(v.Name)
			o := picture{StreamState: v, Title: c.Name, Texts: []phrase.Text{}}
			if o.Title.ZH == "" {
				o.Title = phrase.Text{ZH: v.Name, EN: v.Name}
			}
			for _, m := range v.Said {
				o.Texts = append(o.Texts, saidBoth(m))
			}
			if v.Push != nil {
				t := saidBoth(v.Push.Reason)
				o.Reason = &t
			}
			if v.Why != nil {
				t := saidBoth(*v.Why)
				o.WhyNot = &t
			}
			o.Clips = p.clipList(v.Name, s)
			o.Said, o.Told = nil, nil // they are its texts
			out.Streams = append(out.Streams, o)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(out)
}

func saidBoth(m phrase.Message) phrase.Text {
	return phrase.Text{ZH: m.In(phrase.ZH), EN: m.In(phrase.EN)}
}

func refusePicture(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, phrase.In(err, phrase.ZH)+"\n"+phrase.In(err, phrase.EN)+"\n")
}
