package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tocsin/hwtest/gauge"
	"tocsin/hwtest/line"
)

const (
	tcpSlaves    = 50
	tcpRegisters = 100
)

// tcpSide is fifty Modbus TCP slaves of a hundred registers.
type tcpSide struct {
	slaves []*line.TCP
	addrs  []string
}

func newTCPSide() (*tcpSide, error) {
	s := &tcpSide{}
	for range tcpSlaves {
		t, err := line.NewTCP("127.0.0.1:0")
		if err != nil {
			s.close()
			return nil, err
		}
		t.Attach(1, gauge.NewPattern(1, tcpRegisters, time.Now(), 0))
		s.slaves, s.addrs = append(s.slaves, t), append(s.addrs, t.Addr())
	}
	return s, nil
}

func (s *tcpSide) close() {
	for _, t := range s.slaves {
		t.Close()
	}
}

func (s *tcpSide) answers() (n int) {
	for _, t := range s.slaves {
		n += t.Counters().Answers
	}
	return n
}

// site writes a site that reads every register as a point each; rules says that
// each slave has a threshold.
func (s *tcpSide) site(b *bench, every time.Duration, rules bool) (string, error) {
	file, err := b.site("")
	if err != nil {
		return "", err
	}
	name, err := profileOf(file, tcpRegisters)
	if err != nil {
		return "", err
	}
	var lines, devices, hazards strings.Builder
	for i, a := range s.addrs {
		fmt.Fprintf(&lines, "  l%d: {tcp: \"%s\"}\n", i, a)
		fmt.Fprintf(&devices, "  d%d: {profile: %s, line: l%d, unit: 1, every: %v}\n", i, name, i, every)
		fmt.Fprintf(&hazards, "  h%d: {set_by: {name: 台架, date: 2026-05-12}, any_of: [{point: d%d.r7, prepare: 5000 V, evacuate: 6000 V, clear_below: 4000 V, for: 0s}]}\n", i, i)
	}
	text := siteHead + "history: {off: true}\nlines:\n" + lines.String() + "devices:\n" + devices.String()
	if rules {
		text += fmt.Sprintf("outputs: {horn: {kind: loudspeaker, file: %s}}\nrules:\n%splan: bench\n", filepath.Join(b.dir, "horn"), hazards.String())
	}
	return file, os.WriteFile(file, []byte(text), 0o644)
}

// onTCP measures a reader of all of them.
func (b *bench) onTCP(every time.Duration, rules bool, who string) (share, rss float64, n int, err error) {
	s, err := newTCPSide()
	if err != nil {
		return 0, 0, 0, err
	}
	defer s.close()
	var pid int
	if who == ours {
		file, err := s.site(b, every, rules)
		if err != nil {
			return 0, 0, 0, err
		}
		x, err := b.startArmed(file, filepath.Join(b.dir, "data-"+every.String()))
		if err != nil {
			return 0, 0, 0, err
		}
		defer x.end()
		pid = x.cmd.Process.Pid
	} else {
		p, stop, err := peer{Library: who, Addrs: s.addrs, Units: 1, Count: tcpRegisters, Every: every}.start()
		if err != nil {
			return 0, 0, 0, err
		}
		defer stop()
		pid = p
	}
	if err := b.pause(choose(b.long, 10*time.Second, 3*time.Second)); err != nil {
		return 0, 0, 0, err
	}
	before, begin := s.answers(), time.Now()
	share, err = b.busy(pid, choose(b.long, 2*time.Minute, 30*time.Second))
	if err != nil {
		return 0, 0, 0, err
	}
	n = s.answers() - before
	rate := float64(n) / time.Since(begin).Seconds()
	m, err := memoryOf(pid)
	if err != nil {
		return 0, 0, 0, err
	}
	rss = m.rss
	b.log("%s, %d slaves of %d registers each %v: %.2f %% of a processor, %v, %.0f answers a second, load %s", who, tcpSlaves, tcpRegisters, every, share, m, rate, load())
	if want := tcpSlaves / every.Seconds(); rate < 0.95*want {
		return 0, 0, 0, fmt.Errorf("%s reads %.0f times a second, not %.0f: what it takes tells nothing", who, rate, want)
	}
	return share, rss, n, nil
}

func tcpSlow(b *bench) error {
	for _, who := range libraries {
		share, rss, n, err := b.onTCP(time.Second, false, who)
		if err != nil {
			return err
		}
		b.beside("acquire.tcp_50x100_1s_cpu_pct", who, share, n)
		b.beside("acquire.tcp_50x100_rss_mib", who, rss, n)
	}
	share, rss, n, err := b.onTCP(time.Second, false, ours)
	if err != nil {
		return err
	}
	b.tell("acquire.tcp_50x100_1s_cpu_pct", share, n)
	b.tell("acquire.tcp_50x100_rss_mib", rss, n)
	return nil
}

func tcpFast(b *bench) error {
	for _, who := range libraries {
		share, _, n, err := b.onTCP(100*time.Millisecond, true, who)
		if err != nil {
			return err
		}
		b.beside("acquire.tcp_50x100_100ms_cpu_pct", who, share, n)
	}
	share, _, n, err := b.onTCP(100*time.Millisecond, true, ours)
	if err != nil {
		return err
	}
	b.tell("acquire.tcp_50x100_100ms_cpu_pct", share, n)
	return nil
}
