package drill

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"tocsin/firmware/guard"
	"tocsin/firmware/video/recorder"
)

// Told is what a life has said until its cut.
type Told struct {
	arrived [Cameras][]time.Duration // of each picture, by its number
	writing [Cameras]time.Duration   // how long the disk was at a write, at the last picture
	pins    [Cameras][]string
}

// Listen reads what a life says until it ends.
func Listen(r io.Reader) *Told {
	t := &Told{}
	for s := bufio.NewScanner(r); s.Scan(); {
		var camera, n int
		var at, writing int64
		var id string
		if _, err := fmt.Sscanf(s.Text(), "c %d %d %d %d", &camera, &n, &at, &writing); err == nil && n == len(t.arrived[camera]) {
			t.writing[camera] = time.Duration(writing)
			t.arrived[camera] = append(t.arrived[camera], time.Duration(at))
		} else if _, err := fmt.Sscanf(s.Text(), "p %d %s", &camera, &id); err == nil {
			t.pins[camera] = append(t.pins[camera], id)
		}
	}
	return t
}

// Verdict is what a cut has cost.
type Verdict struct {
	// Lost is the longest time before the cut of which nothing can be seen any more, of
	// all cameras.
	Lost time.Duration
	// Writing is how long the disk had been at a write then: what of Lost is the disk's.
	Writing time.Duration
	// Unreadable counts files that another's reader does not read to their end, or in
	// which a picture is not what it was.
	Unreadable int
	// Holes counts pictures that are missing before one that is there; Broken clips
	// that were promised and are gone, or whose hash does not hold, and segments that
	// were good after an earlier cut and are not now.
	Holes, Broken int
	// Pictures and Files were read.
	Pictures, Files int
	// Torn counts the segments that had to be cut.
	Torn int
	Why  []string
}

// Judge looks at what lives leave behind.
type Judge struct {
	dir    string
	lives  uint32
	before map[string]int // pictures of each segment at the last cut
}

// NewJudge judges the folder dir.
func NewJudge(dir string) *Judge { return &Judge{dir: dir, before: map[string]int{}} }

// After judges the life id, which was cut at an instant of the kernel's monotonic
// clock. It has the recorder mend what is there, as the next start would.
func (j *Judge) After(ctx context.Context, id uint32, t *Told, cut time.Duration) (v Verdict, err error) {
	now := map[string]int{}
	for camera := range Cameras {
		torn, err := j.mend(ctx, camera, t.pins[camera], &v)
		if err != nil {
			return v, err
		}
		v.Torn += torn
		have, err := j.read(camera, id, now, &v)
		if err != nil {
			return v, err
		}
		arrived := t.arrived[camera]
		for len(arrived) > 0 && arrived[len(arrived)-1] > cut {
			arrived = arrived[:len(arrived)-1]
		}
		slices.Sort(have)
		have = slices.Compact(have)
		for i, n := range have {
			if int(n) != i {
				v.Holes += int(n) - i
				v.Why = append(v.Why, fmt.Sprintf("camera %d: %d where %d should be", camera, n, i))
				break
			}
		}
		if len(have) < len(arrived) {
			if lost := cut - arrived[len(have)]; lost > v.Lost {
				v.Lost, v.Writing = lost, t.writing[camera]
			}
		}
	}
	// What was freed is the oldest: nothing older than it may still be there, and what is
	// there has not changed.
	for path, n := range j.before {
		if m, ok := now[path]; ok && m != n {
			v.Broken++
			v.Why = append(v.Why, fmt.Sprintf("%s had %d pictures and has %d", path, n, m))
		} else if !ok {
			for other := range now {
				if filepath.Dir(other) == filepath.Dir(path) && other < path {
					v.Broken++
					v.Why = append(v.Why, path+" is gone and an older one is not")
					break
				}
			}
		}
	}
	j.before = now
	return v, nil
}

// mend starts a recorder on what is left and has it finish its clips.
func (j *Judge) mend(ctx context.Context, camera int, pins []string, v *Verdict) (torn int, err error) {
	in, cancel := context.WithCancel(ctx)
	defer cancel()
	g := guard.New(in, slog.New(slog.DiscardHandler), nil)
	j.lives++
	r, err := recorder.Open(options(j.dir, camera, boot(1<<31+j.lives), g))
	if err != nil {
		return 0, err
	}
	var clips []recorder.Clip
	for end := time.Now().Add(30 * time.Second); ; {
		clips = r.Clips()
		if r.State().Ready && !slices.ContainsFunc(clips, func(c recorder.Clip) bool { return !c.Finished }) {
			break
		}
		if time.Now().After(end) {
			return 0, fmt.Errorf("the recorder does not come up again: %+v", r.State())
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	// Older ones may have gone to make room for the newest.
	if n := len(pins); n > 0 && !slices.ContainsFunc(clips, func(c recorder.Clip) bool { return c.ID == pins[n-1] }) {
		v.Broken++
		v.Why = append(v.Why, "clip "+pins[n-1]+" was promised and is gone")
	}
	for _, c := range clips {
		if err := j.hash(camera, c); err != nil {
			v.Broken++
			v.Why = append(v.Why, "clip "+c.ID+": "+err.Error())
		}
	}
	torn = r.State().Cut
	cancel()
	g.Wait(10 * time.Second)
	return torn, nil
}

// hash reads a clip by its list alone.
func (j *Judge) hash(camera int, c recorder.Clip) error {
	h := sha256.New()
	for _, p := range c.Pieces {
		b, err := os.ReadFile(filepath.Join(folder(j.dir, camera), "clips", c.ID, p.Segment))
		if err != nil {
			return err
		}
		if p.To > int64(len(b)) {
			return io.ErrUnexpectedEOF
		}
		h.Write(b[:p.Head])
		h.Write(b[p.From:p.To])
	}
	if c.Size > 0 && hex.EncodeToString(h.Sum(nil)) != c.SHA256 {
		return errors.New("another hash")
	}
	return nil
}

// read reads all files of a camera and gives the numbers of a life's pictures.
func (j *Judge) read(camera int, id uint32, now map[string]int, v *Verdict) (have []uint32, err error) {
	err = filepath.WalkDir(folder(j.dir, camera), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".mp4") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		v.Files++
		n, own, err := pictures(b, id)
		if err != nil {
			v.Unreadable++
			v.Why = append(v.Why, path+": "+err.Error())
			return nil
		}
		v.Pictures += n
		if filepath.Base(filepath.Dir(path)) == "ring" {
			now[path] = n
			have = append(have, own...)
		}
		return nil
	})
	if errors.Is(err, os.ErrNotExist) {
		err = nil // cut before the folder was made
	}
	return have, err
}

// pictures reads a file by mediacommon's reader: how many pictures it has, and the
// numbers of those that are of a life.
func pictures(b []byte, id uint32) (n int, own []uint32, err error) {
	var i fmp4.Init
	if err := i.Unmarshal(bytes.NewReader(b)); err != nil {
		return 0, nil, err
	}
	at := 0
	for range 2 { // ftyp, moov
		if len(b)-at < 8 {
			return 0, nil, io.ErrUnexpectedEOF
		}
		at += int(binary.BigEndian.Uint32(b[at:]))
	}
	var ps fmp4.Parts
	if err := ps.Unmarshal(b[at:]); err != nil {
		return 0, nil, err
	}
	for _, p := range ps {
		for _, t := range p.Tracks {
			for _, s := range t.Samples {
				var nals h264.AVCC
				if err := nals.Unmarshal(s.Payload); err != nil {
					return 0, nil, err
				}
				if len(nals) != 1 || len(nals[0]) < mark {
					return 0, nil, errors.New("a picture of another shape")
				}
				nal := nals[0]
				number := binary.BigEndian.Uint32(nal[5:])
				for i := mark; i < len(nal); i++ {
					if nal[i] != byte(uint32(i)+number) {
						return 0, nil, fmt.Errorf("picture %d is not what it was", number)
					}
				}
				n++
				if binary.BigEndian.Uint32(nal[1:]) == id {
					own = append(own, number)
				}
			}
		}
	}
	if n == 0 {
		return 0, nil, errors.New("no picture")
	}
	return n, own, nil
}
