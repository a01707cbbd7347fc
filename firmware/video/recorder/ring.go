package recorder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/clock"
)

const suffix = ".mp4"

// kept is a segment of the ring, or one that only a clip still links.
type kept struct {
	name     string
	label    label
	sum      uint32
	head     int64 // bytes of ftyp, moov and label
	size     int64 // good bytes
	from, to time.Duration
	ended    bool
}

// segmentName orders the names as the segments were recorded, whatever the clock says.
func segmentName(l label) string {
	return fmt.Sprintf("%010d-%s-%013d%s", l.order, short(l.boot), l.from.Milliseconds(), suffix)
}

// orderOf reads the order from a name.
func orderOf(name string) (uint64, bool) {
	n, _, ok := strings.Cut(name, "-")
	if !ok || len(n) != 10 || !strings.HasSuffix(name, suffix) {
		return 0, false
	}
	order, err := strconv.ParseUint(n, 10, 64)
	return order, err == nil
}

// mend reads what a folder of segments holds after a start: what was finished in order
// is believed by its end, all else is read from the head and cut behind its last good
// fragment. Files that are none of ours stay.
func mend(dir string, d disk) (all []*kept, cut int, err error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, err
	}
	changed := false
	var faults []error
	for _, e := range names {
		order, ours := orderOf(e.Name())
		if !ours || !e.Type().IsRegular() {
			continue
		}
		k, was, err := mendFile(filepath.Join(dir, e.Name()), d)
		switch {
		case err != nil:
			// A bad spot of the disk costs this segment and no other: it is shown to nobody,
			// counted, and freed in its turn.
			bad := &kept{name: e.Name(), label: label{order: order}}
			if i, err := e.Info(); err == nil {
				bad.size = i.Size()
			}
			all = append(all, bad)
		case k == nil:
			changed, cut = true, cut+1
		default:
			if was {
				changed, cut = true, cut+1
			}
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b *kept) int { return cmp.Compare(a.label.order, b.label.order) })
	if changed {
		faults = append(faults, syncDir(dir))
	}
	return all, cut, errors.Join(faults...)
}

// Mend cuts what is torn in a folder of segments that no recorder has open, as a start
// would, and tells how many are kept and how many were cut.
func Mend(dir string) (segments, cut int, err error) {
	o, err := Opts{Dir: dir, Stream: "-", Clock: clock.Func(nil), Quota: 1 << 30, Go: func(string, func(context.Context) error) {}}.withDefaults()
	if err != nil {
		return 0, 0, err
	}
	all, cut, err := mend(dir, o.disk)
	return len(all), cut, err
}

// mendFile gives nil where nothing of the file was good and it is gone.
func mendFile(path string, d disk) (k *kept, was bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if k, err := finished(f, i.Size()); err == nil {
		k.name = i.Name()
		return k, false, nil
	}
	k = &kept{name: i.Name()}
	end := ending{}
	s := scan(f, i.Size(), true, k.found(&end))
	var bad *fs.PathError
	if errors.As(s.why, &bad) {
		return nil, false, s.why // the disk, not the file
	}
	if end.fragments == 0 {
		f.Close()
		return nil, true, os.Remove(path)
	}
	k.size, k.from, k.to = s.good, end.from, end.to
	if s.ended {
		k.ended = true
		if s.good == i.Size() {
			return k, false, nil
		}
	} else {
		tail := end.appendTo(nil, k.sum)
		if err := d.write(f, tail, s.good); err != nil {
			return nil, false, err
		}
		k.size, k.ended = s.good+int64(len(tail)), true
	}
	if err := f.Truncate(k.size); err != nil {
		return nil, false, err
	}
	return k, true, d.sync(f)
}

// found notes what a scan finds.
func (k *kept) found(end *ending) func(piece) error {
	return func(p piece) error {
		if p.label != nil {
			if p.at != 0 {
				return errors.New("a second head in a segment")
			}
			k.label, k.sum, k.head = *p.label, p.sum, p.end
			return nil
		}
		if end.fragments == 0 {
			end.from = p.seal.from
		}
		end.fragments++
		end.to = max(end.to, p.seal.to)
		return nil
	}
}

// finished reads the head and the end of a segment that was closed in order.
func finished(f *os.File, size int64) (*kept, error) {
	k := &kept{size: size, ended: true}
	s := scanner{r: f, size: size}
	p, ended, err := s.next(0)
	if err != nil {
		return nil, err
	}
	if ended || p.label == nil || size < p.end+endSize {
		return nil, errors.New("no head")
	}
	k.label, k.sum, k.head = *p.label, p.sum, p.end
	b, err := s.whole(size-endSize, endSize, endSize)
	if err != nil {
		return nil, err
	}
	e, err := readEnding(b, k.sum)
	if err != nil {
		return nil, err
	}
	k.from, k.to = e.from, e.to
	return k, nil
}
