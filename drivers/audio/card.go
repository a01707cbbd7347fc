//go:build linux

package audio

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"tocsin/drivers"
)

// Opts says which card is played on.
type Opts struct {
	// Card is the card's name in /proc/asound/cards (in brackets there), or its
	// number. Empty means the first card that there is. Names keep their card
	// when a USB device is plugged in again; numbers may not.
	Card string
	// Device is the PCM device of the card, mostly 0.
	Device int
	// Volume in percent of what the card's mixer can do, 1 to 100, is set at
	// each Open and unmutes. 0 leaves the mixer alone.
	Volume int

	kernel kernel // the tests' kernel; nil means the real one
}

// Card is a drivers.Player over one ALSA playback device.
type Card struct {
	o Opts
	k kernel
}

// New looks for the card. Where it is not there the error wraps
// drivers.ErrAbsent and the Card may be used all the same: each Open looks
// again, so that a USB card may come later.
func New(o Opts) (*Card, error) {
	c := &Card{o: o, k: o.kernel}
	if c.k == nil {
		c.k = linux{}
	}
	if o.Device < 0 || o.Device > 31 || o.Volume < 0 || o.Volume > 100 {
		return nil, fmt.Errorf("audio: device %d must be 0 to 31 and volume %d 0 to 100", o.Device, o.Volume)
	}
	_, err := c.number()
	return c, err
}

// Listed is a card as the kernel lists it.
type Listed struct {
	Number int
	Name   string
	// Title is the kernel's line about it.
	Title string
}

// Cards lists the sound cards of this board.
func Cards() ([]Listed, error) {
	b, err := linux{}.cards()
	if err != nil {
		return nil, fmt.Errorf("%w: no ALSA in the kernel: %w", drivers.ErrAbsent, err)
	}
	return parseCards(b), nil
}

// parseCards reads /proc/asound/cards: " 0 [PCH            ]: HDA-Intel - HDA
// Intel PCH", followed by a line of detail.
func parseCards(b []byte) []Listed {
	var all []Listed
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan() && len(all) < 32; {
		number, rest, ok := strings.Cut(s.Text(), "[")
		name, title, ok2 := strings.Cut(rest, "]")
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if !ok || !ok2 || err != nil || n < 0 || n > 255 {
			continue
		}
		all = append(all, Listed{Number: n, Name: strings.TrimSpace(name), Title: strings.TrimSpace(strings.TrimPrefix(title, ":"))})
	}
	return all
}

func (c *Card) number() (int, error) {
	b, err := c.k.cards()
	if err != nil {
		return 0, fmt.Errorf("%s: %w: no ALSA in the kernel: %w", c, drivers.ErrAbsent, err)
	}
	var names []string
	for _, l := range parseCards(b) {
		if c.o.Card == "" || c.o.Card == l.Name || c.o.Card == strconv.Itoa(l.Number) {
			return l.Number, nil
		}
		names = append(names, l.Name)
	}
	if len(names) == 0 {
		return 0, fmt.Errorf("%s: %w: the kernel lists no sound card", c, drivers.ErrAbsent)
	}
	return 0, fmt.Errorf("%s: %w: there are %s", c, drivers.ErrAbsent, strings.Join(names, ", "))
}

// String names the card and device.
func (c *Card) String() string {
	name := c.o.Card
	if name == "" {
		name = "first card"
	}
	return fmt.Sprintf("audio %s device %d", name, c.o.Device)
}

// Open prepares the card to play f and gives a *Sounding. A card that is not
// there is a FaultGone that wraps drivers.ErrAbsent; one that another program
// plays on is FaultRefused.
func (c *Card) Open(ctx context.Context, f drivers.Format) (drivers.Stream, error) {
	if f.Rate < 8000 || f.Rate > 192000 || f.Channels < 1 || f.Channels > 8 {
		return nil, &drivers.Fault{Kind: drivers.FaultOther, Detail: fmt.Sprintf("%s: no card plays %d channels at %d Hz", c, f.Channels, f.Rate)}
	}
	if err := ctx.Err(); err != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultCancelled, Detail: c.String(), Err: err}
	}
	n, err := c.number()
	if err != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultGone, Err: err}
	}
	fd, err := c.k.open(fmt.Sprintf("/dev/snd/pcmC%dD%dp", n, c.o.Device))
	if err != nil {
		return nil, c.fault("opening", err)
	}
	s := &Sounding{c: c, fd: fd, asked: f}
	if err := s.prepare(); err != nil {
		c.k.close(fd)
		return nil, err
	}
	s.mixer = c.mix(n)
	return s, nil
}

func (c *Card) fault(doing string, err error) *drivers.Fault {
	f := &drivers.Fault{Kind: drivers.FaultOther, Detail: c.String() + ": " + doing, Err: err}
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.EBADFD):
		f.Kind = drivers.FaultGone
	case errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.EAGAIN):
		f.Kind, f.Detail = drivers.FaultRefused, f.Detail+": another program plays on it"
	}
	return f
}

var _ drivers.Player = (*Card)(nil)
