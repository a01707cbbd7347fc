package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tocsin/hwtest/beidou"
	"tocsin/hwtest/impair"
	"tocsin/hwtest/port"
)

// station is the village's name at the county, card and countyCard the numbers of both
// ends' BeiDou cards. They are the demonstration's: of level 3, one message in two seconds
// where the service's usual card has one in sixty.
const (
	station    = "441882103201"
	card       = 4207733
	countyCard = 179773
	cardEvery  = 2
)

// hub is a real hubd and the ways to it: fibre and 4G, which can be cut without a word to
// anybody, and BeiDou.
type hub struct {
	hubd, dir, log string
	fibre, mobile  *impair.Link
	sky            *beidou.Sky
	ports          []*port.Port
	servers        map[string]string // by link
	// browser is signed in as countyAccount, whose password was made for this demonstration.
	browser  *http.Client
	password string
	cmd      *exec.Cmd
	done     chan struct{}
}

// newHub makes the county's files and starts hubd.
func newHub(hubd, dir, log string, c *county, media string) (h *hub, err error) {
	h = &hub{hubd: hubd, dir: filepath.Join(dir, "hub"), log: log, servers: map[string]string{}}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return nil, err
	}
	said, err := h.run("key")
	if err != nil {
		return nil, err
	}
	seed, nkey := field(said, "seed:"), field(said, "nkey:")
	root, err := h.run("key", "--psk")
	if err != nil {
		return nil, err
	}
	sky := beidou.NewSky(1)
	sky.Set(beidou.Weather{Least: 200 * time.Millisecond, Most: 800 * time.Millisecond})
	h.sky = sky
	for range 2 {
		p, err := port.Open()
		if err != nil {
			return nil, err
		}
		h.ports = append(h.ports, p)
	}
	mine := sky.Terminal(beidou.BDS3, beidou.Card{Number: card, Frequency: cardEvery, Level: 3})
	theirs := sky.Terminal(beidou.BDS3, beidou.Card{Number: countyCard, Frequency: cardEvery, Level: 3})
	go mine.Serve(h.ports[0])
	go theirs.Serve(h.ports[1])
	nats, err := freeAddr()
	if err != nil {
		return nil, err
	}
	h.fibre, h.mobile = impair.New(impair.Fibre, impair.Fibre, 1), impair.New(impair.Cellular, impair.Cellular, 2)
	for name, l := range map[string]*impair.Link{"fibre": h.fibre, "cellular": h.mobile} {
		if h.servers[name], err = l.TCP(nats); err != nil {
			return nil, err
		}
	}
	// Pictures go by the fibre: what squeezes it squeezes them.
	whip, err := freeAddr()
	if err != nil {
		return nil, err
	}
	pictures, err := h.fibre.WHIP(whip)
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		filepath.Join(dir, "secrets", "seed"):   seed,
		filepath.Join(dir, "secrets", "county"): root,
		filepath.Join(h.dir, "root"):            root,
		filepath.Join(h.dir, "trust.yaml"):      "issuers:\n" + c.issuer(),
		h.file(): fmt.Sprintf(`version: 1
name: {zh: 连州市应急指挥中心（演示）, en: Lianzhou command (demonstration)}
data: data
nats: {listen: "%s"}
page: {listen: "127.0.0.1:0"}
warnings: {trust: trust.yaml}
pictures: {listen: "%s", url: "%s", media: "%s:0", linger: 5s}
terminals:
  - {name: beidou, kind: beidou, port: %s, own: "%d", transmit: {card: "%d", approval: demonstration}}
stations:
  %s: {name: {zh: 黄渡村, en: Huangdu}, nkey: %s, number: 17, root: root, addresses: {beidou: "%d"}}
`, nats, whip, pictures, media, h.ports[1].Path, countyCard, countyCard, station, nkey, card),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{c.key(), c.shortKey()} {
		b, err := os.ReadFile(name + ".pub")
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(h.dir, filepath.Base(name)+".pub"), b, 0o600); err != nil {
			return nil, err
		}
	}
	if _, err := h.run("check", h.file()); err != nil {
		return nil, err
	}
	if err := h.start(); err != nil {
		return nil, err
	}
	return h, h.own()
}

// countyAccount is the console's first account.
const countyAccount = "wang"

// own makes the console's first account, as the county would: by the secret that hubd set-up shows.
func (h *hub) own() error {
	said, err := h.run("set-up", "-c", h.file())
	if err != nil {
		return err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	h.browser, h.password = &http.Client{Jar: jar}, strings.ToLower(rand.Text()[:16])
	b, err := json.Marshal(map[string]string{"secret": field(said, "secret:"), "account": countyAccount, "name": "王芳", "password": h.password})
	if err != nil {
		return err
	}
	r, err := h.browser.Post(h.page()+"api/v1/set-up", "application/json", bytes.NewReader(b))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(r.Body, 4096))
		return fmt.Errorf("the county's console: %s: %s", r.Status, why)
	}
	return nil
}

// signIn says how one gets in.
func (h *hub) signIn() string {
	return fmt.Sprintf("%s · 账号 account %s · 密码 password %s", h.page(), countyAccount, h.password)
}

func (h *hub) file() string { return filepath.Join(h.dir, "hub.yaml") }

// run runs a command of hubd and gives what it said.
func (h *hub) run(args ...string) (string, error) {
	cmd := exec.Command(h.hubd, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("hubd %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(append(errs.Bytes(), out...)))
	}
	return strings.TrimSpace(string(out)), nil
}

func (h *hub) start() error {
	f, err := os.Create(h.log)
	if err != nil {
		return err
	}
	defer f.Close()
	h.cmd = exec.Command(h.hubd, "run", "-c", h.file())
	h.cmd.Stdout, h.cmd.Stderr = f, f
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := h.cmd.Start(); err != nil {
		return err
	}
	h.done = make(chan struct{})
	go func(c *exec.Cmd, done chan struct{}) { c.Wait(); close(done) }(h.cmd, h.done)
	up, said := wait(context.Background(), 15*time.Second, func() (bool, string) {
		_, err := h.state()
		return err == nil, fmt.Sprint(err)
	})
	if !up {
		return errors.New("hubd does not come up: " + said)
	}
	return nil
}

// page is where the officers' page is, as hubd said.
func (h *hub) page() string {
	b, _ := os.ReadFile(h.log)
	return "http://" + field(string(b), "page ") + "/"
}

// What the village reads of hubd state: only what it checks.
type (
	hubState struct {
		Stations []struct {
			ID   string               `json:"id"`
			Seen map[string]time.Time `json:"seen"`
		} `json:"stations"`
		Alarms []hubAlarm `json:"alarms"`
		Sent   []hubSent  `json:"sent"`
	}
	hubAlarm struct {
		Title    words  `json:"title"`
		Hazard   string `json:"hazard"`
		Over     bool   `json:"over"`
		Messages []struct {
			Name  string `json:"name"`
			Event string `json:"event"`
			Ways  []struct {
				Link  string    `json:"link"`
				At    time.Time `json:"at"`
				Short bool      `json:"short"`
			} `json:"ways"`
		} `json:"messages"`
	}
	hubSent struct {
		ID    string `json:"id"`
		About string `json:"about"`
		To    map[string]struct {
			TakenBy string            `json:"taken_by"`
			Stage   string            `json:"stage"`
			By      map[string]string `json:"by"`
		} `json:"to"`
	}
)

func (h *hub) state() (s hubState, err error) {
	out, err := h.run("state", "-c", h.file())
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(out), &s)
}

// came tells by which links something of an alarm of a hazard came to the hub after a moment. The
// long form has its name in its title, the short one its code.
func (h *hub) came(hazard, name string, since time.Time) (links []string, err error) {
	s, err := h.state()
	if err != nil {
		return nil, err
	}
	for _, a := range s.Alarms {
		if a.Hazard != hazard && !strings.Contains(a.Title.ZH, name) {
			continue
		}
		for _, m := range a.Messages {
			for _, w := range m.Ways {
				if w.At.After(since) && !slices.Contains(links, w.Link) {
					links = append(links, w.Link)
				}
			}
		}
	}
	slices.Sort(links)
	return links, nil
}

// send hands a warning to the hub, with the key that also signs its short form: template 2 of
// configs/alerts/compact.yaml, 68 mm within the hour, the first place of the list.
func (h *hub) send(s sent, key string) error {
	f := filepath.Join(h.dir, "warning.xml")
	if err := os.WriteFile(f, s.text, 0o600); err != nil {
		return err
	}
	_, err := h.run("alert", "send", f, "--to", station, "-c", h.file(), "--issuer-key", key, "--template", "2", "--p", "68", "--q", "1")
	return err
}

// byLink lists every alarm and every receipt with the links by which it came.
func (s hubState) byLink() (all []string) {
	for _, a := range s.Alarms {
		for _, m := range a.Messages {
			var ways []string
			for _, w := range m.Ways {
				form := ""
				if w.Short {
					form = " (short)"
				}
				ways = append(ways, w.Link+form+" "+w.At.Local().Format("15:04:05"))
			}
			all = append(all, fmt.Sprintf("up   %s %s %s: %s", m.Name, m.Event, a.Title.ZH, strings.Join(ways, ", ")))
		}
	}
	for _, x := range s.Sent {
		for id, to := range x.To {
			var by []string
			for l, stage := range to.By {
				by = append(by, l+" "+stage)
			}
			slices.Sort(by)
			all = append(all, fmt.Sprintf("down %s %s: taken by %q, %s", x.About, id, to.TakenBy, strings.Join(by, ", ")))
		}
	}
	return all
}

func (h *hub) close() {
	if h.cmd != nil && h.cmd.Process != nil {
		h.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-h.done:
		case <-time.After(10 * time.Second):
			h.cmd.Process.Kill()
			<-h.done
		}
	}
	for _, l := range []*impair.Link{h.fibre, h.mobile} {
		if l != nil {
			l.Close()
		}
	}
	for _, p := range h.ports {
		p.Close()
	}
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// field gives the rest of the line that begins with a word.
func field(text, begin string) string {
	for l := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(l, begin); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// countyLinks are the site's; links are named as the rows of links.yaml are.
func (h *hub) countyLinks() string {
	return fmt.Sprintf(`county: {number: 17, root: secrets/county}
links:
  fibre: {kind: nats, servers: ["%s"], seed: secrets/seed}
  cellular: {kind: nats, servers: ["%s"], seed: secrets/seed}
  beidou: {kind: beidou, port: %s, to: "%d", transmit: {card: "%d", approval: demonstration}}
`, h.servers["fibre"], h.servers["cellular"], h.ports[0].Path, countyCard, card)
}
