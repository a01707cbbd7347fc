package recorder

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// Alarm asks for a clip: what the stream saw From (before the alarm) To (after it), on
// the monotonic clock of this boot. Class is the message's: 0 matters most.
type Alarm struct {
	Cause    string
	Title    phrase.Text // what people call it
	Class    int
	From, To time.Duration
}

const (
	pinFile   = "pin.json"  // what was asked; it stands before the first link
	clipFile  = "clip.json" // the finished clip
	mostClips = 1024
	mostCause = 256
	longest   = 30 * time.Minute // of one clip
)

// Pin keeps a clip. When it returns, what is recorded of it so far is linked and the
// wish is durable; what is still to come is linked as it comes, and Opts.Pinned is
// told once it is finished.
//
// Clips have a quota of their own. To make room, delivered clips go first, the oldest
// before others; then undelivered ones that matter no more than the new one: the
// least class first, in a class the oldest. One that matters more, or as much and is
// newer, never goes for it; then it is short, and its Gap says so.
func (r *Recorder) Pin(ctx context.Context, a Alarm) (Clip, error) {
	if a.To <= a.From || a.To-a.From > longest || a.Cause == "" || len(a.Cause) > mostCause || len(a.Title.ZH) > mostCause || len(a.Title.EN) > mostCause {
		return Clip{}, phrase.E("recorder.pin_bad", "stream", r.o.Stream, "minutes", int(longest.Minutes()))
	}
	var c Clip
	var err error
	if e := r.do(ctx, func() { c, err = r.keeper.pin(a) }); e != nil {
		return Clip{}, phrase.Wrap(e, "recorder.pin_late", "stream", r.o.Stream)
	}
	if err != nil {
		return Clip{}, err
	}
	// Flushed beside the pictures, so that they do not wait for it.
	dir := filepath.Join(r.kept(), c.ID)
	if err := errors.Join(syncDir(filepath.Join(dir, pinFile)), syncDir(dir), syncDir(r.kept())); err != nil {
		return Clip{}, phrase.Wrap(err, "recorder.pin_failed", "stream", r.o.Stream)
	}
	return c, nil
}

func (k *keeper) pin(a Alarm) (Clip, error) {
	now := k.r.now()
	if err := k.recover(); err != nil {
		return Clip{}, phrase.Wrap(err, "recorder.pin_failed", "stream", k.r.o.Stream)
	}
	k.r.mu.Lock()
	taken, many := map[string]bool{}, len(k.r.clips) >= mostClips
	for _, c := range k.r.clips {
		taken[c.ID] = true
	}
	k.r.mu.Unlock()
	if many && !k.dropOne(&clip{Clip: Clip{Class: a.Class}}) {
		return Clip{}, phrase.E("recorder.pin_many", "stream", k.r.o.Stream, "most", mostClips)
	}
	// Two streams may be pinned in the same moment: the county keeps both in one folder.
	first := fmt.Sprintf("%s-%013d-%s", short(now.Boot), now.Mono.Milliseconds(), plain(k.r.o.Stream))
	id := first
	for n := 2; taken[id]; n++ {
		id = fmt.Sprintf("%s-%d", first, n)
	}
	c := &clip{Clip: Clip{ID: id, Stream: k.r.o.Stream, Cause: a.Cause, Title: a.Title, Class: a.Class, Boot: now.Boot, From: a.From, To: a.To, At: now}, links: map[string]*kept{}}
	dir := k.dir(c)
	err := os.Mkdir(dir, 0o750)
	var b []byte
	if err == nil {
		b, err = json.Marshal(c.Clip)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, pinFile), b, 0o640)
	}
	if err != nil {
		return Clip{}, phrase.Wrap(errors.Join(err, os.RemoveAll(dir)), "recorder.pin_failed", "stream", k.r.o.Stream)
	}
	wish := c.Clip // once it is listed, the clips' goroutine may finish it
	k.r.mu.Lock()
	k.r.clips = append(k.r.clips, c)
	k.r.mu.Unlock()
	k.link()
	return wish, nil
}

func (k *keeper) dir(c *clip) string { return filepath.Join(k.r.kept(), c.ID) }

// link gives every clip that is not finished its links to what the ring has of it. The
// clips' goroutine flushes them; until then a start makes them anew, while the ring
// still has its newest segments.
func (k *keeper) link() {
	type want struct {
		c  *clip
		id string
		s  *kept
	}
	var wants []want
	k.r.mu.Lock()
	for _, c := range k.r.clips {
		for _, s := range k.r.segs {
			if !c.Finished && c.links[s.name] == nil && c.covers(s) {
				wants = append(wants, want{c, c.ID, s})
			}
		}
	}
	k.r.mu.Unlock()
	added := false
	for _, w := range wants {
		c, s := w.c, w.s
		if !k.clipRoom(c, s) {
			continue
		}
		err := os.Link(filepath.Join(k.r.ring(), s.name), filepath.Join(k.r.kept(), w.id, s.name))
		if err != nil && !errors.Is(err, os.ErrExist) {
			k.r.o.Log.Warn("recorder: a segment could not be linked", "clip", w.id, "segment", s.name, "err", err)
			continue
		}
		k.r.mu.Lock()
		c.links[s.name], k.r.held[s.name], c.loose, added = s, s, true, true
		k.r.mu.Unlock()
	}
	if added {
		k.r.ripened()
	}
}

// ripened wakes the goroutine of the clips.
func (r *Recorder) ripened() {
	select {
	case r.ripe <- struct{}{}:
	default:
	}
}

// clipRoom makes room for a segment among the clips; false leaves it out.
func (k *keeper) clipRoom(c *clip, s *kept) bool {
	for {
		k.r.mu.Lock()
		// The open segment is counted as it is: it may still grow to its bound.
		need := s.size
		if k.seg != nil && k.seg.kept == s {
			need = max(need, k.r.o.SegmentBytes)
		}
		fits := k.r.held[s.name] != nil || k.r.clipBytes()+need <= k.r.o.ClipQuota
		k.r.mu.Unlock()
		if fits {
			return true
		}
		if !k.dropOne(c) {
			return false
		}
	}
}

// dropOne removes the clip that goes first, where it goes before c; false where none does.
func (k *keeper) dropOne(c *clip) bool {
	k.r.mu.Lock()
	var first *clip
	newer := false // than c: what was pinned after it
	for _, o := range k.r.clips {
		switch {
		case o == c:
			newer = true
		case o.busy || !o.gone() && (o.Class < c.Class || o.Class == c.Class && newer):
		case first == nil || o.before(first):
			first = o
		}
	}
	k.r.mu.Unlock()
	return first != nil && k.drop(first) == nil
}

// gone says that the clip is where it belongs, wanted by nobody, or shows nothing.
func (c Clip) gone() bool { return c.Delivered || c.Refused || c.Finished && c.Size == 0 }

// before says that c goes before o. Clips stand in the order in which they were made.
func (c *clip) before(o *clip) bool {
	switch {
	case c.gone() != o.gone():
		return c.gone()
	case !c.gone() && c.Class != o.Class:
		return c.Class > o.Class
	}
	return false
}

// drop removes a clip with its links. One that is being finished meanwhile then has no
// folder to be written to.
func (k *keeper) drop(c *clip) error {
	k.r.mu.Lock()
	id := c.ID
	k.r.mu.Unlock()
	at := filepath.Join(k.r.kept(), id)
	// First by another name, so that nothing comes into the folder while it is emptied. One that
	// a failure leaves behind is no clip to a start.
	gone := at + ".gone"
	_ = os.Rename(at, gone) // where a full disk has no room even for that, it is emptied where it stands
	if err := errors.Join(os.RemoveAll(gone), os.RemoveAll(at)); err != nil {
		k.r.o.Log.Warn("recorder: a clip cannot be removed", "clip", id, "err", err)
		return err
	}
	k.r.mu.Lock()
	was := c.Clip
	k.r.clips = slices.DeleteFunc(k.r.clips, func(o *clip) bool { return o == c })
	for name := range c.links {
		if !slices.ContainsFunc(k.r.clips, func(o *clip) bool { return o.links[name] != nil }) {
			delete(k.r.held, name)
		}
	}
	k.r.mu.Unlock()
	if !was.gone() {
		k.r.o.Dropped(was)
	}
	return nil
}

// clipBytes are those of all links, each segment once; r.mu is held.
func (r *Recorder) clipBytes() (n int64) {
	for _, s := range r.held {
		n += s.size
	}
	return n
}

// ripen finds clips whose time is over and hands them to be finished.
func (k *keeper) ripen(now clock.Stamp) {
	k.r.mu.Lock()
	defer k.r.mu.Unlock()
	for _, c := range k.r.clips {
		if c.ripe(now, k.r.o.Fragment) {
			k.r.ripened()
			return
		}
	}
}

// ripe says that nothing more comes for a clip: what was seen until its end is written.
func (c *clip) ripe(now clock.Stamp, fragment time.Duration) bool {
	return !c.Finished && !c.busy && (c.Boot != now.Boot || now.Mono > c.To+2*fragment+time.Second)
}

// finishClips reads ripe clips to their end, beside the disk's goroutine.
func (r *Recorder) finishClips(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.ripe:
		}
		r.tighten()
		for r.finishOne() {
		}
	}
}

// tighten makes new links durable.
func (r *Recorder) tighten() {
	r.mu.Lock()
	var dirs []string
	for _, c := range r.clips {
		if c.loose {
			c.loose = false
			dirs = append(dirs, filepath.Join(r.kept(), c.ID))
		}
	}
	r.mu.Unlock()
	for _, d := range dirs {
		if err := syncDir(d); err != nil && !errors.Is(err, os.ErrNotExist) {
			r.o.Log.Warn("recorder: links could not be made durable", "clip", d, "err", err)
		}
	}
}

func (r *Recorder) finishOne() bool {
	now := r.now()
	r.mu.Lock()
	i := slices.IndexFunc(r.clips, func(c *clip) bool { return c.ripe(now, r.o.Fragment) })
	if i < 0 {
		r.mu.Unlock()
		return false
	}
	c := r.clips[i]
	c.busy = true
	is := c.Clip
	var links []source
	for _, name := range slices.Sorted(maps.Keys(c.links)) {
		if c.links[name].label.boot != "" { // else it cannot be read
			links = append(links, source{name, c.links[name].size})
		}
	}
	r.mu.Unlock()
	done, err := is.finish(filepath.Join(r.kept(), is.ID), links)
	if err == nil {
		err = r.keepClip(done)
	}
	r.mu.Lock()
	c.busy = false
	if err == nil {
		c.Clip = done
	}
	r.mu.Unlock()
	if err != nil {
		r.o.Log.Warn("recorder: a clip could not be finished and is tried again", "clip", is.ID, "err", err)
		return false
	}
	// One that shows nothing is kept too, for a while: it says that nothing was recorded.
	r.o.Pinned(r.dated(done))
	return true
}

// keepClip writes what a clip has become. Its clip is busy meanwhile.
func (r *Recorder) keepClip(now Clip) error {
	b, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return r.replace(filepath.Join(r.kept(), now.ID, clipFile), b)
}

// dated adds the hour, where it is known.
func (r *Recorder) dated(c Clip) Clip {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Began, c.Trust, _ = r.times.utc(c.Boot, c.From)
	return c
}

// Waiting tells how many clips are to be sent on, and which of them is the next: the newest, but those that the
// other end found wrong come after the others.
func (r *Recorder) Waiting() (n int, next Clip) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.clips) - 1; i >= 0; i-- {
		if c := r.clips[i]; c.Finished && !c.gone() {
			if n == 0 || r.wrong[c.ID] < r.wrong[next.ID] {
				next = c.Clip
			}
			n++
		}
	}
	return n, next
}

// Mark changes when a clip does or what became of it; 0 until the clips were read after the start.
func (r *Recorder) Mark() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.state.Ready {
		return 0
	}
	h := fnv.New64a()
	for _, c := range r.clips {
		fmt.Fprint(h, c.ID, c.Finished, c.Delivered, c.Refused)
	}
	return max(h.Sum64(), 1)
}

// Clips lists the clips in the order in which they were pinned.
func (r *Recorder) Clips() []Clip {
	r.mu.Lock()
	out := make([]Clip, 0, len(r.clips))
	for _, c := range r.clips {
		out = append(out, c.Clip)
	}
	r.mu.Unlock()
	for i := range out {
		out[i] = r.dated(out[i])
	}
	return out
}

// mendClips reads the clips that there are after a start.
func mendClips(dir string, d disk) (held map[string]*kept, all []*clip, cut int, err error) {
	held = map[string]*kept{}
	folders, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, 0, err
	}
	for _, e := range folders {
		at := filepath.Join(dir, e.Name())
		if !e.IsDir() {
			continue
		}
		c := &clip{links: map[string]*kept{}}
		if !c.read(filepath.Join(at, clipFile)) && !c.read(filepath.Join(at, pinFile)) || c.ID != e.Name() {
			// Cut before the wish was durable: nobody was told that it was kept.
			if err := os.RemoveAll(at); err != nil {
				return nil, nil, 0, err
			}
			continue
		}
		segs, n, err := mend(at, d)
		if err != nil {
			return nil, nil, 0, err
		}
		cut += n
		for _, s := range segs {
			if held[s.name] == nil {
				held[s.name] = s
			}
			c.links[s.name] = held[s.name]
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b *clip) int {
		return cmp.Or(a.At.Wall.Compare(b.At.Wall), cmp.Compare(a.ID, b.ID))
	})
	return held, all, cut, nil
}

func (c *clip) read(path string) bool {
	b, err := os.ReadFile(path)
	return err == nil && len(b) < 1<<20 && json.Unmarshal(b, &c.Clip) == nil && c.ID != ""
}
