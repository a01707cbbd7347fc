package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// MakeStick makes a USB stick with files in its root folder, by name, as a technician's
// computer does. wide is for FAT32; else it is FAT16.
func MakeStick(to string, mib int64, wide bool, files map[string]string) error {
	if err := os.WriteFile(to, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(to, mib<<20); err != nil {
		return err
	}
	args := []string{"-i", to, "-c", "4", "::"}
	if wide {
		args = []string{"-i", to, "-F", "-c", "1", "::"}
	}
	if err := mtool("mformat", args...); err != nil {
		return err
	}
	for name, from := range files {
		if err := mtool("mcopy", "-i", to, from, "::"+name); err != nil {
			return err
		}
	}
	return nil
}

// StickCase is a stick that somebody puts in, and what becomes of it.
type StickCase struct {
	Name string
	// Refused is the code of the reason that the page tells; "" where the release is tried
	// and stays.
	Refused string
	variant Variant
	spoil   func(stick string) error
}

// Sticks are the cases: the three of the figure first.
func Sticks() []StickCase {
	return []StickCase{
		{Name: "unsigned", Refused: "update.bad_signature", variant: Variant{Version: "v2", Above: 1, Forged: true}},
		{Name: "older", Refused: "update.older", variant: Variant{Version: "v0", Above: -1}},
		{Name: "signed", variant: Variant{Version: "v2", Above: 1}},
		{Name: "broken", Refused: "update.stick_unread", variant: Variant{Version: "v2", Above: 1}, spoil: func(stick string) error {
			f, err := os.OpenFile(stick, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			for at := int64(0); at < 4<<20; at += 16 { // its file system's own places, the mark of its first sector left
				if at == 0x1f0 {
					continue
				}
				if _, err := f.WriteAt([]byte{0xff, 0xf7, 1, 2, 0, 0xf0, 9, 9, 7, 0xff, 0xff, 0, 0x80, 0xfe, 3, 3}, at); err != nil {
					return err
				}
			}
			return nil
		}},
	}
}

// Stick puts a stick into a box that stands watch and waits for what becomes of it.
func (r *Rig) Stick(c StickCase) error {
	r.Close()
	file, err := r.Releases.Make(c.variant)
	if err != nil {
		return err
	}
	b, err := r.Box()
	if err != nil {
		return err
	}
	defer b.Off()
	b.Board.Stick = filepath.Join(b.Dir, "stick.img")
	files := map[string]string{"a release for the box 警钟.tocsin": file}
	if err := MakeStick(b.Board.Stick, 256, c.Refused == "", files); err != nil {
		return err
	}
	if c.spoil != nil {
		if err := c.spoil(b.Board.Stick); err != nil {
			return err
		}
	}
	t, err := r.open(b)
	if err != nil {
		return err
	}
	if c.Refused == "" {
		if err := b.Says("tocsin: slot B", 1, most); err != nil {
			return err
		}
		if err := b.Says(Armed, 2, most); err != nil {
			return err
		}
		if err := t.SignIn(); err != nil {
			return err
		}
		return b.Fine(t, "v2")
	}
	if err := r.stickRefused(t, c.Refused); err != nil {
		return err
	}
	s, err := b.Ends(t, r.own())
	if err == nil && s.Phase != "idle" {
		err = fmt.Errorf("it is %s", s.Phase)
	}
	return err
}

// stickRefused waits until the journal tells that a stick was refused, and holds the page's
// fault to it.
func (r *Rig) stickRefused(t *Technician, code string) error {
	for end := time.Now().Add(most); ; time.Sleep(time.Second) {
		told, err := t.Records()
		if err != nil {
			return err
		}
		for _, e := range told {
			if e.Kind != "update.refused" && e.Kind != "update.stick" {
				continue
			}
			r.Log("told: %s", e.Text.EN)
			if want := r.words(code); !strings.Contains(e.Text.EN, want) {
				return fmt.Errorf("it tells %q, not %q", e.Text.EN, want)
			}
			if e.Kind == "update.stick" {
				return nil
			}
			var faults []struct {
				Thing string `json:"thing"`
				Why   Told   `json:"why"`
			}
			if err := t.Ask("/faults", &faults, 20*time.Second); err != nil {
				return err
			}
			for _, f := range faults {
				if f.Thing == "update-stick" && strings.Contains(f.Why.EN, "refused") && f.Why.ZH != "" {
					return nil
				}
			}
			return fmt.Errorf("the page does not tell it: %+v", faults)
		}
		if time.Now().After(end) {
			return errors.New("nobody is told of the stick")
		}
	}
}

// words are those of a reason's text that tell it from others.
func (r *Rig) words(code string) string {
	return map[string]string{"update.bad_signature": "signature", "update.older": "is not newer", "update.stick_unread": "cannot be read"}[code]
}
