package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	goburrow "github.com/goburrow/modbus"
	simon "github.com/simonvetter/modbus"
)

const peerEnv = "TOCSIN_FIGURES_PEER"

// peer is another library's reader as a process of its own, so that its
// processor time can be told from the bench's.
type peer struct {
	Library string        `json:"library"`
	Path    string        `json:"path,omitempty"` // a port
	Baud    int           `json:"baud,omitempty"`
	Addrs   []string      `json:"addrs,omitempty"` // or servers
	Units   int           `json:"units"`
	Count   int           `json:"count"`
	Every   time.Duration `json:"every"`
	// Timeout is how long a unit may take; 300 ms unless told.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Tally names a file: the mixed blocks are read in turn, and what came of it
	// is counted there.
	Tally string `json:"tally,omitempty"`
}

// libraries are the peers that are measured.
var libraries = []string{"goburrow", "simonvetter"}

// start runs the reader until stop.
func (p peer) start() (pid int, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, nil, err
	}
	b, err := json.Marshal(p)
	if err != nil {
		return 0, nil, err
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), peerEnv+"="+string(b))
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return 0, nil, err
	}
	return c.Process.Pid, func() { c.Process.Kill(); c.Wait() }, nil
}

// readAsPeerIfAsked is that process.
func readAsPeerIfAsked() {
	text := os.Getenv(peerEnv)
	if text == "" {
		return
	}
	var p peer
	err := json.Unmarshal([]byte(text), &p)
	if err == nil {
		err = p.read()
	}
	fmt.Fprintln(os.Stderr, "peer:", err)
	os.Exit(1)
}

func (p peer) read() error {
	if len(p.Addrs) == 0 {
		read, err := p.open("")
		if err != nil {
			return err
		}
		if p.Tally != "" {
			return p.judge(read)
		}
		p.loop(read)
	}
	var all sync.WaitGroup
	for _, a := range p.Addrs {
		read, err := p.open(a)
		if err != nil {
			return err
		}
		all.Go(func() { p.loop(read) })
	}
	all.Wait()
	return nil
}

// reads gives the registers that a library was answered with.
type reads func(unit byte, input bool, addr, count uint16) ([]uint16, error)

func (p peer) loop(read reads) {
	for next := time.Now(); ; {
		for u := 1; u <= p.Units; u++ {
			read(byte(u), false, 0, uint16(p.Count)) // what fails is asked again in its turn, as their users do
		}
		if p.Every > 0 {
			next = next.Add(p.Every)
			time.Sleep(time.Until(next))
		}
	}
}

// open gives the reading of registers with the library's own handler.
func (p peer) open(addr string) (reads, error) {
	timeout := cmp.Or(p.Timeout, 300*time.Millisecond)
	burrow := func(unit *byte, c goburrow.Client) reads {
		return func(u byte, input bool, addr, n uint16) ([]uint16, error) {
			*unit = u
			b, err := choose(input, c.ReadInputRegisters, c.ReadHoldingRegisters)(addr, n)
			out := make([]uint16, len(b)/2)
			for i := range out {
				out[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
			}
			return out, err
		}
	}
	switch {
	case p.Library == "goburrow" && addr == "":
		h := goburrow.NewRTUClientHandler(p.Path)
		h.BaudRate, h.DataBits, h.Parity, h.StopBits, h.Timeout = p.Baud, 8, "N", 1, timeout
		return burrow(&h.SlaveId, goburrow.NewClient(h)), h.Connect()
	case p.Library == "goburrow":
		h := goburrow.NewTCPClientHandler(addr)
		h.Timeout = timeout
		return burrow(&h.SlaveId, goburrow.NewClient(h)), h.Connect()
	case p.Library == "simonvetter":
		o := &simon.ClientConfiguration{URL: "tcp://" + addr, Timeout: timeout}
		if addr == "" {
			o = &simon.ClientConfiguration{URL: "rtu://" + p.Path, Speed: uint(p.Baud), DataBits: 8, Parity: simon.PARITY_NONE, StopBits: 1, Timeout: timeout}
		}
		c, err := simon.NewClient(o)
		if err != nil {
			return nil, err
		}
		return func(u byte, input bool, addr, n uint16) ([]uint16, error) {
			c.SetUnitId(u)
			return c.ReadRegisters(addr, n, choose(input, simon.INPUT_REGISTER, simon.HOLDING_REGISTER))
		}, c.Open()
	}
	return nil, fmt.Errorf("no peer is named %q", p.Library)
}

// cpu is the processor time that a process and its threads have had.
func cpu(pid int) (time.Duration, error) {
	p, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(p), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is short", pid)
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
	return time.Duration(atoi(f[11])+atoi(f[12])) * tick, nil
}

// busy is the share of one processor, in percent, that a process takes over a
// window.
func (b *bench) busy(pid int, window time.Duration) (float64, error) {
	before, err := cpu(pid)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := b.pause(window); err != nil {
		return 0, err
	}
	after, err := cpu(pid)
	if err != nil {
		return 0, err
	}
	return 100 * float64(after-before) / float64(time.Since(begin)), nil
}

// load is the machine's load over the last minute, for the log.
func load() string {
	p, _ := os.ReadFile("/proc/loadavg")
	s, _, _ := strings.Cut(string(p), " ")
	return s
}
