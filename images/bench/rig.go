package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tocsin/hwtest/gauge"
	"tocsin/hwtest/line"
)

// Rig is a bench for updates: a card that was set up, with a gauge on its line, of which
// every case has a copy, and releases for it.
type Rig struct {
	Dir      string
	Releases *Releases
	// Log says what is going on; nil for nobody listens.
	Log func(format string, a ...any)

	card   string
	boxes  int
	shared *Box // of cases that leave it as it was
	tech   *Technician
}

// site is a box with one gauge, which is what must answer again after an update.
const site = `version: 1
site:
  id: "441882103201"
  name: {zh: 试验台, en: bench}
  at: [24.7812, 112.3790]
  languages: [cmn]
lines:
  west: {port: /dev/ttyS0, baud: 9600, format: 8N1, timeout: 2s}
devices:
  river: {name: {zh: 水位计, en: river radar}, profile: generic-radar-level-rs485, line: west, unit: 2}
page: {listen: ":80"}
`

// GaugePoint is what the gauge of the rig's site gives, GaugeName how its site calls it.
const (
	GaugePoint = "river.level"
	GaugeName  = "river radar"
)

// most is how long a start may take on a busy machine; how long it takes is a figure's matter.
const most = 3 * time.Minute

// NewRig sets a card up as a technician would: the site's file and the label's secret are
// put on it, the board is started, its first owner made. image is what make image built with
// keys.
func NewRig(dir, image, keys string, log func(string, ...any)) (*Rig, error) {
	if log == nil {
		log = func(string, ...any) {}
	}
	if why := Needs(); why != "" {
		return nil, errors.New(why)
	}
	rel := filepath.Join(dir, "releases")
	if err := os.MkdirAll(rel, 0o755); err != nil {
		return nil, err
	}
	r := &Rig{Dir: dir, Log: log, card: image}
	var err error
	if r.Releases, err = OpenReleases(image, keys, rel); err != nil {
		return nil, err
	}
	b, err := r.Box()
	if err != nil {
		return nil, err
	}
	defer b.Off()
	if err := b.Put(map[string][]byte{"/tocsin/site/site.yaml": []byte(site), "/tocsin/data/setup-secret": []byte(strings.ReplaceAll(Label, "-", "") + "\n")}); err != nil {
		return nil, err
	}
	if err := b.On(); err != nil {
		return nil, err
	}
	if err := b.Says(Armed, 1, most); err != nil {
		return nil, err
	}
	t := b.Technician()
	if err := t.SetUp(); err != nil {
		return nil, fmt.Errorf("the first owner: %w", err)
	}
	if err := b.Fine(t, r.Releases.Header.Version); err != nil {
		return nil, err
	}
	time.Sleep(2 * time.Second) // the file systems' journals
	b.Cut()
	r.card = filepath.Join(dir, "card.img")
	if err := os.Rename(b.Disk, r.card); err != nil {
		return nil, err
	}
	r.Log("the card is set up, with release %s", r.Releases.Header.Version)
	return r, nil
}

// Box is a board of the rig with its gauge.
type Box struct {
	*Board
	Gauge *gauge.Radar
	line  *line.TCP
}

// Box makes a board with a copy of the rig's card, switched off.
func (r *Rig) Box() (*Box, error) {
	r.boxes++
	dir := filepath.Join(r.Dir, fmt.Sprintf("box-%d", r.boxes))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	l, err := line.NewRTUOverTCP("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l.Pace(9600)
	g := gauge.NewRadar(1.5)
	l.Attach(2, g)
	b := &Box{Board: &Board{Dir: dir, Disk: filepath.Join(dir, "card.img"), Wire: l.Addr()}, Gauge: g, line: l}
	return b, CopyDisk(b.Disk, r.card)
}

// Off takes the board away.
func (b *Box) Off() {
	b.Cut()
	b.line.Close()
	_ = os.Remove(b.Disk)
}

// Fine tells whether a box runs a release that is not on trial, stands watch, and its gauge
// answers; it waits for a trial's end.
func (b *Board) Fine(t *Technician, versions ...string) error {
	_, err := b.Ends(t, versions...)
	return err
}

// Ends waits until no trial is under way, and tells how the software stands: of one of the
// versions, on watch, with its gauge answering.
func (b *Board) Ends(t *Technician, versions ...string) (Software, error) {
	var s Software
	for end := time.Now().Add(most); ; time.Sleep(time.Second) {
		var err error
		if s, err = t.Software(most); err != nil {
			return s, err
		}
		if s.Why != nil {
			return s, fmt.Errorf("updates are closed: %s", s.Why.EN)
		}
		if s.Phase != "trial" {
			break
		}
		if time.Now().After(end) {
			return s, errors.New("the trial does not end")
		}
	}
	found := false
	for _, v := range versions {
		found = found || v == s.Running.Version
	}
	if !found {
		return s, fmt.Errorf("it runs %s, not %s; reason %+v", s.Running.Version, strings.Join(versions, " or "), s.Reason)
	}
	return s, b.watches(t)
}

// watches waits until the box is armed and its gauge's value is good.
func (b *Board) watches(t *Technician) error {
	var last error
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		var status struct {
			Armed bool `json:"armed"`
		}
		if last = t.Ask("/status", &status, 20*time.Second); last != nil {
			return last
		}
		if !status.Armed {
			last = errors.New("it is not armed")
			continue
		}
		var readings []struct {
			Point   string `json:"point"`
			Quality string `json:"quality"`
		}
		if last = t.Ask("/readings", &readings, 20*time.Second); last != nil {
			return last
		}
		for _, r := range readings {
			if r.Point == GaugePoint && r.Quality == "good" {
				return nil
			}
		}
		last = fmt.Errorf("its gauge does not answer: %+v", readings)
	}
	return last
}
