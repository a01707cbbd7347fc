package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tocsin/hwtest/beidou"
	"tocsin/hwtest/cell"
	"tocsin/hwtest/mesh"
	"tocsin/hwtest/port"
	"tocsin/hwtest/sbd"
)

// allLinks is a county at the far end of every kind of link, each up: a real hubd for fibre, 4G
// and datagrams, a broker where mosquitto is installed, and the bench's terminals on ports.
type allLinks struct {
	text  string // of the site
	procs []*exec.Cmd
	ports []*port.Port
	kinds []string
}

const (
	linkedCard   = 4207733
	linkedCounty = 179773
)

// linkAll starts them.
func (b *bench) linkAll() (l *allLinks, err error) {
	l = &allLinks{}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	dir, err := b.under("county")
	if err != nil {
		return nil, err
	}
	hubd := filepath.Join(filepath.Dir(b.edged), "hubd")
	key, err := exec.Command(hubd, "key").Output()
	if err != nil {
		return nil, fmt.Errorf("hubd key: %w", err)
	}
	seed, nkey := lineOf(key, "seed:"), lineOf(key, "nkey:")
	nats, err := freeTCP()
	if err != nil {
		return nil, err
	}
	datagrams, err := freeTCP()
	if err != nil {
		return nil, err
	}
	root := hex.EncodeToString(bytes.Repeat([]byte{0x17}, 32))
	for name, text := range map[string]string{"seed": seed, "root": root, "hub.yaml": fmt.Sprintf(`version: 1
name: {zh: 台架县, en: Bench county}
data: data
nats: {listen: "%s"}
datagrams: [{name: satellite, listen: "%s"}]
stations:
  441882103201: {name: {zh: 黄渡村, en: Huangdu}, nkey: %s, number: 17, root: root, psk: root}
`, nats, datagrams, nkey)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if err := l.run(hubd, "run", "-c", filepath.Join(dir, "hub.yaml")); err != nil {
		return nil, err
	}
	if err := b.until("hubd up", 15*time.Second, func() bool { return answers(nats) }); err != nil {
		return nil, err
	}
	sky, air := beidou.NewSky(1), mesh.NewMesh(1, time.Millisecond)
	node := air.Node(0xA1)
	node.Set(func(w *mesh.Ways) { w.Preset = 4 })
	var at []string
	for _, serve := range []func(io.ReadWriter) error{sky.Terminal(beidou.BDS3, beidou.Card{Number: linkedCard, Frequency: 60, Level: 3}).Serve, node.Serve, sbd.New().Serve, cell.New().Serve} {
		p, err := port.Open()
		if err != nil {
			return nil, err
		}
		l.ports = append(l.ports, p)
		at = append(at, p.Path)
		go serve(p)
	}
	l.kinds = []string{"fibre", "4G", "datagrams", "BeiDou", "mesh", "SBD", "SMS"}
	l.text = fmt.Sprintf(`county: {number: 17, root: %s}
links:
  fibre: {kind: nats, servers: ["%s"], seed: %s}
  cellular: {kind: nats, servers: ["%s"], seed: %s}
  satellite: {kind: datagrams, servers: ["%s"], psk: %s}
  beidou: {kind: beidou, port: %s, to: "%d", transmit: {card: "%d", approval: bench}}
  mesh: {kind: meshtastic, port: %s, to: "!000000b2", self: "!000000a1", transmit: {licence: bench, band: CN, power: 14}}
  sbd: {kind: sbd, port: %s, transmit: {licence: bench, card: "300234010753370"}}
  sms: {kind: modem, port: %s, to: "+8613800138000", self: "+8613900139000", transmit: {}}
`, filepath.Join(dir, "root"), nats, filepath.Join(dir, "seed"), nats, filepath.Join(dir, "seed"), datagrams, filepath.Join(dir, "root"),
		at[0], linkedCounty, linkedCard, at[1], at[2], at[3])
	if mosquitto, err := exec.LookPath("mosquitto"); err == nil {
		broker, err := freeTCP()
		if err != nil {
			return nil, err
		}
		host, number, _ := net.SplitHostPort(broker)
		conf := filepath.Join(dir, "mosquitto.conf")
		if err := os.WriteFile(conf, fmt.Appendf(nil, "listener %s %s\nallow_anonymous true\n", number, host), 0o600); err != nil {
			return nil, err
		}
		if err := l.run(mosquitto, "-c", conf); err != nil {
			return nil, err
		}
		l.kinds = append(l.kinds, "MQTT")
		l.text += fmt.Sprintf("mqtt:\n  platform: {server: \"%s\", plain: true}\n", broker)
	}
	return l, nil
}

func (l *allLinks) run(program string, args ...string) error {
	c := exec.Command(program, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return err
	}
	l.procs = append(l.procs, c)
	return nil
}

// Close ends them.
func (l *allLinks) Close() {
	for _, c := range l.procs {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	for _, p := range l.ports {
		p.Close()
	}
}

// up tells whether every link of the county's is.
func (x *box) linksUp(n int) (bool, error) {
	var all struct {
		Links []struct {
			Link, State string
		} `json:"links"`
	}
	if err := x.get("/links", &all); err != nil {
		return false, err
	}
	up := 0
	for _, l := range all.Links {
		if l.State == "up" {
			up++
		}
	}
	if len(all.Links) > n {
		return false, errors.New("the box has more links than the bench")
	}
	return up == n, nil
}

func answers(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func freeTCP() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// lineOf gives the rest of the line that begins with a word.
func lineOf(text []byte, begin string) string {
	for l := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(l, begin); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
