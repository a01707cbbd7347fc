package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tocsin/hwtest/chromium"
	"tocsin/hwtest/relay"
)

// An eye looks at the drone's picture on one of the two pages.
type eye interface {
	// frames is how many pictures were decoded, or were whole, so far; stills the number of the still picture that is
	// shown instead, 0 for none.
	frames() (int, error)
	stills() (int, error)
	// says is what the page says of the picture and of how much of it comes.
	says() (string, error)
	// shot keeps a picture of the page; without a browser there is none.
	shot(file string) error
	close()
}

// sight is what opens eyes: a real browser where there is one.
type sight struct {
	d *demo

	mu   sync.Mutex
	tab  *chromium.Tab
	end  func()
	gone bool
}

// browser tells whether there is one.
func (s *sight) browser() bool {
	_, err := exec.LookPath("chromium")
	return err == nil
}

// how says by what is looked.
func (s *sight) how() (zh, en string) {
	if s.browser() {
		return "", ""
	}
	return "（没有装 Chromium，改用 WHEP 客户端数完整帧，不解码、无截图；装上再看：make browser）",
		" (Chromium is not installed: a WHEP client counts whole pictures, nothing is decoded, no screenshot; to see it: make browser)"
}

// counted is what was done to the pictures that are counted.
func (s *sight) counted() string {
	if s.browser() {
		return "decoded by Chromium"
	}
	return "came whole to a WHEP client"
}

// failed is how a tab fails the demonstration.
type failed struct{ error }

type failer struct{}

func (failer) Helper()                   {}
func (failer) Name() string              { return "village" }
func (failer) Fatal(v ...any)            { panic(failed{errors.New(strings.TrimSpace(fmt.Sprintln(v...)))}) }
func (failer) Fatalf(f string, v ...any) { panic(failed{fmt.Errorf(f, v...)}) }

// try gives a tab's failure as an error.
func try(do func()) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failed:
			err = p.error
		default:
			panic(p)
		}
	}()
	do()
	return nil
}

// patience is how long a browser's answer is waited for.
const patience = 10 * time.Second

// newTab opens a tab of the one browser.
func (s *sight) newTab() (t *chromium.Tab, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil, errors.New("the demonstration is over")
	}
	if s.tab != nil {
		return t, try(func() { t = s.tab.Another() })
	}
	if err := try(func() {
		// The loopback is for machines that have no other address.
		s.tab, s.end, err = chromium.Start(failer{}, "--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection")
	}); err != nil {
		return nil, err
	}
	if err == nil {
		s.tab.Patience = patience
	}
	return s.tab, err
}

func (s *sight) close() {
	s.mu.Lock()
	end := s.end
	s.gone, s.end = true, nil
	s.mu.Unlock()
	if end != nil {
		end()
	}
}

// watchPeers keeps a page's connections where getStats can be asked; decoded sums what they have decoded.
const (
	watchPeers = `window.peers = []; const Real = RTCPeerConnection; window.RTCPeerConnection = class extends Real { constructor(...a) { super(...a); peers.push(this); } };`
	decoded    = `(async () => { let n = 0; for (const p of peers) (await p.getStats()).forEach(s => { if (s.type === "inbound-rtp" && s.kind === "video") n += s.framesDecoded || 0; }); return n; })()`
)

// page is an eye that is a browser.
type page struct {
	mu  sync.Mutex
	tab *chromium.Tab
	// words gives what the page says, looks whether it is time to press the button, and presses it.
	words, button, press string
	// enter signs in, once; "" where nobody has to.
	enter            string
	pressed, entered bool
}

// look opens a page. The picture is asked for as soon as its button is there.
func (s *sight) look(url string, p *page) (eye, error) {
	t, err := s.newTab()
	if err != nil {
		return nil, err
	}
	p.tab = t
	return p, try(func() {
		t.Call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": watchPeers}, nil)
		t.Size(1280, 900, false)
		t.Call("Page.navigate", map[string]any{"url": url}, nil)
	})
}

func (p *page) js(expression string, v any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return try(func() { p.tab.JS(expression, v) })
}

func (p *page) frames() (n int, err error) {
	if p.enter != "" && !p.entered {
		var in bool
		if err := p.js(p.enter, &in); err != nil || !in {
			return 0, errors.Join(err, errors.New("nobody is signed in yet"))
		}
		p.entered = true
	}
	if !p.pressed {
		var there bool
		if err := p.js("!!("+p.button+")", &there); err != nil || !there {
			return 0, errors.Join(err, errors.New("the page does not have the picture yet"))
		}
		if err := p.js(p.press, nil); err != nil {
			return 0, err
		}
		p.pressed = true
	}
	return n, p.js(decoded, &n)
}

func (p *page) stills() (n int, err error) {
	return n, p.js(`(() => { const i = document.querySelector("figure .still"); return i && i.complete && i.naturalWidth ? +new URL(i.src).searchParams.get("n") : 0; })()`, &n)
}

func (p *page) says() (s string, err error) { return s, p.js(p.words, &s) }

func (p *page) shot(file string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var png []byte
	if err := try(func() { png = p.tab.Shot() }); err != nil {
		return err
	}
	return os.WriteFile(file, png, 0o644)
}

// close leaves the page, which ends its viewing.
func (p *page) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = try(func() { p.tab.Call("Page.navigate", map[string]any{"url": "about:blank"}, nil) })
}

// stationEye opens the station's own page.
func (s *sight) stationEye() (eye, error) {
	at := s.d.url
	if !s.browser() {
		return s.client(nil, at+"api/v1/video/"+stream+"/whep", func() (int, error) { return 0, nil }, func() (string, error) {
			p, err := stationTells(at)
			return p.String(), err
		})
	}
	card := `document.querySelector('[data-stream="` + stream + `"]')`
	return s.look(at+"video?lang=zh", &page{
		button: card + ` && ` + card + `.querySelector(".figures").textContent.includes("H.264")`,
		press:  card + `.querySelector('[data-act="open"]').click()`,
		words:  `[".state", ".over", ".told li"].map(q => ` + card + `.querySelector(q)).filter(Boolean).map(e => e.textContent.trim()).join(" · ")`,
	})
}

// why is what the county's officer gives as his reason to look.
const why = "查看山洪灾情"

// countyEye opens the county's console, and signs in.
func (s *sight) countyEye() (eye, error) {
	h, key := s.d.hub, station+"/"+stream
	at := h.page()
	if !s.browser() {
		return s.client(h.browser, at+"pictures/whep/"+key+"?why="+url.QueryEscape(why), func() (int, error) {
			_, n, err := h.tells()
			return n, err
		}, func() (string, error) {
			says, _, err := h.tells()
			return says, err
		})
	}
	button := `document.querySelector('[data-key="` + key + `"]')`
	field := `document.getElementById("why")`
	return s.look(at+"console/?lang=zh#/live", &page{
		enter:  `(async () => (await fetch("/api/v1/sign-in", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ account: "` + countyAccount + `", password: "` + h.password + `" }) })).ok)()`,
		button: button + ` && !` + button + `.disabled`,
		press:  field + `.value = "` + why + `"; ` + field + `.dispatchEvent(new Event("input")); ` + button + `.click()`,
		words:  `[".over", "figcaption span"].map(q => document.querySelector("figure " + q)).filter(Boolean).map(e => e.textContent.trim()).join(" · ")`,
	})
}

// client is an eye that is no browser.
type client struct {
	v     *relay.Viewer
	still func() (int, error)
	words func() (string, error)
}

func (s *sight) client(by *http.Client, url string, still func() (int, error), words func() (string, error)) (eye, error) {
	return &client{relay.View(relay.Viewing{URL: url, HTTP: by, Film: s.d.drone.film, Everywhere: s.d.drone.media != "127.0.0.1"}), still, words}, nil
}

func (c *client) frames() (int, error) {
	ctx, end := context.WithTimeout(context.Background(), time.Millisecond)
	defer end()
	if _, _, err := c.v.First(ctx); err != nil {
		return 0, err
	}
	return int(c.v.Count().Pictures), nil
}
func (c *client) stills() (int, error)  { return c.still() }
func (c *client) says() (string, error) { return c.words() }
func (c *client) shot(string) error     { return nil }
func (c *client) close()                { c.v.Close() }

// picture is the drone's stream as the station tells of it: Push is how it goes to the county.
type picture struct {
	Name   string `json:"name"`
	Reason *words `json:"reason_text"`
	Push   *struct {
		Rung int `json:"rung"`
	} `json:"push"`
}

func (p picture) String() string {
	if p.Push == nil || p.Reason == nil {
		return "not sent to the county"
	}
	return fmt.Sprintf("rung %d · %s · %s", p.Push.Rung+1, p.Reason.ZH, p.Reason.EN)
}

// stationTells reads what the page would show, as tells does for the county.
func stationTells(at string) (picture, error) {
	var x struct {
		Streams []picture `json:"streams"`
	}
	if err := fetch(nil, at+"api/v1/video", &x); err != nil {
		return picture{}, err
	}
	for _, s := range x.Streams {
		if s.Name == stream {
			return s, nil
		}
	}
	return picture{}, errors.New("the station does not have the picture yet")
}

func (h *hub) tells() (says string, still int, err error) {
	var x struct {
		Stations []struct {
			ID      string `json:"id"`
			Streams []struct {
				Name, State, Rung, Behind string
				Still                     int
			} `json:"streams"`
		} `json:"stations"`
	}
	if err := fetch(h.browser, h.page()+"pictures/state?lang=zh", &x); err != nil {
		return "", 0, err
	}
	for _, s := range x.Stations {
		for _, p := range s.Streams {
			if s.ID == station && p.Name == stream {
				return strings.Join([]string{p.Behind, p.State, p.Rung}, " · "), p.Still, nil
			}
		}
	}
	return "", 0, errors.New("the county's page does not have the picture yet")
}

// fetch asks as who is signed in with a client; nil for nobody.
func fetch(by *http.Client, url string, into any) error {
	if by == nil {
		by = http.DefaultClient
	}
	ctx, end := context.WithTimeout(context.Background(), 3*time.Second)
	defer end()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r, err := by.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, r.Status)
	}
	return json.NewDecoder(r.Body).Decode(into)
}

// snap keeps a picture of a page, and says where; without a browser it says that there is none.
func (d *demo) snap(e eye, name string) (bool, string) {
	if !d.sight.browser() {
		return true, "; no Chromium, no screenshot"
	}
	if err := e.shot(filepath.Join(d.out, name+".png")); err != nil {
		return false, "; no screenshot: " + err.Error()
	}
	return true, "; " + name + ".png"
}
