package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf16"

	"golang.org/x/sys/unix"
)

// A new box has no paper label yet, and no keyboard. While nobody owns it, what stands on
// the label is shown on the display that is plugged into it (and there alone: not on a
// serial line, which may be the instruments', nor in any log), and its access point is up.
// Who has no display writes the access point's key and the set-up code onto the card before.

const (
	display    = "/dev/tty1"
	mostPreset = 4096
	labelEvery = 5 * time.Minute // what the kernel prints scrolls it away
	labelRetry = 5 * time.Second // until it was shown once
)

// showLabel shows the label while nobody owns the box.
func (b *board) showLabel(ctx context.Context) {
	ap, err := readAccess()
	if err != nil {
		b.say("access point: %v", err)
	}
	for once, next := true, labelEvery; ctx.Err() == nil; {
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
		text := ""
		if err == nil && l.Open <= 0 {
			return
		}
		if err == nil {
			text, err = b.tool(20*time.Second, "edged", "label", "--lang", "en")
		}
		next = labelEvery
		if err != nil {
			b.say("label: %v", err)
			text, next = "", labelRetry
		}
		fresh := once && !hadOwner(filepath.Dir(apFile()))
		if fresh || once && err == nil {
			b.net.service(serviceFor)
		}
		if fresh || err == nil {
			show(display, fmt.Sprintf("\n%s\nWi-Fi of this box, for %d min after a start: %s  key: %s  then https://%s/\n", text, int(serviceFor.Minutes()), ap.SSID, ap.Key, apAddress.Addr()))
		}
		once = false
		if !pause(ctx, next) {
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

// presetFiles are what a person may have called the file on the card's first partition:
// Windows hides the ending, and then it is there twice.
var presetFiles = []string{"setup.txt", "setup.txt.txt"}

// refusedName is what the access point is called where that file is not as it should be:
// the one sign that a box without a display can give.
const refusedName = "tocsin-setup-error"

// firstKeys makes the access point's name and key: of what stands on the card, else by
// chance. A set-up code that stands there is laid where edged looks for the one that it
// made (serve/access, token.go). Until there is an owner, the card is read at each start.
func (b *board) firstKeys() error {
	s, err := readAccess()
	made := err == nil && s.Key != "" && s.SSID != refusedName
	if made && hadOwner(filepath.Dir(apFile())) {
		return nil
	}
	if !made {
		s = apSecret{SSID: "tocsin-" + chance("0123456789abcdef", 4), Key: chance("23456789abcdefghjkmnpqrstuvwxyz", 12)}
		// A box that was reset keeps what its label says.
		var old apSecret
		if json.Unmarshal(labelBefore(dataDir), &old) == nil && old.Key != "" && old.SSID != refusedName {
			s = old
		}
	}
	for _, name := range presetFiles {
		t, err := b.cardFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			b.say("the card's %s: %v", name, err)
			break
		}
		theirs, code, line := preset(t)
		if line != 0 {
			b.say("the card's %s: line %d is not as it should be: name, key (8 to 63 letters) and code (10 letters) are needed, each once", name, line)
			s.SSID = refusedName
			break
		}
		s, made = theirs, false
		if err := b.keepFor("setup-secret", []byte(code+"\n")); err != nil {
			return err
		}
		break
	}
	if made && s.SSID != refusedName {
		return nil
	}
	t, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return b.keepFor(filepath.Base(apFile()), t)
}

// hadOwner tells whether somebody had an account on the box.
func hadOwner(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "accounts.json"))
	return err == nil
}

// keepFor writes a file of edged's that only edged reads. The folder is edged's, and what
// it may have made a link there leads nowhere outside.
func (b *board) keepFor(name string, t []byte) error {
	r, err := os.OpenRoot(filepath.Dir(apFile()))
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := r.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(t)
	return errors.Join(err, f.Chown(boxUser, boxUser), f.Sync(), f.Close())
}

// codeLetters are those of a set-up code (serve/access, token.go): none looks like another.
const codeLetters = "ACDEFGHJKMNPQRTUVWXY34679"

// preset reads "name: …", "key: …" and "code: …" of a file that a person wrote, in UTF-8 or
// as Windows has it (UTF-16), with the colons and letters of a Chinese keyboard. All three
// are needed; line is that of the first which is not as it should be, 0 for none.
func preset(t []byte) (s apSecret, code string, line int) {
	lines := strings.Split(strings.TrimRight(plain(t), "\r\n \t"), "\n")
	for n, l := range lines {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		k, v, _ := strings.Cut(strings.Replace(l, "：", ":", 1), ":")
		v = strings.TrimSpace(v)
		ok := false
		switch strings.ToLower(narrow(strings.TrimSpace(k))) {
		case "name":
			ok = s.SSID == "" && v != "" && (setting{DHCP: true, WiFi: &wifi{v, "12345678"}}).check("wlan0") == nil
			s.SSID = v
		case "key":
			v = narrow(v)
			ok = s.Key == "" && len(v) >= 8 && (setting{DHCP: true, WiFi: &wifi{"x", v}}).check("wlan0") == nil
			s.Key = v
		case "code":
			v = strings.NewReplacer("-", "", " ", "").Replace(strings.ToUpper(narrow(v)))
			ok = code == "" && len(v) == 10 && strings.Trim(v, codeLetters) == ""
			code = v
		}
		if !ok {
			return apSecret{}, "", n + 1
		}
	}
	if s.SSID == "" || s.Key == "" || code == "" {
		return apSecret{}, "", max(len(lines), 1)
	}
	return s, code, 0
}

// plain makes a text file UTF-8.
func plain(t []byte) string {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(t, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(t, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return string(bytes.TrimPrefix(t, []byte("\ufeff")))
	}
	var u []uint16
	for t = t[2:]; len(t) >= 2; t = t[2:] {
		u = append(u, order.Uint16(t))
	}
	return string(utf16.Decode(u))
}

// narrow makes full-width letters (U+FF01 to U+FF5E) plain ones.
func narrow(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0xff01 && r <= 0xff5e:
			return r - 0xfee0
		case r == 0x3000:
			return ' '
		case r == '—' || r == '–':
			return '-'
		}
		return r
	}, s)
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
