// Package board joins the installer of two slots with the board that it runs on: its init
// keeps the disk, the boot loader's choice and the switch, and gives edged, which runs
// without rights, what of them it may have. No device of a slot is edged's to open: init
// opens it and hands the descriptor over, and no child of edged's inherits that.
//
// Init is asked on a socket: one JSON object on a line, answered by one (images/init,
// control.go). Its answers are bounded, and late ones are given up.
package board

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
	"tocsin/firmware/update"
	"tocsin/firmware/update/pack"
	"tocsin/firmware/update/slots"
)

// Init is the board's first process.
type Init struct{ Socket string }

// Status is what init says of the board.
type Status struct {
	Version string            `json:"version"`
	Slot    string            `json:"slot"`
	Args    map[string]string `json:"args"`
	// Firmware: the board's firmware chooses the slot, by autoboot.txt.
	Firmware bool   `json:"firmware"`
	Data     Data   `json:"data"`
	Starts   int    `json:"starts"`
	LastEnd  string `json:"last_end"`
	// Crash is the last that the boot before said before it died; "" for nothing.
	Crash      string    `json:"crash"`
	ResetUntil time.Time `json:"reset_until"`
}

// Data is how the board keeps what is kept: "disk", "mended", "anew" or "memory", and why.
type Data struct {
	How   string `json:"how"`
	Why   string `json:"why"`
	Aside string `json:"aside"`
	// Spare is when the spare copy was made from which the box was put together; zero for not.
	Spare time.Time `json:"spare"`
	// Mended: things are kept in memory, and the partition is whole again from the next start on.
	Mended bool `json:"mended"`
}

type request struct {
	Do          string `json:"do"`
	Why         string `json:"why,omitempty"`
	Slot        string `json:"slot,omitempty"`
	Write       bool   `json:"write,omitempty"`
	Network     any    `json:"network,omitempty"`
	Environment []byte `json:"environment,omitempty"`
}

type answer struct {
	Err    string  `json:"err"`
	Status *Status `json:"status"`
	Bytes  []byte  `json:"bytes"`
	Text   string  `json:"text"`
}

const (
	patience   = 20 * time.Second
	mostAnswer = 1 << 20
)

func (i Init) ask(q request) (a answer, err error) {
	err = i.call(q, func(c *net.UnixConn) error {
		a, err = hear(c)
		return err
	})
	return a, err
}

// call sends a request and has hear read what comes of it.
func (i Init) call(q request, hear func(*net.UnixConn) error) (err error) {
	defer func() {
		var no refused
		switch {
		case errors.As(err, &no):
			err = phrase.Wrap(err, "update.init_refused", "err", err)
		case err != nil:
			err = phrase.Wrap(err, "update.no_init", "err", err)
		}
	}()
	conn, err := net.DialTimeout("unix", i.Socket, patience)
	if err != nil {
		return err
	}
	c := conn.(*net.UnixConn)
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := json.NewEncoder(c).Encode(q); err != nil {
		return err
	}
	return hear(c)
}

// hear reads an answer.
func hear(r io.Reader) (a answer, err error) {
	line, err := bufio.NewReader(io.LimitReader(r, mostAnswer)).ReadBytes('\n')
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, err
	}
	if a.Err != "" {
		return a, refused(a.Err)
	}
	return a, nil
}

// refused is what init says where it does not do what it is asked.
type refused string

func (r refused) Error() string { return string(r) }

// Status asks how the board stands.
func (i Init) Status() (Status, error) {
	a, err := i.ask(request{Do: "status"})
	if err == nil && a.Status == nil {
		err = phrase.E("update.no_init", "err", "no status")
	}
	if err != nil {
		return Status{}, err
	}
	return *a.Status, nil
}

// Kept gives what the board still knows of the time before this program began: after a reset
// what the kernel kept over it, else what init heard in this boot.
func (i Init) Kept(reset bool) (string, error) {
	do := "log"
	if reset {
		do = "kept"
	}
	a, err := i.ask(request{Do: do})
	return a.Text, err
}

// Restart starts the board anew, in a moment.
func (i Init) Restart(why string) error {
	_, err := i.ask(request{Do: "restart", Why: why})
	return err
}

// Try starts the board anew with another slot, once.
func (i Init) Try(slot, why string) error {
	_, err := i.ask(request{Do: "restart", Why: why, Slot: slot})
	return err
}

// Slot tells which slot the board's firmware starts by itself.
func (i Init) Slot() (string, error) {
	a, err := i.ask(request{Do: "autoboot"})
	return a.Text, err
}

// Point changes that.
func (i Init) Point(slot string) error {
	_, err := i.ask(request{Do: "autoboot", Slot: slot})
	return err
}

// Reset sets aside all that the board keeps, while its button allows that, and starts it anew.
func (i Init) Reset(who string) error {
	_, err := i.ask(request{Do: "reset", Why: who})
	return err
}

// Network makes interfaces what they shall be; settings are reach/network's.
func (i Init) Network(settings any) error {
	_, err := i.ask(request{Do: "network", Network: settings})
	return err
}

// Read reads the boot loader's choice.
func (i Init) Read() (slots.Choice, error) {
	a, err := i.ask(request{Do: "environment"})
	if err != nil {
		return slots.Choice{}, err
	}
	if len(a.Bytes) != 2*slots.EnvironmentSize {
		return slots.Choice{}, slots.ErrNoEnvironment
	}
	return slots.ParseEnvironment(a.Bytes[:slots.EnvironmentSize], a.Bytes[slots.EnvironmentSize:])
}

// Write writes it.
func (i Init) Write(c slots.Choice) error {
	b, err := c.Environment()
	if err != nil {
		return err
	}
	_, err = i.ask(request{Do: "environment", Environment: b})
	return err
}

// Config is configs/update.yaml.
type Config struct {
	Version int `yaml:"version"`
	// Need are the kinds of signature that a release must have, one of each.
	Need []trust.Kind `yaml:"need"`
	// Keys is the folder of the releasers' public keys, PEM files.
	Keys string `yaml:"keys"`
	// Boards gives each board's name in manifests, by what its device tree says it is.
	Boards map[string]string `yaml:"boards"`
	// Stick says what becomes of releases that a USB stick brings.
	Stick struct {
		// Enabled: a genuine, newer release for this board is taken in and tried, while no
		// level stands. Without it sticks are not looked at.
		Enabled bool `yaml:"enabled"`
	} `yaml:"stick"`
}

// ParseConfig reads it.
func ParseConfig(b []byte) (c Config, err error) {
	if err := yaml.UnmarshalWithOptions(b, &c, yaml.Strict()); err != nil {
		return c, err
	}
	if c.Version != 1 || len(c.Need) == 0 || c.Keys == "" || len(c.Boards) == 0 {
		return c, errors.New("version: 1, need, keys and boards are needed")
	}
	for _, k := range c.Need {
		if k != trust.Ed25519 && k != trust.SM2 {
			return c, fmt.Errorf("need: %q is no kind of signature that releases have", k)
		}
	}
	return c, nil
}

// hardware gives this board's name: the device tree's "compatible", most particular first
// (Devicetree Specification, 2.3.1).
func (c Config) hardware(compatible string) (string, error) {
	for name := range strings.SplitSeq(strings.TrimRight(compatible, "\x00"), "\x00") {
		if b := c.Boards[name]; b != "" {
			return b, nil
		}
	}
	return "", phrase.E("update.unknown_board", "board", strings.ReplaceAll(strings.TrimRight(compatible, "\x00"), "\x00", ", "))
}

// imageBoards names in an image what its slots are for, a name on a line.
const imageBoards = "/etc/tocsin/boards"

// named gives this board's name: what its device tree says, where the image is for that;
// an image for boards that have no names of their own is for one name, and that is theirs.
func (c Config) named(tree, image string) (string, error) {
	name, err := c.hardware(tree)
	t, e := os.ReadFile(image)
	if e != nil { // edged on a board whose image says nothing
		return name, err
	}
	names := strings.Fields(string(t))
	if err == nil && slices.Contains(names, name) {
		return name, nil
	}
	if len(names) == 1 {
		return names[0], nil
	}
	if err == nil {
		err = phrase.E("update.unknown_board", "board", name)
	}
	return "", err
}

const compatibleFile = "/proc/device-tree/compatible"

// Open opens the installer of the board whose init answers on a socket.
func Open(socket string, c Config, now func() clock.Stamp, running update.Release, may func() error) (*slots.Installer, error) {
	init := Init{socket}
	s, err := init.Status()
	if err != nil {
		return nil, err
	}
	tree, err := os.ReadFile(compatibleFile)
	if err != nil {
		return nil, err
	}
	hardware, err := c.named(string(tree), imageBoards)
	if err != nil {
		return nil, err
	}
	selector, reboot, err := init.chooser(s)
	if err != nil {
		return nil, err
	}
	a, err := init.Part("A", false)
	if err != nil {
		return nil, err
	}
	b, err := init.Part("B", false)
	if err != nil {
		a.Close()
		return nil, err
	}
	i, err := slots.Open(slots.Opts{Selector: selector, Slots: map[string]slots.Slot{"A": a, "B": b}, Running: s.Slot, Hardware: hardware, Rule: pack.Rule{Keys: pack.Keys(c.Keys), Need: c.Need},
		Write: func(use func(slots.Partition) error) error { return init.Into(other(s.Slot), use) },
		Now:   now, Reboot: reboot, May: may, Crash: s.Crash, Factory: running})
	if err != nil {
		a.Close()
		b.Close()
	}
	return i, err
}

// chooser gives what chooses the slot of this board, and how it starts anew: U-Boot by its
// environment, or a firmware by autoboot.txt. A board where neither is there is not updated,
// since nobody would take a bad release back.
func (i Init) chooser(s Status) (slots.Selector, func(string) error, error) {
	if !s.Firmware {
		if s.Args["slot"] == "" {
			return nil, nil, phrase.E("update.no_loader")
		}
		return i, i.Restart, nil
	}
	if _, err := i.Slot(); err != nil {
		return nil, nil, phrase.Wrap(err, "update.no_autoboot", "err", err)
	}
	return slots.Tryboot{Kept: i, Pointer: i, Running: s.Slot}, func(why string) error {
		if c, err := i.Read(); err == nil && c.Next != "" && c.Next != s.Slot {
			return i.Try(c.Next, why)
		}
		return i.Restart(why)
	}, nil
}
