package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tocsin/hwtest/gauge"
	"tocsin/hwtest/line"
)

func eachLine(r io.Reader, f func(string)) error {
	s := bufio.NewScanner(r)
	for s.Scan() {
		f(s.Text())
	}
	return s.Err()
}

// mixed are the blocks of one unit: of one and of two registers, of two tables,
// so that some answers look like each other and some do not.
var mixed = []struct {
	table string
	addr  int
	words int
}{{"holding", 10, 2}, {"holding", 20, 2}, {"holding", 30, 1}, {"holding", 40, 1}, {"holding", 50, 2}, {"input", 10, 2}, {"input", 20, 1}, {"input", 30, 1}}

// mixedProfile writes their profile, with holes between so that none is read
// with another, and gives the value that each must have.
func mixedProfile(site string) (want map[string]float64, err error) {
	var s, proof strings.Builder
	s.WriteString("version: 1\nprofile: bench-mixed\nname: {zh: 台架, en: Bench}\nmanual: generic; no maker's table\nvia: modbus\n" +
		"line: {baud: 9600, format: 8N1, turnaround: 20ms}\nholes: [0x000C-0x0013, 0x0016-0x001D, 0x001F-0x0027, 0x0029-0x0031]\npoints:\n")
	want = map[string]float64{}
	for _, m := range mixed {
		id := fmt.Sprintf("%c%d", m.table[0], m.addr)
		v, kind, fn := 1000+m.addr, "uint16", byte(3)
		heard := []byte{byte(v >> 8), byte(v)}
		if m.words == 2 {
			kind = "uint32"
			heard = append(heard, byte((v+1)>>8), byte(v+1))
			v = v<<16 | (v + 1)
		}
		if m.table == "input" {
			fn = 4
		}
		want[id] = float64(v)
		fmt.Fprintf(&s, "  - {id: %s, name: {zh: %s, en: %s}, read: %s %d, type: %s, unit: \"1\", every: 1s}\n", id, id, id, m.table, m.addr, kind)
		fmt.Fprintf(&proof, "  - {sent: \"% X\", heard: \"% X\", gives: {%s: %d}}\n", line.Frame(1, []byte{fn, 0, byte(m.addr), 0, byte(m.words)}),
			line.Frame(1, append([]byte{fn, byte(2 * m.words)}, heard...)), id, v)
	}
	return want, os.WriteFile(filepath.Join(filepath.Dir(site), "profiles", "bench-mixed.yaml"), []byte(s.String()+"proof:\n"+proof.String()), 0o644)
}

// lateAnswers asks one unit on each of several lines at 9600 Bd for blocks of
// different lengths as fast as it goes, while every seventh answer is late by
// half a timeout to five; half of the adapters echo. It counts the readings
// called good whose value is another block's.
func lateAnswers(b *bench) error {
	const timeout = 200 * time.Millisecond
	site, err := b.site("")
	if err != nil {
		return err
	}
	blocks, err := mixedProfile(site)
	if err != nil {
		return err
	}
	var lines, devices strings.Builder
	want := map[string]float64{}
	var all []*line.Line
	for i := range b.n(2, 6) {
		l, err := line.New(line.Config{Baud: 9600, Turnaround: 20 * time.Millisecond, Path: filepath.Join(b.dir, fmt.Sprintf("tty%d", i)), Echo: i%2 == 1})
		if err != nil {
			return err
		}
		defer l.Close()
		all = append(all, l)
		l.Attach(1, gauge.NewPattern(1, 64, time.Now(), 0))
		b.lateTo(l, i, timeout)
		fmt.Fprintf(&lines, "  bus-%d: {port: %s, baud: 9600, timeout: 200ms}\n", i, l.Path())
		fmt.Fprintf(&devices, "  unit-%d: {profile: bench-mixed, line: bus-%d, unit: 1, every: 0s}\n", i, i)
		for id, v := range blocks {
			want[fmt.Sprintf("unit-%d.%s", i, id)] = v
		}
	}
	doc := siteHead + "history: {off: true}\nlines:\n" + lines.String() + "devices:\n" + devices.String()
	if err := os.WriteFile(site, []byte(doc), 0o644); err != nil {
		return err
	}
	x, err := b.startArmed(site, filepath.Join(b.dir, "data"))
	if err != nil {
		return err
	}
	defer x.end()
	var mu sync.Mutex
	var good, other, wrong, lost int
	why := map[string]int{}
	// The same stream as `edged read --follow --json` prints.
	go x.follow("/readings/stream", func(p []byte) {
		var s struct {
			Point   string
			Value   *float64
			Quality string
			Lost    int
			Why     *text
		}
		if json.Unmarshal(p, &s) != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		lost += s.Lost
		switch {
		case s.Quality != "good":
			other++
			if s.Why != nil {
				why[s.Quality+" "+s.Why.Code]++
			}
		case s.Value == nil || *s.Value != want[s.Point]:
			wrong++
			b.log("WRONG AS GOOD: %s", p)
		default:
			good++
		}
	})
	window := choose(b.long, 10*time.Minute, time.Minute)
	wait := b.besideAll("acquire.wrong_as_good", func(who string) (float64, int, error) { return b.peerLate(who, timeout, window) })
	err = b.pause(window)
	wait()
	if err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	for i, l := range all {
		c := l.Counters()
		b.log("line %d (echo %v): requests %d, answers %d, collisions %d", i, i%2 == 1, c.Requests, c.Answers, c.Collisions)
	}
	b.log("good %d (share %.3f), not good %d (%v), wrong as good %d, lost to the follower %d", good, float64(good)/float64(max(1, good+other+wrong)), other, why, wrong, lost)
	if good == 0 || lost > good/10 {
		return errors.New("too few readings were seen to tell")
	}
	b.tell("acquire.wrong_as_good", float64(wrong), good+other+wrong)
	return nil
}
