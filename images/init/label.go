package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A new box has no paper label yet, and no keyboard. While nobody owns it, what stands on
// the label is shown on the display that is plugged into it (and there alone: not on a
// serial line, which may be the instruments', nor in any log), and its access point is up.
// Who has no display writes the access point's key and the set-up code onto the card before.

const (
	display    = "/dev/tty1"
	presetFile = "setup.txt" // on the card's first partition
	mostPreset = 4096
	labelEvery = 5 * time.Minute // what the kernel prints scrolls it away
)

// showLabel shows the label while nobody owns the box.
func (b *board) showLabel(ctx context.Context) {
	ap, err := readAccess()
	if err != nil {
		b.say("access point: %v", err)
	}
	for once := true; ctx.Err() == nil; once = false {
		for !b.box.isReady() {
			if !pause(ctx, time.Second) {
				return
			}
		}
		out, err := b.tool(20*time.Second, "edged", "label", "--json")
		var l struct {
			Open time.Duration `json:"open_ns"`
		}
		if err == nil {
			err = json.Unmarshal([]byte(out), &l)
		}
		if err != nil {
			b.say("label: %v", err)
		} else if l.Open <= 0 {
			return
		} else {
			if once {
				b.net.service(serviceFor)
			}
			if text, err := b.tool(20*time.Second, "edged", "label", "--lang", "en"); err == nil {
				show(display, fmt.Sprintf("\n%s\nWi-Fi of this box, for %s after a start: %s  key: %s  then https://%s/\n", text, serviceFor, ap.SSID, ap.Key, apAddress.Addr()))
			}
		}
		if !pause(ctx, labelEvery) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// show writes to a display; a box without one shows nothing.
func show(path, text string) {
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = io.WriteString(f, text)
}

func readAccess() (s apSecret, err error) {
	t, err := os.ReadFile(apFile())
	if err == nil {
		err = json.Unmarshal(t, &s)
	}
	return s, err
}

// firstKeys makes the access point's name and key at a box's first start: of what stands
// on the card, else by chance. A set-up code that stands there is laid where edged looks
// for the one that it made; one that is none it does not take (serve/access, token.go).
func (b *board) firstKeys() error {
	if s, err := readAccess(); err == nil && s.Key != "" {
		return nil
	}
	s := apSecret{SSID: "tocsin-" + chance("0123456789abcdef", 4), Key: chance("23456789abcdefghjkmnpqrstuvwxyz", 12)}
	code := ""
	if t, err := b.cardFile(presetFile); err == nil {
		s, code = preset(t, s)
	} else if !errors.Is(err, fs.ErrNotExist) {
		b.say("the card's %s: %v", presetFile, err)
	}
	t, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if code != "" {
		if err := b.keepFor("setup-secret", []byte(code+"\n")); err != nil {
			return err
		}
	}
	return b.keepFor(filepath.Base(apFile()), t)
}

// keepFor writes a file of edged's that only edged reads.
func (b *board) keepFor(name string, t []byte) error {
	path := filepath.Join(filepath.Dir(apFile()), name)
	if err := os.WriteFile(path, t, 0o600); err != nil {
		return err
	}
	return os.Chown(path, boxUser, boxUser)
}

// preset takes lines "name: …", "key: …" and "code: …" of a file that a person wrote; what
// is wrong in it is left as it was made.
func preset(t []byte, s apSecret) (_ apSecret, code string) {
	for l := range strings.Lines(string(bytes.TrimPrefix(t, []byte("\ufeff")))) {
		k, v, _ := strings.Cut(strings.TrimSpace(l), ":")
		v = strings.TrimSpace(v)
		try := s
		switch strings.ToLower(strings.TrimSpace(k)) {
		case "name":
			try.SSID = v
		case "key":
			try.Key = v
		case "code":
			if c := strings.ReplaceAll(strings.ToUpper(v), "-", ""); len(c) == 10 {
				code = c
			}
		}
		if try.Key != "" && (setting{DHCP: true, WiFi: &wifi{try.SSID, try.Key}}).check("wlan0") == nil {
			s = try
		}
	}
	return s, code
}

// cardFile reads a small file of the card's first partition, which is mounted read-only
// for just that.
func (b *board) cardFile(name string) ([]byte, error) {
	if b.slots.Disk == "" {
		return nil, fs.ErrNotExist
	}
	const at = "/run/card"
	if err := os.MkdirAll(at, 0o700); err != nil {
		return nil, err
	}
	if err := unix.Mount(part(b.slots.Disk, "1"), at, "vfat", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return nil, err
	}
	defer func() { _ = unix.Unmount(at, unix.MNT_DETACH) }()
	f, err := os.Open(filepath.Join(at, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, mostPreset))
}

// chance is n letters of an alphabet, by chance.
func chance(alphabet string, n int) string {
	out := make([]byte, 0, n)
	var b [1]byte
	for len(out) < n {
		if _, err := rand.Read(b[:]); err != nil {
			continue
		}
		if most := 256 / len(alphabet) * len(alphabet); int(b[0]) < most { // each letter is as likely
			out = append(out, alphabet[int(b[0])%len(alphabet)])
		}
	}
	return string(out)
}
