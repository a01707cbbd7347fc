package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/video"
	"tocsin/firmware/video/terms"
	"tocsin/hwtest/relay"
)

// recordingBox is a station whose video process is the real one, in this test's own process; the daemon's part, which
// passes on what the hub asks, is played here.
type recordingBox struct {
	t      *testing.T
	client *http.Client
	ca     string
	way    *brokenWay
	rate   int64

	mu    sync.Mutex
	ready bool // the hub may be told of clips
}

// brokenWay is a TCP forwarder that can be cut, and stands still where it is told to.
type brokenWay struct {
	l    net.Listener
	mu   sync.Mutex
	goes *sync.Cond // it stands still no more
	hold int64      // after so many bytes it stands still until it is cut; 0: never
	cut  bool
	open map[net.Conn]bool
	sent int64 // bytes that the station has sent
}

func newBrokenWay(t *testing.T, to string) *brokenWay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &brokenWay{l: l, open: map[net.Conn]bool{}}
	b.goes = sync.NewCond(&b.mu)
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); b.set(true); wg.Wait() })
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil || !b.holds(in, out) {
				in.Close()
				continue
			}
			wg.Go(func() { io.Copy(in, out); in.Close(); out.Close() })
			wg.Go(func() { io.Copy(io.MultiWriter(out, b), in); in.Close(); out.Close() })
		}
	})
	return b
}

// Write counts.
func (b *brokenWay) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent += int64(len(p))
	for b.hold > 0 && b.sent >= b.hold && !b.cut {
		b.goes.Wait()
	}
	return len(p), nil
}

func (b *brokenWay) holds(in, out net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cut {
		out.Close()
		return false
	}
	b.open[in], b.open[out] = true, true
	return true
}

func (b *brokenWay) set(cut bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cut = cut; cut {
		for c := range b.open {
			c.Close()
		}
		clear(b.open)
		b.hold = 0
		b.goes.Broadcast()
	}
}

// stand has it stand still when so much more was sent; it tells what is sent then.
func (b *brokenWay) stand(after int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hold = b.sent + after
	return b.hold
}

func (b *brokenWay) count() int64 { b.mu.Lock(); defer b.mu.Unlock(); return b.sent }

func (r *recordingBox) do(method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(r.t.Context(), method, "http://video"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	a, err := r.client.Do(q)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != 200 {
		return fmt.Errorf("%s: %s %w", path, b, err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

func (r *recordingBox) Push(context.Context, letter.Push) error {
	return phrase.E("pictures.no_answer")
}
func (r *recordingBox) Stop(string) error { return nil }

// Bring passes on what the hub asks, by the way that can be cut.
func (r *recordingBox) Bring(_ context.Context, b letter.Bring) error {
	u, err := url.Parse(b.URL)
	if err != nil {
		return err
	}
	u.Host = r.way.l.Addr().String()
	return r.do("POST", "/bring", terms.Bring{URL: u.String(), Token: b.Token, CA: r.ca, For: letter.TokenFor, Rate: r.rate}, nil)
}

func (r *recordingBox) Catalogue() letter.Catalogue {
	c := letter.Catalogue{Streams: []letter.StreamOf{{Name: "dam", Title: phrase.Text{ZH: "大坝", EN: "dam"}, State: letter.StreamLive}}}
	r.mu.Lock()
	defer r.mu.Unlock()
	var s terms.State
	if r.ready && r.do("GET", "/state", nil, &s) == nil {
		c.Clips = s.Waiting
	}
	return c
}

// clips waits until so many are finished.
func (r *recordingBox) clips(n int) (all []terms.Clip) {
	r.t.Helper()
	until(r.t, fmt.Sprint(n, " clips are finished"), func() bool {
		finished := 0
		if r.do("GET", "/clips", nil, &all) != nil {
			return false
		}
		for _, c := range all {
			if c.Finished {
				finished++
			}
		}
		return finished == n
	})
	return all
}

// recording is a county that wants clips and a station that films a moving test card.
func recording(t *testing.T, media string) (*recordingBox, *hub, string) {
	t.Helper()
	w, h, _, page := picturedWorld(t, media, "  clips: {quota: 64 MiB, keep: 30d, reserve: 1 MiB}\n")
	rules, err := os.ReadFile("../../configs/video.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "box") // a test's own name would be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	at := filepath.Join(dir, "s")
	l, err := net.Listen("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	rtsp := freeAt(t)
	ctx, end := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(end)
	wg.Go(func() {
		plan := terms.Plan{Listen: "127.0.0.1:0", RTSP: rtsp, Loopback: true, Rules: string(rules), Trust: 1, Streams: []terms.Source{{Name: "dam", Key: "k-of-the-dam", Record: true}},
			Record: &terms.Record{Dir: filepath.Join(dir, "video"), Quota: 64 << 20, ClipQuota: 64 << 20}}
		if err := video.Serve(ctx, plan, l, slog.New(slog.NewTextHandler(t.Output(), nil))); err != nil {
			t.Error(err)
		}
	})
	film, err := relay.Open("testdata/clip.h264")
	if err != nil {
		t.Fatal(err)
	}
	table, err := relay.NewTable(filepath.Join(dir, "table"), len(film.Pictures))
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() {
		for ctx.Err() == nil { // the box may not listen yet
			_ = film.Publish(ctx, "rtsp://"+rtsp+"/dam?key=k-of-the-dam", 15, table)
			time.Sleep(50 * time.Millisecond)
		}
	})
	r := &recordingBox{t: t, ca: string(w.ca.pem), way: newBrokenWay(t, h.pictured.whip.Addr().String()), rate: 16 << 10,
		client: &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", at)
		}}}}
	o := w.natsOpts(lower, h.engine.Addr().String())
	o.Pictures = r
	run(t, w.link(o).Announce)
	until(t, "it records", func() bool {
		var s terms.State
		return r.do("GET", "/state", nil, &s) == nil && s.Streams[0].Record != nil && s.Streams[0].Record.Bytes > 20<<10
	})
	return r, h, page
}

// freeAt is an address that nobody holds now.
func freeAt(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (r *recordingBox) pin(cause, zh, en string) {
	r.t.Helper()
	if err := r.do("POST", "/pin", terms.Pin{Cause: cause, Title: phrase.Text{ZH: zh, EN: en}, Before: time.Minute, After: 200 * time.Millisecond}, nil); err != nil {
		r.t.Fatal(err)
	}
}

func TestAlarmClipsReachTheCountyTheNewestFirstOverALineThatBreaks(t *testing.T) {
	t.Parallel()
	r, _, page := recording(t, "127.0.0.1")
	r.pin("flood-1", "山洪 准备转移", "flood, prepare")
	r.pin("flood-2", "山洪 立即转移", "flood, evacuate")
	all := r.clips(2)
	size := all[0].Size + all[1].Size
	half := r.way.stand(all[1].Size / 2)
	r.mu.Lock()
	r.ready = true
	r.mu.Unlock()
	until(t, "it is on its way", func() bool { return r.way.count() >= half })
	r.way.set(true)
	held := ""
	until(t, "a part of the newer is there", func() bool {
		c := state(t, page).Clips
		if len(c) != 1 || c[0].What != "flood, evacuate" || c[0].Whole || strings.Contains(c[0].State, " 0%") {
			return false
		}
		held = c[0].State
		return true
	})
	r.way.set(false)
	until(t, "both are whole", func() bool {
		c := state(t, page).Clips
		return len(c) == 2 && c[0].Whole && c[1].Whole
	})
	if n := r.way.count(); n > size*3/2 {
		t.Errorf("%d bytes were sent for %d: not resumed after %q", n, size, held)
	}
	until(t, "the station knows", func() bool {
		all = r.clips(2)
		return all[0].Delivered && all[1].Delivered
	})
	// What the county names is what the station has, and the newer came first.
	sums := map[string]string{}
	for _, c := range all {
		sums[c.Cause] = c.SHA256
	}
	var came []string
	for _, e := range state(t, page).Seen {
		came = append(came, e.Why)
	}
	if strings.Join(came, " ") != "flood-1 flood-2" { // the newest entry stands first
		t.Errorf("they came as %v", came)
	}
	a, err := http.Get(page + "/pictures/seen.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	csv, _ := io.ReadAll(a.Body)
	for cause, sum := range sums {
		if len(sum) != 64 || !bytes.Contains(csv, []byte(cause+","+sum)) {
			t.Errorf("%s with %s is not in\n%s", cause, sum, csv)
		}
	}
	until(t, "nothing waits any more", func() bool {
		for _, s := range state(t, page).Stations {
			if s.Clips != "" {
				return false
			}
		}
		return true
	})

}
