package gateway

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// block is how many counters are reserved at once.
const block = 1 << 20

// counters gives the hub's counters, none twice.
type counters struct {
	file string
	mu   sync.Mutex
	next uint64
	end  uint64
}

// openCounters begins behind what was reserved, and behind what a hub that began
// at the epoch could have used: so that a lost file gives none twice either,
// where the clock is right.
func openCounters(dir string, now time.Time) (*counters, error) {
	c := &counters{file: filepath.Join(dir, "counter")}
	b, err := os.ReadFile(c.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, phrase.Wrap(err, "hubd.counter", "file", c.file)
	case len(b) != 8:
		return nil, phrase.E("hubd.counter", "file", c.file)
	default:
		c.next = binary.BigEndian.Uint64(b)
	}
	c.next = max(c.next, uint64(max(now.Unix(), 1))<<16)
	c.end = c.next
	return c, nil
}

func (c *counters) take() (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == c.end {
		if err := renameio.WriteFile(c.file, binary.BigEndian.AppendUint64(nil, c.end+block), 0o600); err != nil {
			return 0, phrase.Wrap(err, "hubd.counter", "file", c.file)
		}
		c.end += block
	}
	c.next++
	return c.next - 1, nil
}

// slot is the place of one window in its file; two of them are written in turn, so
// that a torn write leaves the other.
const slot = 512

func windowFile(dir string, s letter.Station) string {
	return filepath.Join(dir, string(s)+".window")
}

// readWindow gives the newer of a file's two windows.
func readWindow(dir string, s letter.Station) (letter.Window, error) {
	b, err := os.ReadFile(windowFile(dir, s))
	if errors.Is(err, fs.ErrNotExist) {
		return letter.Window{}, nil
	}
	if err != nil {
		return letter.Window{}, err
	}
	var best letter.Window
	found := false
	size := len(best.Bytes())
	for at := 0; at+size <= len(b) && at <= slot; at += slot {
		if w, ok := letter.ReadWindow(b[at : at+size]); ok && (!found || w.Newest() >= best.Newest()) {
			best, found = w, true
		}
	}
	if !found {
		return letter.Window{}, phrase.E("hubd.window", "file", windowFile(dir, s))
	}
	return best, nil
}

// writeWindow writes a window into one of its two places, and syncs it.
func writeWindow(dir string, s letter.Station, w *letter.Window, second bool) error {
	f, err := os.OpenFile(windowFile(dir, s), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	at := int64(0)
	if second {
		at = slot
	}
	_, err = f.WriteAt(w.Bytes(), at)
	return errors.Join(err, f.Sync(), f.Close())
}
