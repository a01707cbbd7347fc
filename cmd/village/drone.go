package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tocsin/hwtest/flight"
	"tocsin/hwtest/impair"
	"tocsin/hwtest/relay"
)

// drone is the simulated one: it publishes its film by RTMP to the station, as a real one does, until it lands.
type drone struct {
	film *relay.Film
	rtmp string // where the station takes it, host:port
	key  string
	// media is where stations and hub have their pictures' ports: browsers look for ways by the machine's own
	// addresses, and only where it has none by the loopback.
	media string

	mu   sync.Mutex
	land context.CancelFunc
	down chan struct{}
	err  error // the last
	told []string
}

// stream is the drone's name at the station.
const stream = "drone"

func newDrone(dir string) (*drone, error) {
	film, err := relay.NewFilm(flight.H264)
	if err != nil {
		return nil, err
	}
	at, err := freeAddr()
	if err != nil {
		return nil, err
	}
	d := &drone{film: film, rtmp: at, key: rand.Text(), media: "127.0.0.1"}
	if ownAddress() {
		d.media = "0.0.0.0"
	}
	return d, os.WriteFile(filepath.Join(dir, "secrets", "drone"), []byte(d.key+"\n"), 0o600)
}

// ownAddress tells whether this machine has an address that is not the loopback.
func ownAddress() bool {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}

// site is the section of the site's file.
func (d *drone) site() string {
	return fmt.Sprintf(`video:
  listen: "%s:0"
  rtmp: "%s"
  streams:
    %s: {name: {zh: 无人机, en: drone}, key: secrets/drone}
`, d.media, d.rtmp, stream)
}

func (d *drone) address() string {
	return fmt.Sprintf("rtmp://%s/live/%s?key=%s", d.rtmp, stream, d.key)
}

// start takes off; a link to the station that breaks is made again.
func (d *drone) start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.land != nil {
		return
	}
	var ctx context.Context
	ctx, d.land = context.WithCancel(context.Background())
	d.down = make(chan struct{})
	go func(down chan struct{}) {
		defer close(down)
		for ctx.Err() == nil {
			err := d.film.PublishRTMP(ctx, d.address(), flight.PerSecond)
			d.mu.Lock()
			d.err = err
			d.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
	}(d.down)
}

// stop lands.
func (d *drone) stop() {
	d.mu.Lock()
	land, down := d.land, d.down
	d.land = nil
	d.mu.Unlock()
	if land != nil {
		land()
		<-down
	}
}

// how tells what keeps it from publishing, if anything does.
func (d *drone) how() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return "; the drone: " + d.err.Error()
	}
	return ""
}

// follow notes each rung on which the station sends the picture to the county, until ctx ends.
func (d *drone) follow(ctx context.Context, page string, begin time.Time) {
	last := ""
	for ctx.Err() == nil {
		if p, err := stationTells(page); err == nil && p.Push != nil && p.String() != last {
			last = p.String()
			d.mu.Lock()
			d.told = append(d.told, fmt.Sprintf("%5.1f s %s", time.Since(begin).Seconds(), last))
			d.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// story is what follow noted.
func (d *drone) story() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.told)
}

// thin is the fibre when what is left of it bears this much.
func thin(kbit float64) impair.Setting {
	return impair.Setting{Rate: kbit * 1000, Delay: impair.Fibre.Delay}
}
