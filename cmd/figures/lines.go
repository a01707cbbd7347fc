package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tocsin/hwtest/gauge"
	"tocsin/hwtest/line"
)

// profileOf writes a profile with so many registers of a Pattern, a point each,
// beside the site's file, and gives its name.
func profileOf(site string, registers int) (string, error) {
	name := fmt.Sprintf("bench-%d", registers)
	var s strings.Builder
	fmt.Fprintf(&s, "version: 1\nprofile: %s\nname: {zh: 台架, en: Bench}\nmanual: generic; no maker's table\nvia: modbus\n", name)
	fmt.Fprintf(&s, "line: {baud: 9600, format: 8N1, turnaround: 5ms, max_registers: 125}\npoints:\n")
	heard := []byte{3, byte(2 * registers)}
	var gives []string
	for i := range registers {
		fmt.Fprintf(&s, "  - {id: r%d, name: {zh: 寄存器 %d, en: register %d}, read: holding %d, type: uint16, unit: V, every: 1s}\n", i, i, i, i)
		v := 1000 + i
		heard = append(heard, byte(v>>8), byte(v))
		gives = append(gives, fmt.Sprintf("r%d: %d", i, v))
	}
	fmt.Fprintf(&s, "proof:\n  - {sent: \"% X\", heard: \"% X\", gives: {%s}}\n",
		line.Frame(1, []byte{3, 0, 0, 0, byte(registers)}), line.Frame(1, heard), strings.Join(gives, ", "))
	return name, os.WriteFile(filepath.Join(filepath.Dir(site), "profiles", name+".yaml"), []byte(s.String()), 0o644)
}

// lineRate is what a reader gets out of a line.
type lineRate struct {
	share float64 // of what the wire can carry
	cpu   float64 // percent of one processor
	n     int     // answers
}

// onLine measures a reader of four units on a line of its own.
func (b *bench) onLine(baud, registers int, who string) (r lineRate, err error) {
	l, err := line.New(line.Config{Baud: baud, Turnaround: 5 * time.Millisecond, Path: filepath.Join(b.dir, "tty")})
	if err != nil {
		return r, err
	}
	defer l.Close()
	for u := byte(1); u <= 4; u++ {
		l.Attach(u, gauge.NewPattern(u, uint16(registers), time.Now(), 0))
	}
	var mu sync.Mutex
	asked := 0
	l.OnRequest(func(byte, []byte, time.Time) { mu.Lock(); asked++; mu.Unlock() })
	pid, stop, err := b.reader(l.Path(), baud, registers, who)
	if err != nil {
		return r, err
	}
	defer stop()
	if err := b.until("three rounds of "+who, 60*time.Second, func() bool { mu.Lock(); defer mu.Unlock(); return asked > 12 }); err != nil {
		return r, err
	}
	l.Reset()
	begin := time.Now()
	r.cpu, err = b.busy(pid, choose(b.long, 2*time.Minute, 30*time.Second))
	if err != nil {
		return r, err
	}
	c := l.Counters()
	r.n = c.Answers
	r.share = float64(c.Answers) / time.Since(begin).Seconds() / l.Limit(registers)
	b.log("%s at %d Bd, 4x%d: %.3f of the line's limit, %.2f %% of a processor, %d answers, load %s", who, baud, registers, r.share, r.cpu, r.n, load())
	return r, nil
}

const ours = "edged"

// reader starts a reader of a port: edged, or a peer.
func (b *bench) reader(path string, baud, registers int, who string) (pid int, stop func(), err error) {
	if who != ours {
		return peer{Library: who, Path: path, Baud: baud, Units: 4, Count: registers}.start()
	}
	site, err := b.site("")
	if err != nil {
		return 0, nil, err
	}
	name, err := profileOf(site, registers)
	if err != nil {
		return 0, nil, err
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%shistory: {off: true}\nlines: {bus: {port: %s, baud: %d}}\ndevices:\n", siteHead, path, baud)
	for u := 1; u <= 4; u++ {
		fmt.Fprintf(&s, "  unit-%d: {profile: %s, line: bus, unit: %d, every: 0s}\n", u, name, u)
	}
	if err := os.WriteFile(site, []byte(s.String()), 0o644); err != nil {
		return 0, nil, err
	}
	x, err := b.start(site, filepath.Join(b.dir, fmt.Sprintf("data-%d-%d", baud, registers)))
	if err != nil {
		return 0, nil, err
	}
	return x.cmd.Process.Pid, x.end, nil
}

// shareSlow measures four units of a hundred registers at 9600 Bd.
func shareSlow(b *bench) error {
	for _, who := range libraries {
		r, err := b.onLine(9600, 100, who)
		if err != nil {
			return err
		}
		b.beside("acquire.line_share_9600_4x100", who, r.share, r.n)
		b.beside("acquire.line_cpu_pct", who, r.cpu, r.n)
	}
	r, err := b.onLine(9600, 100, ours)
	if err != nil {
		return err
	}
	b.tell("acquire.line_share_9600_4x100", r.share, r.n)
	b.tell("acquire.line_cpu_pct", r.cpu, r.n)
	return nil
}

// shareFast measures four units of ten registers at 115200 Bd, beside the peers
// on the same bench: above 19200 Bd the simulated line itself falls short of its
// limit.
func shareFast(b *bench) error {
	best, by := 0.0, ""
	for _, who := range libraries {
		r, err := b.onLine(115200, 10, who)
		if err != nil {
			return err
		}
		b.beside("acquire.line_share_115200_4x10", who, r.share, r.n)
		if r.share > best {
			best, by = r.share, who
		}
	}
	r, err := b.onLine(115200, 10, ours)
	if err != nil {
		return err
	}
	b.log("edged %.3f of the limit, the best peer (%s) %.3f", r.share, by, best)
	b.tell("acquire.line_share_115200_4x10", r.share, r.n)
	b.tell("acquire.line_share_115200_over_best_peer", r.share/best, r.n)
	return nil
}
