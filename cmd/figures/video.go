package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"tocsin/hwtest/relay"
)

// audience is how many watch at once where a figure speaks of many.
const audience = 50

// scene is one size of picture: how it is made and how it is told.
type scene struct {
	name, size string
	kbit       int
}

var (
	scene720  = scene{"720p", "1280x720", 2000}
	scene1080 = scene{"1080p", "1920x1080", 4000}
)

const (
	sceneFPS  = 30
	sceneLoop = 20 // seconds
)

// file gives the scene as Annex B, made by ffmpeg the first time: noise over a moving
// test card, a key picture each two seconds, no reordering, parameter sets with each.
func (s scene) file(b *bench) (string, error) {
	dir := filepath.Join(filepath.Dir(filepath.Dir(b.edged)), "scenes")
	file := filepath.Join(dir, s.name+".h264")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	rate := strconv.Itoa(s.kbit) + "k"
	half := file + ".half"
	c := exec.CommandContext(b.ctx, "ffmpeg", "-y", "-loglevel", "error",
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%s:rate=%d,noise=alls=12:allf=t", s.size, sceneFPS), "-t", strconv.Itoa(sceneLoop),
		"-c:v", "libx264", "-profile:v", "main", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
		"-bf", "0", "-g", strconv.Itoa(2*sceneFPS), "-keyint_min", strconv.Itoa(2*sceneFPS), "-sc_threshold", "0",
		"-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-bsf:v", "dump_extra=freq=keyframe", "-f", "h264", half)
	b.log("ffmpeg makes %s", file)
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("no scene to publish, ffmpeg: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return file, os.Rename(half, file)
}

const publishEnv = "TOCSIN_FIGURES_PUBLISH"

// publisher is a camera as a process of its own, so that the viewers' work does not
// delay it.
type publisher struct {
	File  string `json:"file"`
	URL   string `json:"url"`
	Table string `json:"table"`

	film  *relay.Film
	times *relay.Table
	cmd   *exec.Cmd
	done  chan struct{}
}

func (b *bench) publish(s scene, url string) (*publisher, error) {
	file, err := s.file(b)
	if err != nil {
		return nil, err
	}
	p := &publisher{File: file, URL: url, Table: filepath.Join(b.dir, fmt.Sprintf("table-%d", time.Now().UnixNano())), done: make(chan struct{})}
	if p.film, err = relay.Open(file); err != nil {
		return nil, err
	}
	if p.times, err = relay.NewTable(p.Table, len(p.film.Pictures)); err != nil {
		return nil, err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command("/proc/self/exe")
	p.cmd.Env = append(os.Environ(), publishEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *publisher) end() {
	p.cmd.Process.Kill()
	<-p.done
}

// publishIfAsked is that process. A server that is not there yet, or went away, is tried
// again, as a camera does.
func publishIfAsked() {
	text := os.Getenv(publishEnv)
	if text == "" {
		return
	}
	var p publisher
	err := json.Unmarshal([]byte(text), &p)
	var film *relay.Film
	if err == nil {
		film, err = relay.Open(p.File)
	}
	var table *relay.Table
	if err == nil {
		table, err = relay.NewTable(p.Table, len(film.Pictures))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "publisher:", err)
		os.Exit(1)
	}
	for {
		film.Publish(context.Background(), p.URL, sceneFPS, table)
		time.Sleep(300 * time.Millisecond)
	}
}

// relayed is a server of live pictures with one publisher.
type relayed struct {
	b       *bench
	pid     func() (int, error)
	viewing relay.Viewing
	pub     *publisher
	end     func()
}

// videoKey is what the bench publishes with.
const videoKey = "K7q2mVb9xT4w"

// videoSection is the site's section for one published stream, its ports on loopback.
func (b *bench) videoSection() (section, publish string, err error) {
	rtsp, err := freeTCP()
	if err != nil {
		return "", "", err
	}
	web, err := freeTCP()
	if err != nil {
		return "", "", err
	}
	key := filepath.Join(b.dir, "drone.key")
	if err := os.WriteFile(key, []byte(videoKey+"\n"), 0o600); err != nil {
		return "", "", err
	}
	return fmt.Sprintf("video:\n  listen: %q\n  rtsp: %q\n  viewers: 64\n  streams:\n    drone: {name: {zh: 无人机, en: drone}, key: %s}\n", web, rtsp, key),
		"rtsp://" + rtsp + "/drone?key=" + videoKey, nil
}

// viewing is how a box's stream is watched.
func (x *box) viewing(p *publisher) relay.Viewing {
	return relay.Viewing{URL: "http://edged/api/v1/video/drone/whep", HTTP: x.http, Film: p.film, Table: p.times}
}

// ours is a box that relays.
func (b *bench) ours(s scene) (*relayed, error) {
	section, url, err := b.videoSection()
	if err != nil {
		return nil, err
	}
	site, err := b.site(siteHead + section)
	if err != nil {
		return nil, err
	}
	x, err := b.start(site, filepath.Join(b.dir, fmt.Sprintf("data-video-%d", b.boxes)))
	if err != nil {
		return nil, err
	}
	pub, err := b.publish(s, url)
	if err != nil {
		x.end()
		return nil, err
	}
	r := &relayed{b: b, pub: pub, viewing: x.viewing(pub), pid: x.videoChild, end: func() { pub.end(); x.end() }}
	if err := r.flows(); err != nil {
		err = fmt.Errorf("%w; the box: %s", err, x.tail(8))
		r.end()
		return nil, err
	}
	return r, nil
}

// videoChild is the box's process of live pictures.
func (x *box) videoChild() (int, error) {
	all, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", x.cmd.Process.Pid))
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", x.cmd.Process.Pid))
	for _, t := range tasks {
		more, _ := os.ReadFile(t)
		all = append(append(all, ' '), more...)
	}
	for _, w := range strings.Fields(string(all)) {
		line, _ := os.ReadFile("/proc/" + w + "/cmdline")
		if program, _, _ := strings.Cut(string(line), "\x00"); filepath.Base(program) == "edged-video" {
			return strconv.Atoi(w)
		}
	}
	return 0, fmt.Errorf("the box has no process of live pictures (%v)", err)
}

// flows waits until a viewer sees a picture.
func (r *relayed) flows() error {
	var last error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(r.b.ctx, 5*time.Second)
		v := relay.View(r.viewing)
		_, _, last = v.First(ctx)
		cancel()
		v.Close()
		if last == nil {
			return nil
		}
		if err := r.b.pause(200 * time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("no picture came through: %w", last)
}

// watch has n viewers join at instants spread over a group of pictures, and waits until
// all see one.
func (r *relayed) watch(n int) (all []*relay.Viewer, err error) {
	for range n {
		all = append(all, relay.View(r.viewing))
		if err := r.b.pause(2 * time.Second / time.Duration(n)); err != nil {
			return all, err
		}
	}
	ctx, cancel := context.WithTimeout(r.b.ctx, 15*time.Second)
	defer cancel()
	for i, v := range all {
		if _, _, err := v.First(ctx); err != nil {
			return all, fmt.Errorf("viewer %d of %d: %w", i+1, n, err)
		}
	}
	return all, nil
}

func closeAll(all []*relay.Viewer) {
	var wg sync.WaitGroup
	for _, v := range all {
		wg.Go(v.Close)
	}
	wg.Wait()
}

// crowd is what so many viewers cost and see.
type crowd struct {
	cpu    float64 // ms of processor a viewer and second
	rss    float64 // MiB a viewer
	delays []float64
	lost   int64
	gaps   int64
	seen   int64
}

func (r *relayed) crowd(n int, window time.Duration) (c crowd, err error) {
	pid, err := r.pid()
	if err != nil {
		return c, err
	}
	rate := func(d time.Duration) (float64, error) {
		before, err := relay.CPU(pid)
		if err != nil {
			return 0, err
		}
		at := time.Now()
		if err := r.b.pause(d); err != nil {
			return 0, err
		}
		after, err := relay.CPU(pid)
		return ms(after-before) / time.Since(at).Seconds(), err
	}
	alone, err := rate(window / 2)
	if err != nil {
		return c, err
	}
	before, err := relay.RSS(pid)
	if err != nil {
		return c, err
	}
	all, err := r.watch(n)
	defer func() { closeAll(all) }()
	if err != nil {
		return c, err
	}
	if err := r.b.pause(2 * time.Second); err != nil {
		return c, err
	}
	for _, v := range all {
		v.Begin()
	}
	with, err := rate(window)
	if err != nil {
		return c, err
	}
	after, err := relay.RSS(pid)
	if err != nil {
		return c, err
	}
	for _, v := range all {
		k := v.Count()
		c.lost, c.gaps, c.seen = c.lost+k.Lost, c.gaps+k.Gaps, c.seen+k.Pictures
		for _, d := range k.Delays {
			c.delays = append(c.delays, ms(d))
		}
	}
	c.cpu, c.rss = (with-alone)/float64(n), float64(after-before)/float64(n)/(1<<20)
	r.b.log("%d viewers: alone %.1f ms/s, with them %.1f ms/s, %.2f MiB each, %d pictures, %d gaps, %d lost, delays %s; load %s",
		n, alone, with, c.rss, c.seen, c.gaps, c.lost, spread(c.delays), load())
	if want := int64(float64(n) * window.Seconds() * sceneFPS); c.seen < want*9/10 {
		return c, fmt.Errorf("the viewers saw %d pictures of %d", c.seen, want)
	}
	return c, nil
}

// joins has one viewer after another come at instants that fall anywhere in a group.
func (r *relayed) joins(n int) (first, live []float64, err error) {
	rng := r.b.rng()
	for range n {
		if err := r.b.pause(time.Duration(rng.IntN(2000)) * time.Millisecond); err != nil {
			return nil, nil, err
		}
		ctx, cancel := context.WithTimeout(r.b.ctx, 12*time.Second)
		v := relay.View(r.viewing)
		f, _, err := v.First(ctx)
		var l time.Duration
		if err == nil {
			l, err = v.Live(ctx)
		}
		cancel()
		v.Close()
		if err != nil {
			return nil, nil, err
		}
		first, live = append(first, ms(f)), append(live, ms(l))
	}
	r.b.log("first picture %s; live %s", spread(first), spread(live))
	return first, live, nil
}

const noisyNote = "load of the machine %s; half of all delays within %.1f ms"

// viewers720 measures joins and a full house at 720p, and the same house at the peer.
func viewers720(b *bench) error {
	r, err := b.ours(scene720)
	if err != nil {
		return err
	}
	defer func() { r.end() }()
	first, live, err := r.joins(b.n(15, 100))
	if err != nil {
		return err
	}
	b.tell("video.ttff_ms_median", rank(first, 0.5), len(first))
	b.tell("video.live_edge_ms_median", rank(live, 0.5), len(live))
	window := choose(b.long, time.Minute, 8*time.Second)
	c, err := r.crowd(audience, window)
	if err != nil {
		return err
	}
	why := fmt.Sprintf(noisyNote, load(), rank(c.delays, 0.5))
	b.tellWhy("video.cpu_ms_per_viewer_s_720p", c.cpu, audience, why)
	b.tellWhy("video.rss_mib_per_viewer", c.rss, audience, why)
	b.tellWhy("video.latency_ms_p99", p99(c.delays), len(c.delays), why)
	r.end()
	r.end = func() {}
	p, err := b.go2rtc(scene720)
	if err != nil {
		return err
	}
	defer p.end()
	other, err := p.crowd(audience, window)
	if err != nil {
		return fmt.Errorf("go2rtc: %w", err)
	}
	b.beside("video.cpu_ms_per_viewer_s_720p", "go2rtc", other.cpu, audience)
	b.beside("video.rss_mib_per_viewer", "go2rtc", other.rss, audience)
	b.beside("video.latency_ms_p99", "go2rtc", p99(other.delays), len(other.delays))
	b.tellWhy("video.cpu_vs_best_peer", c.cpu/other.cpu, audience, "go2rtc "+go2rtcVersion+" in the same run")
	return nil
}

// viewers1080 measures a full house at 1080p whose sockets have the kernel's own buffers.
func viewers1080(b *bench) error {
	r, err := b.ours(scene1080)
	if err != nil {
		return err
	}
	defer r.end()
	c, err := r.crowd(audience, choose(b.long, time.Minute, 8*time.Second))
	if err != nil {
		return err
	}
	b.tellWhy("video.cpu_ms_per_viewer_s_1080p", c.cpu, audience, fmt.Sprintf(noisyNote, load(), rank(c.delays, 0.5)))
	b.tellWhy("video.lost_1080p_default_buffers", float64(c.lost), audience, fmt.Sprintf("%d were sent again", c.gaps-c.lost))
	return nil
}

const go2rtcVersion = "v1.9.9"

// go2rtc builds the peer, once, in a module of its own, and starts it.
func (b *bench) go2rtc(s scene) (*relayed, error) {
	dir := filepath.Join(filepath.Dir(filepath.Dir(b.edged)), "peers")
	binary := filepath.Join(dir, "go2rtc")
	if _, err := os.Stat(binary); err != nil {
		mod, err := b.under("go2rtc")
		if err != nil {
			return nil, err
		}
		text := "module peer\n\ngo 1.26.0\n\nrequire github.com/AlexxIT/go2rtc " + go2rtcVersion + "\n"
		if err := os.WriteFile(filepath.Join(mod, "go.mod"), []byte(text), 0o644); err != nil {
			return nil, err
		}
		c := exec.CommandContext(b.ctx, "go", "build", "-mod=mod", "-o", binary, "github.com/AlexxIT/go2rtc")
		c.Dir = mod
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
		if out, err := c.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("no go2rtc to measure beside ours: %w: %s", err, strings.TrimSpace(string(out)))
		}
	}
	var at [3]string
	for i := range at {
		var err error
		if at[i], err = freeTCP(); err != nil {
			return nil, err
		}
	}
	_, port, _ := strings.Cut(at[2], ":")
	conf := filepath.Join(b.dir, "go2rtc.yaml")
	text := fmt.Sprintf("api: {listen: %q}\nrtsp: {listen: %q}\nwebrtc: {listen: \"127.0.0.1:%s\", candidates: [\"127.0.0.1:%[3]s\"], ice_servers: []}\nsrtp: {listen: \"\"}\nlog: {level: warn}\nstreams:\n  drone:\n", at[0], at[1], port)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	c := exec.Command(binary, "-config", conf)
	c.Stderr, c.Stdout = os.Stderr, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return nil, err
	}
	stop := func() { c.Process.Kill(); c.Wait() }
	pub, err := b.publish(s, "rtsp://"+at[1]+"/drone")
	if err != nil {
		stop()
		return nil, err
	}
	r := &relayed{b: b, pub: pub, pid: func() (int, error) { return c.Process.Pid, nil },
		viewing: relay.Viewing{URL: "http://" + at[0] + "/api/webrtc?src=drone", HTTP: &http.Client{Timeout: 10 * time.Second}, Film: pub.film, Table: pub.times},
		end:     func() { pub.end(); stop() }}
	if err := r.flows(); err != nil {
		r.end()
		return nil, errors.Join(errors.New("go2rtc relays nothing"), err)
	}
	return r, nil
}
