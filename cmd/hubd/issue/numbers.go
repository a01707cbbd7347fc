package issue

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/phrase"
)

const (
	// daysKept is how long an update may still refer to what began a chain.
	daysKept    = 8
	entriesMost = 2048
	serialMost  = 255
	seqMost     = 7
	bookMost    = 4 << 20
)

// numbers is what an issuer has used, as it stands on the disk.
type numbers struct {
	Version int         `json:"version"`
	Day     compact.Day `json:"day"`    // the last on which something was signed
	Serial  int         `json:"serial"` // the last of that day; -1 none
	Entries []entry     `json:"entries"`
}

// entry is one document that was condensed.
type entry struct {
	// Document is the digest of its bytes and of what the person chose.
	Document string `json:"document"`
	// Key is its reference.
	Key string `json:"key"`
	// Chain and Sequence are what it got, Began the day on which its chain began.
	Began    compact.Day `json:"began"`
	Serial   int         `json:"serial"`
	Sequence int         `json:"sequence"`
	// Day is when it was issued, Body its 14 bytes.
	Day  compact.Day `json:"day"`
	Body []byte      `json:"body"`
}

// book is an issuer's numbers, held by one process.
type book struct {
	dir  string
	file string
	lock *os.File
	numbers
}

// openBook takes the numbers of an issuer; close gives them back.
func openBook(data string, issuer uint8) (*book, error) {
	b := &book{dir: filepath.Join(data, "issued"), numbers: numbers{Version: 1, Serial: -1}}
	b.file = filepath.Join(b.dir, fmt.Sprintf("%d.json", issuer))
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, phrase.Wrap(err, "hubd.data_dir", "dir", b.dir)
	}
	var err error
	if b.lock, err = os.OpenFile(filepath.Join(b.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, phrase.Wrap(err, "hubd.data_dir", "dir", b.dir)
	}
	if err := unix.Flock(int(b.lock.Fd()), unix.LOCK_EX); err != nil {
		b.close()
		return nil, phrase.Wrap(err, "hubd.data_dir", "dir", b.dir)
	}
	if err := b.read(); err != nil {
		b.close()
		return nil, phrase.Wrap(err, "hubd.issued", "file", b.file)
	}
	return b, nil
}

func (b *book) close() { b.lock.Close() }

func (b *book) read() error {
	st, err := os.Stat(b.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Size() > bookMost {
		return fs.ErrInvalid
	}
	raw, err := os.ReadFile(b.file)
	if err != nil {
		return err
	}
	var n numbers
	if err := json.Unmarshal(raw, &n); err != nil {
		return err
	}
	if n.Version != 1 || n.Serial < -1 || n.Serial > serialMost || n.Day < 0 {
		return fs.ErrInvalid
	}
	b.numbers = n
	return nil
}

// write has the numbers on the disk when it returns nil: the file, and its name.
func (b *book) write() error {
	raw, err := json.Marshal(b.numbers)
	if err == nil {
		err = renameio.WriteFile(b.file, raw, 0o600)
	}
	if err == nil {
		var d *os.File
		if d, err = os.Open(b.dir); err == nil {
			err = errors.Join(d.Sync(), d.Close())
		}
	}
	if err != nil {
		return phrase.Wrap(err, "hubd.issued", "file", b.file)
	}
	return nil
}

// reserve gives a document its number. The second result tells that it had one already.
func (b *book) reserve(document, key string, kind string, references []string, today compact.Day) (*entry, bool, error) {
	if i := slices.IndexFunc(b.Entries, func(e entry) bool { return e.Document == document }); i >= 0 && today-b.Entries[i].Day < daysKept && len(b.Entries[i].Body) > 0 {
		return &b.Entries[i], true, nil
	}
	if today < b.Day {
		return nil, false, phrase.E("hubd.issued_clock", "day", b.Day.At(0).Format("2006-01-02"))
	}
	if today > b.Day {
		b.Day, b.Serial = today, -1
	}
	e := entry{Document: document, Key: key, Day: today}
	switch kind {
	case "Update", "Cancel":
		i := slices.IndexFunc(b.Entries, func(e entry) bool { return slices.Contains(references, e.Key) && today-e.Began < daysKept })
		if i < 0 {
			return nil, false, phrase.E("hubd.issued_chain")
		}
		e.Began, e.Serial = b.Entries[i].Began, b.Entries[i].Serial
		if kind == "Update" {
			for _, x := range b.Entries {
				if x.Began == e.Began && x.Serial == e.Serial {
					e.Sequence = max(e.Sequence, x.Sequence)
				}
			}
			if e.Sequence++; e.Sequence > seqMost {
				return nil, false, phrase.E("hubd.issued_updates", "most", seqMost)
			}
		}
	default:
		if b.Serial >= serialMost {
			return nil, false, phrase.E("hubd.issued_full", "most", serialMost+1)
		}
		b.Serial++
		e.Began, e.Serial = today, b.Serial
	}
	b.Entries = slices.DeleteFunc(b.Entries, func(x entry) bool { return today-x.Began >= daysKept })
	b.Entries = append(b.Entries, e)
	if n := len(b.Entries) - entriesMost; n > 0 {
		b.Entries = b.Entries[n:]
	}
	return &b.Entries[len(b.Entries)-1], false, b.write()
}
