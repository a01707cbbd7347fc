package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"tocsin/firmware/phrase"
)

const (
	// keepSlot is the place of one value in its file; two are written in turn, so that a
	// torn write leaves the other.
	keepSlot = 4096
	keepHead = 4 + 8 + 2 // checksum, turn, length
	keepMost = keepSlot - keepHead
	keepJobs = 256
)

// Keeper keeps what narrow links must not forget: one file a key, each value synced
// before Put says so. Run it; one goroutine writes, in the order of Put.
type Keeper struct {
	dir   string
	jobs  chan keepJob
	turns map[string]uint64 // Run's own
}

type keepJob struct {
	key   string
	value []byte
	done  chan error
}

// NewKeeper makes one over a directory.
func NewKeeper(dir string) (*Keeper, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, phrase.Wrap(err, "hubd.data_dir", "dir", dir)
	}
	return &Keeper{dir: dir, jobs: make(chan keepJob, keepJobs), turns: map[string]uint64{}}, nil
}

// file is where a key is kept.
func (k *Keeper) file(key string) string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = "k" + url.PathEscape(p) // never "..", never empty
	}
	parts[len(parts)-1] += ".v" // no directory of another key
	return filepath.Join(k.dir, filepath.Join(parts...))
}

// Get reads a value. One that was kept and cannot be read is given as no value that anybody wrote, so that
// whoever asks finds it damaged and does not begin anew.
func (k *Keeper) Get(key string) ([]byte, bool) {
	v, _, err := readKept(k.file(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	if err != nil {
		return []byte("?"), true
	}
	return v, true
}

// readKept gives the newer of a file's two values, and its turn.
func readKept(file string) (value []byte, turn uint64, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, 0, err
	}
	found := false
	for at := 0; at+keepHead <= len(b) && at <= keepSlot; at += keepSlot {
		s := b[at:min(at+keepSlot, len(b))]
		n := int(binary.BigEndian.Uint16(s[12:]))
		if keepHead+n > len(s) || crc32.ChecksumIEEE(s[4:keepHead+n]) != binary.BigEndian.Uint32(s) {
			continue
		}
		if t := binary.BigEndian.Uint64(s[4:]); !found || t > turn {
			value, turn, found = s[keepHead:keepHead+n], t, true
		}
	}
	if !found {
		return nil, 0, phrase.E("hubd.kept_damaged", "file", file)
	}
	return value, turn, nil
}

// Put keeps a value.
func (k *Keeper) Put(ctx context.Context, key string, value []byte) error {
	if len(value) > keepMost {
		return phrase.E("hubd.kept_long", "bytes", len(value), "most", keepMost)
	}
	j := keepJob{key, append([]byte(nil), value...), make(chan error, 1)}
	select {
	case k.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run writes until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case j := <-k.jobs:
			j.done <- k.write(j.key, j.value)
		}
	}
}

func (k *Keeper) write(key string, value []byte) error {
	file := k.file(key)
	turn, known := k.turns[key]
	if !known {
		switch _, t, err := readKept(file); {
		case err == nil:
			turn = t
		case errors.Is(err, fs.ErrNotExist):
			return k.first(key, file, value)
		default:
			return err
		}
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	turn++
	_, err = f.WriteAt(kept(turn, value), int64(turn%2)*keepSlot)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		delete(k.turns, key) // it is read again
		return err
	}
	k.turns[key] = turn
	return nil
}

func kept(turn uint64, value []byte) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 4), turn)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(value))), value...)
	binary.BigEndian.PutUint32(b, crc32.ChecksumIEEE(b[4:]))
	return b
}

// first makes the file, whole, and has its name on the disk too.
func (k *Keeper) first(key, file string, value []byte) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := renameio.WriteFile(file, kept(0, value), 0o600); err != nil {
		return err
	}
	for {
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return err
		}
		if dir == k.dir || len(dir) <= len(k.dir) {
			k.turns[key] = 0
			return nil
		}
		dir = filepath.Dir(dir)
	}
}
